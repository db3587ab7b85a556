"""How much of a host is there, taken and free, how hard it works, and whether it is up.

Totals come from the last look, and never exceed what the inventory lets be used. Taken is what
our claims hold, with what our machines were given beyond that by hand, and foreign machines by
their defined maximum, or by what their own record claims where another database has made them;
what machines use at this moment counts for neither. Memory and disk are MiB.

CPUs that a host gives out one by one are none of its vCPUs, and neither are those of a server's own
that are among them. Of those CPUs, each that any machine is bound to is taken.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from vmctl.domain.cpus import dedicated_on, read_cpus
from vmctl.domain.host import Limits
from vmctl.domain.resources import Resources
from vmctl.domain.server_record import held_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.sample import Guest, HostSample

State = Literal["up", "down", "stale", "unknown"]

FRESH = 300.0
"""Seconds for which a look holds; an older one makes its host stale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What a host has and what is taken of it; a total, or what is free, is None if not known.

    `available` is what the default pool itself has left. `servers` counts those with a claim,
    `foreign_guests` the machines that are not ours and count, `foreign_disks` what the records
    of those claim of each pool, the default one included. `dedicated` are the CPUs that are given
    out one by one.
    """

    total: Limits
    taken: Resources
    foreign: Resources
    free: Limits
    servers: int
    foreign_guests: int
    available: int | None = None
    foreign_disks: Mapping[str, int] = field(default_factory=dict)
    dedicated: tuple[int, ...] = ()
    dedicated_taken: frozenset[int] = frozenset()


def reckon(
    host: Host,
    sample: HostSample | None,
    *,
    ours: Collection[str],
    claimed: Resources,
    cpus: frozenset[int] = frozenset(),
    pinned: frozenset[int] = frozenset(),
) -> Usage:
    """Reckon up a host from its last look, whose servers hold claims there, and the claims' sum.

    `cpus` are those that claims hold, and are in their sum as vCPUs; any machine is bound to the
    `pinned` ones.
    """
    strangers = foreign_guests(sample, ours, stopped=host.count_stopped)
    default = host.default_pool.name
    dedicated = frozenset(dedicated_on(host, sample))
    foreign, foreign_disks = held_by_strangers(strangers, default, dedicated)
    if dedicated and cpus:
        claimed = replace(claimed, vcpus=claimed.vcpus - len(cpus & dedicated))
    taken = claimed + foreign + _given_beyond(sample, ours)
    total = total_of(host, sample)
    ratios, reserved = host.allocation_ratios, host.reserved
    pool = sample.pool(default) if sample else None
    available = pool.available if pool else None
    disk = _left(total.disk, ratios.disk, reserved.disk, taken.disk)
    return Usage(
        total=total,
        taken=taken,
        foreign=foreign,
        free=Limits(
            vcpus=_left(total.vcpus, ratios.cpu, reserved.vcpus, taken.vcpus),
            memory=_left(total.memory, ratios.ram, reserved.memory, taken.memory),
            disk=disk if disk is None or available is None else min(disk, available),
        ),
        servers=len(ours),
        foreign_guests=len(strangers),
        available=available,
        foreign_disks=foreign_disks,
        dedicated=tuple(sorted(dedicated)),
        dedicated_taken=dedicated & (cpus | pinned) if dedicated else dedicated,
    )


def total_of(host: Host, sample: HostSample | None) -> Limits:
    """Say how big a host is, by what it said and at most what the inventory lets be used.

    Its vCPUs are those that servers share.
    """
    pool = sample.pool(host.default_pool.name) if sample else None
    capacity = host.capacity
    vcpus = _least(sample.cpus if sample else None, capacity.vcpus)
    return Limits(
        vcpus=None if vcpus is None else max(vcpus - len(dedicated_on(host, sample)), 0),
        memory=_least(sample.memory if sample else None, capacity.memory),
        disk=_least(pool.capacity if pool else None, capacity.disk),
    )


def foreign_guests(
    sample: HostSample | None, ours: Iterable[str], *, stopped: bool
) -> tuple[Guest, ...]:
    """Give the machines that we hold no claim for, those that are off only if they count.

    One with a record always does: another operator's server claims its room before it starts.
    """
    known = frozenset(ours)
    guests = sample.guests if sample else ()
    return tuple(
        guest
        for guest in guests
        if guest.uuid not in known and (stopped or guest.state != "off" or guest.record is not None)
    )


def grown_of(guests: Iterable[Guest]) -> tuple[Guest, ...]:
    """Give by how much machines are defined bigger than their own records say, where they are.

    Worked out once, when a sample is kept: records are too many to be read for every list.
    """
    found = []
    for guest in guests:
        held = held_by(guest.record) if guest.record else None
        if held is None:
            continue
        vcpus, memory = max(guest.vcpus - held.vcpus, 0), max(guest.memory - held.memory, 0)
        if vcpus or memory:
            found.append(replace(guest, vcpus=vcpus, memory=memory, disk=None, record=None))
    return tuple(found)


def _given_beyond(sample: HostSample | None, ours: Collection[str]) -> Resources:
    """Sum up what our machines were given past vmctl: their claims do not hold it."""
    grown = [one for one in sample.grown if one.uuid in ours] if sample else ()
    return Resources(vcpus=sum(one.vcpus for one in grown), memory=sum(one.memory for one in grown))


def held_by_strangers(
    guests: Iterable[Guest], default_pool: str, dedicated: frozenset[int] = frozenset()
) -> tuple[Resources, dict[str, int]]:
    """Sum up what foreign machines take, of the default pool too, and what they take of each.

    A record never makes a machine smaller than it is defined. One that is bound to dedicated CPUs
    takes so many vCPUs less.
    """
    vcpus = memory = 0
    disks: dict[str, int] = {}
    for guest in guests:
        held = held_by(guest.record) if guest.record else None
        own = len(read_cpus(guest.pins) & dedicated) if dedicated and guest.pins else 0
        vcpus += max(max(guest.vcpus, held.vcpus if held else 0) - own, 0)
        memory += max(guest.memory, held.memory if held else 0)
        if held is None:
            continue
        pool = held.pool or default_pool
        disks[pool] = disks.get(pool, 0) + held.disk
    return Resources(vcpus=vcpus, memory=memory, disk=disks.get(default_pool, 0)), disks


def _least(said: int | None, bound: int | None) -> int | None:
    """Give the smaller one; of what the host did not say, the bound alone says nothing."""
    return said if said is None or bound is None else min(said, bound)


def _left(total: int | None, ratio: float, reserved: int, taken: int) -> int | None:
    return None if total is None else int(total * ratio) - reserved - taken


_MEDIUM, _HIGH = 0, 1
_THRESHOLDS = {
    "cpu": (20.0, 60.0),
    "memory": (5.0, 20.0),
    "io": (20.0, 60.0),
    "steal": (10.0, 30.0),
}
"""From which percentage of time, over a minute, waiting is medium and high."""


def pressure_word(sample: HostSample | None, steal: float | None = None) -> str | None:
    """Say how hard a host works: `low`, or `medium` or `high` with what it waits for most.

    None for a kernel that does not tell. `steal` is that between the last two looks.
    """
    if sample is None:
        return None
    stalls = {"cpu": sample.psi_cpu, "memory": sample.psi_memory, "io": sample.psi_io}
    waits = {name: stall.avg60 for name, stall in stalls.items() if stall is not None}
    if not waits:
        return None
    if steal is not None:
        waits["steal"] = steal
    worst = max(waits, key=lambda name: waits[name] / _THRESHOLDS[name][_HIGH])
    medium, high = _THRESHOLDS[worst]
    if waits[worst] >= high:
        return f"high: {worst}"
    over = [name for name in waits if waits[name] >= _THRESHOLDS[name][_MEDIUM]]
    if not over:
        return "low"
    return f"medium: {worst if waits[worst] >= medium else over[0]}"


def state_of(
    sample: HostSample | None, *, failed: float | None, now: float, fresh: float = FRESH
) -> State:
    """Say whether a host is up, given its last look and when it last failed to answer.

    A host whose libvirt does not answer is down: no server can be started or seen there.
    """
    if sample is None:
        return "unknown" if failed is None else "down"
    if failed is not None and failed > sample.taken_at:
        return "down"
    if sample.libvirt_error is not None:
        return "down"
    return "stale" if now - sample.taken_at > fresh else "up"
