"""The nearest miss: which refused host came closest, and what would make it fit, in words."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vmctl.domain.resources import format_size
from vmctl.scheduler.engine import check_names, place
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.scene import Filter, Scene, Weigher, scene_of, settle
from vmctl.scheduler.sieve import chains, judge
from vmctl.scheduler.taking import load
from vmctl.scheduler.weighers import WEIGHERS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.domain.fleet import Fleet, HostState
    from vmctl.domain.placement import Refusal
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.policy import Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """A host that was refused: every filter that stands against it, and what to do about each."""

    host: str
    refusals: tuple[tuple[str, Refusal], ...]
    advice: tuple[str, ...]


def nearest_misses(
    request: RequestSpec,
    fleet: Fleet,
    policy: Policy,
    *,
    filters: Mapping[str, Filter] = FILTERS,
    weighers: Mapping[str, Weigher] = WEIGHERS,
) -> tuple[Miss, ...]:
    """Say of each host that cannot take the server why, the one that lacks least first.

    Where some servers of a request fit, the hosts are judged for the first one that does not.
    """
    check_names(policy, filters, weighers)
    if request.count > 1:
        partly = place(
            replace(request, min_count=1), fleet, policy, filters=filters, weighers=weighers
        )
        if len(partly.choices) == request.count:
            return ()
        fleet = load(fleet, request, Counter(choice.host for choice in partly.choices))
    scene = scene_of(request, fleet, policy)
    chain, _ = chains(request, scene, policy, filters)
    found: list[tuple[tuple[float, ...], Miss]] = []
    for place_in_fleet, host in enumerate(settle(fleet.hosts, request, scene)):
        against = [judge(host, request, scene, (each,)) for each in chain]
        refusals = tuple(each for each in against if each is not None)
        if refusals:
            advice = tuple(
                words
                for name, why in refusals
                if (words := _advice(name, host, why, request, scene))
            )
            distance = (len(refusals), max(_lack(why) for _, why in refusals), place_in_fleet)
            found.append((distance, Miss(host=host.name, refusals=refusals, advice=advice)))
    return tuple(miss for _, miss in sorted(found, key=lambda each: each[0]))


def _lack(refusal: Refusal) -> float:
    """How much of what is needed is missing, from 0 to 1; without numbers all of it is."""
    if refusal.need is None or refusal.have is None or not refusal.need:
        return 1.0
    return min(abs(refusal.need - refusal.have) / abs(refusal.need), 1.0)


def _advice(
    name: str, host: HostState, refusal: Refusal, request: RequestSpec, scene: Scene
) -> str | None:
    advise = _ADVICE.get(name.removeprefix("Aggregate"))
    return None if advise is None else advise(host, refusal, request, scene)


def _memory(host: HostState, refusal: Refusal, _request: RequestSpec, scene: Scene) -> str:
    used = host.reserved.memory + host.taken.memory
    return _size_advice("memory", "ram", refusal, used, (scene.need.memory, host.total.memory))


def _disk(host: HostState, refusal: Refusal, _request: RequestSpec, scene: Scene) -> str:
    if host.disk_available is not None and refusal.have == host.disk_available:
        return f"free {format_size((refusal.need or 0) - host.disk_available)} in its pool"
    used = host.reserved.disk + host.taken.disk
    return _size_advice("disk", "disk", refusal, used, (scene.need.disk, host.total.disk))


def _size_advice(
    what: str, ratio: str, refusal: Refusal, used: int, need_of_total: tuple[int, int]
) -> str:
    need, total = need_of_total
    have = max(refusal.have or 0, 0)
    words = f"a flavor with at most {format_size(math.floor(have))} of {what} would fit"
    if need > total:
        return words
    lack = format_size(need - (refusal.have or 0))
    return f"{words}; or free {lack} there; or set {ratio}_ratio to {_up(used + need, total)}"


def _cores(host: HostState, refusal: Refusal, _request: RequestSpec, scene: Scene) -> str:
    need, total = scene.need.vcpus, host.total.vcpus
    words = f"a flavor with at most {max(math.floor(refusal.have or 0), 0)} vCPUs would fit"
    if need > total:
        return words
    used = host.reserved.vcpus + host.taken.vcpus
    return f"{words}; or set cpu_ratio to {_up(used + need, total)}"


def _dedicated(host: HostState, refusal: Refusal, _request: RequestSpec, _scene: Scene) -> str:
    if refusal.need is None:
        return "ask for hw:cpu_policy=shared or dedicated"
    if not host.total.dedicated:
        return "give the host dedicated_cpus in the inventory"
    have = math.floor(refusal.have or 0)
    return f"a flavor with at most {have} vCPUs would fit; or give the host more dedicated_cpus"


def _service(host: HostState, _refusal: Refusal, _request: RequestSpec, _scene: Scene) -> str:
    if not host.enabled:
        return f"vmctl host enable {host.name}"
    return f"vmctl host list --refresh; vmctl host check {host.name}"


def _zone(host: HostState, _refusal: Refusal, _request: RequestSpec, scene: Scene) -> str:
    zone = host.zone or scene.options.default_availability_zone
    return f"ask for --availability-zone {zone}, or for none"


def _fixed(words: str) -> Callable[[HostState, Refusal, RequestSpec, Scene], str]:
    return lambda _host, _refusal, _request, _scene: words


_ADVICE: Mapping[str, Callable[[HostState, Refusal, RequestSpec, Scene], str]] = {
    "Ram": _memory,
    "Core": _cores,
    "Disk": _disk,
    "DedicatedCpus": _dedicated,
    "Compute": _service,
    "AvailabilityZone": _zone,
    "RequestedHost": _fixed("ask for no host"),
    "ForceHost": _fixed("force no host"),
    "IgnoreHosts": _fixed("do not leave this host out"),
    "Retry": _fixed("mend what failed there, and ask anew"),
    "Network": _fixed("give the host that network in the inventory"),
    "Pool": _fixed("ask for another pool, or make this one on the host"),
    "Name": _fixed("choose another name, or rename the guest that has it"),
    "NumInstances": _fixed("raise max_instances_per_host"),
    "IoOps": _fixed("wait for the jobs there to end, or raise max_io_ops_per_host"),
    "ServerGroupAntiAffinity": _fixed("raise the group's max_server_per_host, or add a host"),
    "ServerGroupAffinity": _fixed("make room where the group is, or use soft-affinity"),
    "Label": _fixed("ask for other labels, or set this one in the inventory"),
    "Pressure": _fixed("wait until the host has calmed down"),
}


def _up(amount: int, total: int) -> str:
    return f"{math.ceil(amount / total * 100) / 100:.2f}"
