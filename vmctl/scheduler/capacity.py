"""How many more servers of a flavor fit, by the very filters that would place them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from vmctl.domain.capacity import Capacity, HostCapacity
from vmctl.domain.placement import Refusal
from vmctl.domain.resources import Resources
from vmctl.scheduler.engine import check_names, place
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.group_filters import to_keep_together
from vmctl.scheduler.scene import Filter, Scene, Weigher, scene_of, settle
from vmctl.scheduler.sieve import Named, Sieve, chains, judge, unsupported
from vmctl.scheduler.survival import Placing, survive_one_death
from vmctl.scheduler.taking import take
from vmctl.scheduler.weighers import WEIGHERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vmctl.domain.fleet import Fleet, HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.policy import Policy

LIMIT = 10_000  # a host that takes so many takes any number
_SIZES = frozenset(
    ("Ram", "Core", "Disk", "AggregateRam", "AggregateCore", "AggregateDisk", "DedicatedCpus")
)


def capacity(
    request: RequestSpec,
    fleet: Fleet,
    policy: Policy,
    *,
    survive_one: bool = False,
    filters: Mapping[str, Filter] = FILTERS,
    weighers: Mapping[str, Weigher] = WEIGHERS,
) -> Capacity:
    """Count the servers of a request's flavor that still fit, whatever count it asks for."""
    check_names(policy, filters, weighers)
    placing = partial(
        place, policy=replace(policy, max_attempts=1), filters=filters, weighers=weighers
    )
    scene = scene_of(request, fleet, policy)
    hosts = tuple(_of_hosts(request, fleet, policy, filters, scene))
    total = _in_all(hosts, request, fleet, scene, placing)
    zones: dict[str, int | None] = {}
    for zone in sorted({each.zone for each in hosts}):
        inside = tuple(each for each in hosts if each.zone == zone)
        names = {each.host for each in inside}
        part = replace(fleet, hosts=tuple(host for host in fleet.hosts if host.name in names))
        zones[zone] = _in_all(inside, request, part, scene, placing)
    most = LIMIT if total is None else total
    return Capacity(
        total=total,
        zones=zones,
        hosts=hosts,
        binding=dict(Counter(each.filter for each in hosts if each.filter).most_common()),
        stranded=sum((each.stranded for each in hosts), start=Resources()),
        survival=survive_one_death(request, fleet, most, placing) if survive_one else None,
    )


def _of_hosts(
    request: RequestSpec,
    fleet: Fleet,
    policy: Policy,
    filters: Mapping[str, Filter],
    scene: Scene,
) -> Iterable[HostCapacity]:
    refused = unsupported(scene, policy)
    sieve = Sieve(request, scene, policy, filters, settle(fleet.hosts, request, scene))
    _, later = chains(request, scene, policy, filters)
    for index, host in enumerate(sieve.hosts):
        zone = _zone(host, scene)
        if refused is not None:
            yield HostCapacity(
                host=host.name, zone=zone, fits=0, filter="ServerGroup", refusal=refused
            )
            continue
        fits: int | None = 0
        name, refusal = sieve.refusals.get(index, (None, None))
        if refusal is None:
            fits, name, refusal = _fill(host, request, scene, later)
        yield HostCapacity(
            host=host.name,
            zone=zone,
            fits=fits,
            filter=name,
            refusal=refusal,
            stranded=_left(take(host, scene, fits or 0)) if name in _SIZES else Resources(),
        )


def _fill(
    host: HostState, request: RequestSpec, scene: Scene, later: Named
) -> tuple[int | None, str | None, Refusal | None]:
    """How many fit on a host whose first server passes, and what refuses the next one."""

    def refuses(taken: int, chain: Named) -> tuple[str, Refusal] | None:
        return judge(take(host, scene, taken), request, scene, chain)

    steady = tuple(each for each in later if each[1].steady)
    fickle = len(steady) < len(later)
    fits = _first(lambda taken: refuses(taken, steady) is not None)
    if fickle:
        # A filter that may refuse and pass again as a host fills up is asked at every step.
        fits = next((taken for taken in range(1, fits) if refuses(taken, later)), fits)
    if fits >= LIMIT:
        return None, None, None
    name, refusal = refuses(fits, later) or ("", Refusal(""))
    return fits, name, refusal


def _first(refused: Callable[[int], bool]) -> int:
    """The smallest number from 1 on that is refused, given that every larger one is too."""
    above = 1
    while above < LIMIT and not refused(above):
        above *= 2
    low, high = above // 2, min(above, LIMIT)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if refused(middle) else (middle, high)
    return high


def _in_all(
    hosts: tuple[HostCapacity, ...],
    request: RequestSpec,
    fleet: Fleet,
    scene: Scene,
    placing: Placing,
) -> int | None:
    """The sum over hosts, unless they depend on each other."""
    alone = {each.host: each.fits for each in hosts}
    if request.force_host is None and to_keep_together(request, scene) and not scene.members_on:
        # Wherever the first one goes, the rest must follow.
        first = placing(replace(request, count=1, min_count=None), fleet).choices
        return alone[first[0].host] if first else 0
    total = 0
    for fits in alone.values():
        if fits is None:
            return None
        total += fits
    shared = scene.need.disk and any(
        host.disk_shared or any(pool.shared for pool in host.pools or ()) for host in fleet.hosts
    )
    if not shared or not total:
        return total
    return len(placing(replace(request, count=total, min_count=1), fleet).choices)


def _zone(host: HostState, scene: Scene) -> str:
    if host.zone is not None:
        return host.zone
    named = scene.aggregates(host.name).words("availability_zone")
    return min(named, default=scene.options.default_availability_zone)


def _left(host: HostState) -> Resources:
    used = host.reserved + host.taken
    disk = host.total.disk * host.disk_ratio - used.disk
    if host.disk_available is not None:
        disk = min(disk, host.disk_available)
    return Resources(
        vcpus=max(0, int(host.total.vcpus * host.cpu_ratio - used.vcpus)),
        memory=max(0, int(host.total.memory * host.ram_ratio - used.memory)),
        disk=max(0, int(disk)),
        dedicated=max(0, host.total.dedicated - used.dedicated),
    )
