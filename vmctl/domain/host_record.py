"""What is on record about hosts: plain values, apart from servers' so that listing costs little.

Times are seconds since the epoch, in UTC. Memory and disk are MiB.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What the claims on record take of a host, in MiB; disk is its default pool's.

    The CPUs are those that are servers' own, whose vCPUs are counted all the same.
    """

    servers: int = 0
    vcpus: int = 0
    memory: int = 0
    disk: int = 0
    cpus: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class KvmCheck:
    """Whether KVM really works on a host; true only for the boot it was tried in."""

    alive: bool
    boot: str
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRecord:
    """What is on record about a host: the operators' word, its last sample, its claims."""

    name: str
    enabled: bool = True
    reason: str | None = None
    libvirt: str | None = None  # libvirt's own uuid of the host
    machine: str | None = None
    boot: str | None = None
    seen: float | None = None
    error: str | None = None  # the last one, and when
    failed: float | None = None
    kept: str | None = None  # the last sample, as JSON
    kvm: KvmCheck | None = None
    used: Used = Used()

    @property
    def sample(self) -> Mapping[str, object] | None:
        """The last sample in its plain form, read at each call: hundreds at once are much."""
        if self.kept is None:
            return None
        plain: Mapping[str, object] = json.loads(self.kept)
        return plain

    @property
    def answered(self) -> bool:
        """Whether the host answered when it was last asked; its last error may be an old one."""
        return self.seen is not None and (self.failed is None or self.failed <= self.seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """One look at a host: a sample with the host's identity, or the error instead of it."""

    host: str
    at: float
    sample: Mapping[str, object] | None = None
    libvirt: str | None = None
    machine: str | None = None
    boot: str | None = None
    error: str | None = None
