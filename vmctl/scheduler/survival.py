"""How many servers may be added so that any one host may die and its servers find room again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.capacity import Survival
from vmctl.domain.fleet import Fleet
from vmctl.domain.placement import Placement
from vmctl.domain.request import FlavorSpec, RequestSpec
from vmctl.domain.resources import Resources
from vmctl.scheduler.taking import load
from vmctl.scheduler.what_if import without_host

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.domain.fleet import HostState

Placing = Callable[[RequestSpec, Fleet], Placement]


def survive_one_death(request: RequestSpec, fleet: Fleet, most: int, placing: Placing) -> Survival:
    """Find the number, at most `most`, at which one server more would be one too many.

    A host's own servers are as large as their claims say; where these are not known, they share
    what is taken there equally. They may go anywhere, larger ones first; foreign guests die.
    """

    def casualty(added: int) -> str | None:
        return _casualty(request, fleet, added, placing)

    weakest = casualty(0)
    if weakest is not None:
        return Survival(fits=0, safe_now=False, weakest=weakest)
    safe, lost = 0, most + 1
    while lost - safe > 1:
        middle = (safe + lost) // 2
        victim = casualty(middle)
        if victim is None:
            safe = middle
        else:
            lost, weakest = middle, victim
    return Survival(fits=safe, safe_now=True, weakest=weakest)


def _casualty(request: RequestSpec, fleet: Fleet, added: int, placing: Placing) -> str | None:
    """The first host whose servers would find no room, once so many servers were added."""
    new: Counter[str] = Counter()
    if added:
        placement = placing(replace(request, count=added, min_count=None), fleet)
        new.update(choice.host for choice in placement.choices)
        fleet = load(fleet, request, new)
    fullest_first = sorted(fleet.hosts, key=lambda host: -host.taken.memory)
    for host in fullest_first:
        rest = without_host(fleet, host.name)
        for evacuation in _evacuations(host, request, new[host.name]):
            placement = placing(evacuation, rest)
            if placement.failed is not None:
                return host.name
            rest = load(rest, evacuation, Counter(choice.host for choice in placement.choices))
    return None


def _evacuations(host: HostState, request: RequestSpec, new: int) -> Iterator[RequestSpec]:
    """What must find room when a host dies, equal servers in one request, the largest first."""
    sizes = Counter(_own(host, request, new))
    moves = [
        (size, RequestSpec(flavor=_flavor(size), count=count)) for size, count in sizes.items()
    ]
    if new:
        moves.append(
            (
                request.flavor.claim,
                replace(request, count=new, min_count=None, host=None, force_host=None),
            )
        )
    yield from (
        move
        for _, move in sorted(
            moves, key=lambda move: (-move[0].memory, -move[0].disk, -move[0].vcpus)
        )
    )


def _own(host: HostState, request: RequestSpec, new: int) -> list[Resources]:
    """The sizes of the servers that stood on a host before any was added."""
    if host.claims is not None:
        return list(host.claims)
    claim = request.flavor.claim
    ours = host.taken - host.foreign
    count = host.num_instances - new
    used = [ours.vcpus - claim.vcpus * new, ours.memory - claim.memory * new]
    used.append(ours.disk - (0 if request.pool is not None else claim.disk * new))
    if count <= 0:
        count = 1 if any(amount > 0 for amount in used) else 0
    if not count:
        return []
    vcpus, memory, disk = (-(-max(amount, 0) // count) for amount in used)
    return [Resources(vcpus=vcpus, memory=memory, disk=disk)] * count


def _flavor(size: Resources) -> FlavorSpec:
    return FlavorSpec(vcpus=size.vcpus, memory=size.memory, disk=size.disk)
