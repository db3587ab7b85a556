"""What is on record about all hosts at one moment, as far as placing asks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from vmctl.domain.cpus import format_cpus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.catalog import ServerGroup
    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.record import Claim


class Room(NamedTuple):
    """What a claim holds on its host; there are very many, and a row costs the least to make."""

    host: str
    server: str
    pool: str  # "" is the host's default pool
    vcpus: int
    memory: int
    disk: int
    cpus: str = ""  # the host's CPUs that are the server's own, as ranges


def room_of(claim: Claim) -> Room:
    """Say what a claim holds."""
    return Room(
        claim.host,
        claim.server,
        claim.pool,
        claim.vcpus,
        claim.memory,
        claim.disk,
        format_cpus(claim.cpus),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetRecord:
    """The hosts with their last samples, every claim, and what else counts by host.

    `jobs` are unfinished operations there; `failed_builds` the attempts of the last day that
    failed there since the last one that did not.
    """

    hosts: Mapping[str, HostRecord] = field(default_factory=dict)
    claims: tuple[Room, ...] = ()
    groups: tuple[ServerGroup, ...] = ()
    jobs: Mapping[str, int] = field(default_factory=dict)
    failed_builds: Mapping[str, int] = field(default_factory=dict)
