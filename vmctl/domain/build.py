"""One attempt to have a server on one host, by value: all that making and unmaking it needs.

Every name, path and MAC is minted before the first step, so that whoever undoes an attempt needs
nothing that a step found out, nor the inventory as it was then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.sample import BASE_IMAGE_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmctl.domain.spec import ImageUse

READY_SUFFIX = ".ok"
"""What the name of a base image's marker ends with: the base is whole and verified."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One network card of an attempt, and what carries its network on that host."""

    network: str
    kind: str  # network or bridge
    source: str
    scope: str  # where its addresses must be unique
    mac: str
    bridge: str | None = None  # the one under its libvirt network, where that is known
    addresses: tuple[str, ...] = ()
    addressing: str = "dhcp"  # or static
    mtu: int | None = None
    filter: str | None = None  # its nwfilter's name; None: nothing is filtered
    groups: tuple[str, ...] = ()  # the security groups in that filter
    enforced: bool = True  # whether the host can enforce that filter on this bridge
    tag: str | None = None
    vlan: int | None = None  # whose tag its frames have outside of the guest
    probed: bool = True  # whether its addresses, on a bridge, could be asked for before

    @property
    def spans(self) -> bool:
        """Whether its network reaches from host to host, and its addresses with it."""
        return self.scope == self.network

    @property
    def wire(self) -> str | None:
        """The bridge of its host that it is on, where one is known."""
        return self.source if self.kind == "bridge" else self.bridge

    @property
    def reserved(self) -> bool:
        """Whether libvirt's own DHCP is told its addresses, so that seed and lease agree."""
        return self.kind == "network" and bool(self.addresses)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume of an attempt: a name in the host's pool, and what is to be in it."""

    name: str
    role: str  # root, ephemeral, swap, seed or log; rescue or rescue-seed
    size: int = 0  # bytes
    format: str = "raw"  # or qcow2
    backing: str | None = None  # the volume that it overlays, in the same pool
    backing_format: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """One attempt: the server's id, the host, and everything made there for it.

    The name is its domain's, which follows the server's own when it is off.
    """

    server: str
    name: str
    number: int
    host: str
    pool: str
    base: str | None = None
    vcpus: int = 0
    memory: int = 0
    disk: int = 0
    cpus: tuple[int, ...] = ()  # the host's CPUs that are its vCPUs' own, in their order
    volumes: tuple[Volume, ...] = ()
    spare: tuple[Volume, ...] = ()  # beside those: being made for it, or yet to be removed
    generation: int = 1  # rises with each exchange of volumes, so that no name is used twice
    cards: tuple[Card, ...] = ()

    @property
    def held(self) -> tuple[Volume, ...]:
        """Every volume that there is of it, or may be."""
        return tuple({one.name: one for one in (*self.volumes, *self.spare)}.values())

    @property
    def rescued(self) -> bool:
        """Whether another system boots, the own disks beside it."""
        return self.volume("rescue") is not None

    def volume(self, role: str) -> Volume | None:
        """Give the first volume of that role, if there is one."""
        return next(self.of_role(role), None)

    def of_role(self, role: str) -> Iterator[Volume]:
        """Give the volumes of one role in their order."""
        return (one for one in self.volumes if one.role == role)

    @property
    def unenforced(self) -> tuple[str, ...]:
        """Name the networks whose security groups the host does not enforce."""
        return tuple(one.network for one in self.cards if one.filter and not one.enforced)


def base_name(image: ImageUse) -> str:
    """Name the volume that holds an image on every host: its digest says what is in it."""
    return f"{BASE_IMAGE_PREFIX}{image.digest}"


def volume_name(server: str, role: str, generation: int = 1) -> str:
    """Name a volume of a server: one that takes another's place bears its generation."""
    return f"{server}-{role}" if generation == 1 else f"{server}-g{generation}-{role}"


def known_as(server: str, plan: Mapping[str, object]) -> str:
    """Name the system that boots there apart from those before it: each has keys of its own.

    By the server's id, and the generation of the disk that boots, if that is not the first.
    """
    return booted(plan).rpartition("-")[0] or server


def booted(plan: Mapping[str, object]) -> str:
    """Name the volume that boots by a plan in its plain form; '' where there is none."""
    found = plan.get("volumes")
    volumes = found if isinstance(found, list) else []
    names = {one.get("role"): str(one.get("name")) for one in reversed(volumes)}
    return names.get("rescue") or names.get("root") or ""


def filter_name(server: str, position: int) -> str:
    """Name the nwfilter of a server's card."""
    return f"vmctl-{server}-{position}"
