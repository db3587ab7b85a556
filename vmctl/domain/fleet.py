"""The hosts as the scheduler sees them: values, judged at one moment, with what stands on them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

NOTHING = Resources()


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressure:
    """How hard a host works; what its kernel does not tell is None and never held against it.

    `cpu`, `memory` and `io` are the share of time that some task waited (PSI, percent), `load` the
    load average, `steal` the share of processor time that another hypervisor took (percent).
    """

    cpu: float | None = None
    memory: float | None = None
    io: float | None = None
    load: float | None = None
    steal: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """One storage pool of a host, in MiB; pools of one `shared` name are one and the same."""

    name: str
    total: int
    taken: int = 0
    reserved: int = 0
    available: int | None = None
    active: bool = True
    shared: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """What one host has, what is taken there, and all that a filter or a weigher may ask of it.

    `taken` is our claims and foreign guests together, `foreign` the latter's part of it. `disk` is
    the default pool, of which `disk_available` says what the pool itself reports as free and
    `disk_shared` under which name other hosts use it too. None means not known, hence not judged.
    `members` and `nearby` are filled in for one request: servers of its group on this host, and
    its peers under the same label (see Spread).
    """

    name: str
    total: Resources = NOTHING
    taken: Resources = NOTHING
    reserved: Resources = NOTHING
    foreign: Resources = NOTHING
    cpu_ratio: float = 4.0
    ram_ratio: float = 1.0
    disk_ratio: float = 1.0
    disk_available: int | None = None
    disk_shared: str | None = None
    zone: str | None = None
    enabled: bool = True
    disabled_reason: str | None = None
    up: bool = True
    down_reason: str | None = None
    sample_age: float | None = None
    num_instances: int = 0
    num_io_ops: int = 0
    failed_builds: int = 0
    hypervisor_type: str | None = None
    hypervisor_version: int | str | None = None
    arch: str | None = None
    supported: tuple[tuple[str, str, str], ...] = ()
    capabilities: Mapping[str, object] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    servers: frozenset[str] = frozenset()
    claims: tuple[Resources, ...] | None = None
    networks: frozenset[str] | None = None
    pools: tuple[Pool, ...] | None = None
    guests: frozenset[str] | None = None
    images: frozenset[str] | None = None
    pressure: Pressure | None = None
    members: int = 0
    nearby: int = 0

    @property
    def spare_memory(self) -> int:
        """The memory that nobody holds, in MiB and without overcommit; negative when oversold."""
        return self.total.memory - self.reserved.memory - self.taken.memory

    @property
    def spare_disk(self) -> int:
        """The disk that nobody holds, in MiB, at most what the pool itself says is available."""
        spare = self.total.disk - self.reserved.disk - self.taken.disk
        available = self.disk_available
        return spare if available is None or spare < available else available

    @property
    def spare_vcpus(self) -> float:
        """The vCPUs that are left of the overcommitted total."""
        return self.total.vcpus * self.cpu_ratio - self.reserved.vcpus - self.taken.vcpus


@dataclass(frozen=True, slots=True, kw_only=True)
class Aggregate:
    """A named set of hosts with metadata that filters and weighers read."""

    name: str
    hosts: frozenset[str]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Servers that are to stand together or apart, strictly or as far as possible."""

    name: str
    policy: str
    members: frozenset[str] = frozenset()
    max_server_per_host: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """All hosts at one moment, in the order that `tie: order` goes by."""

    hosts: tuple[HostState, ...]
    aggregates: tuple[Aggregate, ...] = ()
    groups: tuple[Group, ...] = ()
