"""What is asked of the scheduler: how many servers, how large, and where they may stand."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read back by its hints
from dataclasses import dataclass, field, replace

from vmctl.domain.cpus import cpu_policy_of
from vmctl.domain.resources import Resources


@dataclass(frozen=True, slots=True, kw_only=True)
class FlavorSpec:
    """The size of a server, copied by value: memory and all disks in MiB."""

    name: str = ""
    vcpus: int = 1
    memory: int = 0
    disk: int = 0
    ephemeral: int = 0
    swap: int = 0
    extra_specs: Mapping[str, str] = field(default_factory=dict)

    @property
    def claim(self) -> Resources:
        """What a server of this flavor takes from its host, swap included."""
        return Resources(
            vcpus=self.vcpus, memory=self.memory, disk=self.disk + self.ephemeral + self.swap
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """The image of a server as far as a host must suit it."""

    id: str | None = None
    name: str | None = None
    properties: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSpec:
    """One request: `count` servers of one flavor, of which at least `min_count` must fit.

    Without `min_count` it is all or nothing. `host` must pass the filters, `force_host` need not.
    `names` are the wanted names of the servers, `server` the id of one that exists already and is
    placed anew. `seed` decides everything that is random.
    """

    flavor: FlavorSpec
    count: int = 1
    min_count: int | None = None
    image: ImageSpec | None = None
    availability_zone: str | None = None
    host: str | None = None
    force_host: str | None = None
    ignore_hosts: frozenset[str] = frozenset()
    tried: frozenset[str] = frozenset()
    group: str | None = None
    hints: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    networks: tuple[str, ...] = ()
    pool: str | None = None
    names: tuple[str, ...] = ()
    project: str | None = None
    server: str | None = None
    seed: int | str = 0

    @property
    def claim(self) -> Resources:
        """What each of its servers takes from its host: vCPUs, or CPUs of its own."""
        size = self.flavor.claim
        if self.cpu_policy != "dedicated":
            return size
        return replace(size, vcpus=0, dedicated=size.vcpus)

    @property
    def cpu_policy(self) -> str:
        """Whose CPUs its servers run on: `shared` or `dedicated` ones."""
        properties = self.image.properties if self.image else {}
        return cpu_policy_of(properties, self.flavor.extra_specs)
