"""How many servers may be added so that any one host may die and its servers find room again."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.capacity import Survival
from vmctl.domain.fleet import Fleet
from vmctl.domain.placement import Placement
from vmctl.domain.request import FlavorSpec, RequestSpec
from vmctl.domain.resources import Resources
from vmctl.errors import UsageError
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
    names = [host.name for host in sorted(fleet.hosts, key=lambda host: -host.taken.memory)]
    # Where a server goes does not depend on how many come after it: one placement serves all.
    filled = placing(replace(request, count=most, min_count=1), fleet).choices if most else ()
    order = [choice.host for choice in filled]
    grown: dict[int, tuple[Fleet, Counter[str]]] = {}

    def lost(name: str, added: int) -> bool:
        if added not in grown:
            new = Counter(order[:added])
            grown[added] = load(fleet, request, new), new
        return _is_lost(name, request, *grown[added], placing)

    for name in names:
        if lost(name, 0):
            return Survival(fits=0, safe_now=False, weakest=name)
    # Few hosts set the limit: each is asked at the best bound so far, and searched only if it is
    # lost there. It ends when all hosts in turn have survived at one and the same bound.
    bound, weakest, survived = most, None, 0
    turn = itertools.cycle(names)
    while survived < len(names):
        name = next(turn)
        if not lost(name, bound):
            survived += 1
            continue
        safe = 0
        while bound - safe > 1:
            middle = (safe + bound) // 2
            safe, bound = (safe, middle) if lost(name, middle) else (middle, bound)
        bound, weakest, survived = safe, name, 1
    return Survival(fits=bound, safe_now=True, weakest=weakest)


def _is_lost(
    name: str, request: RequestSpec, fleet: Fleet, new: Counter[str], placing: Placing
) -> bool:
    """Whether some server of a host would find no room, were the host to die."""
    (dying,) = (host for host in fleet.hosts if host.name == name)
    rest = without_host(fleet, name)
    for evacuation in _evacuations(dying, request, new[name]):
        placement = placing(evacuation, rest)
        if placement.failed is not None:
            return True
        rest = load(rest, evacuation, Counter(choice.host for choice in placement.choices))
    return False


def _evacuations(host: HostState, request: RequestSpec, new: int) -> Iterator[RequestSpec]:
    """What must find room when a host dies, equal servers in one request, the largest first."""
    sizes = Counter(_own(host, request, new))
    moves = [
        (size, RequestSpec(flavor=_flavor(size), count=count)) for size, count in sizes.items()
    ]
    if new:
        moves.append(
            (
                request.claim,
                replace(request, count=new, min_count=None, host=None, force_host=None),
            )
        )
    yield from (
        move
        for _, move in sorted(
            moves,
            key=lambda move: (-move[0].memory, -move[0].disk, -move[0].vcpus, -move[0].dedicated),
        )
    )


def _own(host: HostState, request: RequestSpec, new: int) -> list[Resources]:
    """The sizes of the servers that stood on a host before any was added."""
    if host.claims is not None:
        return list(host.claims)
    claim = request.claim
    ours = host.taken - host.foreign
    if ours.dedicated > claim.dedicated * new:
        raise UsageError(
            f"host {host.name}: whose the dedicated CPUs are that are used there is not said",
            hint="the fleet file's `claims` of the host say how large each server is",
        )
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
    own = {"hw:cpu_policy": "dedicated"} if size.dedicated else {}
    vcpus = size.vcpus + size.dedicated
    return FlavorSpec(vcpus=vcpus, memory=size.memory, disk=size.disk, extra_specs=own)
