"""The scheduler's loop written down plainly: for each server filter all, weigh all, choose, take.

It shares the single filters and weighers with the engine, and nothing of how the engine goes about
them: this is what the engine must agree with, and what its speed is measured against.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.placement import Choice, Placement, Refusal, Score, Verdict
from vmctl.domain.resources import Resources
from vmctl.scheduler.chance import pick, tie_ranks
from vmctl.scheduler.filters import FILTERS, NARROWINGS, UNFORCED
from vmctl.scheduler.scene import Filter, Scene, Weigher, scene_of, settle
from vmctl.scheduler.weighers import WEIGHERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.fleet import Fleet, HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.policy import Policy

Outcome = tuple[str, Refusal]
Weighed = tuple[float, dict[str, Score]]


def naive_place(
    request: RequestSpec,
    fleet: Fleet,
    policy: Policy,
    *,
    filters: Mapping[str, Filter] = FILTERS,
    weighers: Mapping[str, Weigher] = WEIGHERS,
) -> Placement:
    scene = scene_of(request, fleet, policy)
    states = settle(fleet.hosts, request, scene)
    ranks = dict(
        zip(
            (host.name for host in states),
            tie_ranks(states, policy.tie, request.seed),
            strict=True,
        )
    )
    chain = dict(NARROWINGS)
    if request.force_host is None:
        chain |= UNFORCED
        chain |= {name: filters[name] for name in policy.filters if name not in chain}
    weighing = {name: weighers[name] for name in policy.weighers}

    rounds: list[tuple[Verdict, ...]] = []
    refused: dict[str, Outcome] = {}
    chosen: list[tuple[str, float]] = []
    order: list[tuple[str, float]] = []
    complete = True
    for index in range(request.count):
        weighed = one_round(
            states, refused, chain, weighing, policy, request, scene, first=index == 0
        )
        rounds.append(verdicts(states, refused, weighed))
        order = in_order(weighed, ranks)
        if not order:
            complete = False
            break
        best = order[: policy.host_subset_size]
        chosen.append(best[pick(request.seed, index, len(best))])
        states, scene = taken(states, scene, chosen[-1][0])
    if not complete and len(chosen) < (request.min_count or request.count):
        return Placement(choices=(), verdicts=rounds[0], failed="no", trace=tuple(rounds))
    if request.count > 1:
        weighed = one_round(states, refused, chain, weighing, policy, request, scene, first=False)
        order = in_order(weighed, ranks)
    names = {name for name, _ in chosen}
    alternates = tuple(name for name, _ in order if name not in names)
    return Placement(
        choices=tuple(
            Choice(
                index=index,
                host=host,
                weight=weight,
                alternates=alternates[: policy.max_attempts - 1],
            )
            for index, (host, weight) in enumerate(chosen)
        ),
        verdicts=rounds[0],
        trace=tuple(rounds),
    )


def one_round(  # noqa: PLR0917 -- plain on purpose
    states: list[HostState],
    refused: dict[str, Outcome],
    chain: Mapping[str, Filter],
    weighing: Mapping[str, Weigher],
    policy: Policy,
    request: RequestSpec,
    scene: Scene,
    *,
    first: bool,
) -> dict[str, Weighed]:
    survivors = [host for host in states if host.name not in refused]
    for name, each in chain.items():
        if each.once and not first:
            continue
        passing = []
        for host in survivors:
            try:
                refusal = each.check(host, request, scene)
            except Exception as error:  # noqa: BLE001 -- a plug-in may raise anything
                refusal = Refusal(f"the filter failed: {type(error).__name__}: {error}")
            if refusal is None:
                passing.append(host)
            else:
                refused[host.name] = (name, refusal)
        survivors = passing
    if len(survivors) < 2:
        return {host.name: (0.0, {}) for host in survivors}

    raws: dict[str, dict[str, float]] = {}
    for host in survivors:
        raws[host.name] = {}
        for name, weigher in weighing.items():
            try:
                raw = float(weigher.raw(host, request, scene))
            except Exception as error:  # noqa: BLE001 -- a plug-in may raise anything
                refusal = Refusal(f"the weigher failed: {type(error).__name__}: {error}")
                refused[host.name] = (name, refusal)
                break
            if not -1e300 <= raw <= 1e300:
                refusal = Refusal(f"the weigher gives {raw}, which is no finite number")
                refused[host.name] = (name, refusal)
                break
            raws[host.name][name] = raw
    survivors = [host for host in survivors if host.name not in refused]
    if len(survivors) < 2:
        return {host.name: (0.0, {}) for host in survivors}

    totals = {host.name: 0.0 for host in survivors}
    scores: dict[str, dict[str, Score]] = {host.name: {} for host in survivors}
    for name, weigher in weighing.items():
        floor = weigher.floor
        counting = {
            host.name: raws[host.name][name] if floor is None else max(raws[host.name][name], floor)
            for host in survivors
        }
        low = min(counting.values()) if floor is None else floor
        high = max(counting.values())
        for host in survivors:
            norm = 0.0 if low == high else (counting[host.name] - low) / (high - low)
            weight = multiplier(name, weigher, policy, host, scene) * norm
            totals[host.name] += weight
            scores[host.name][name] = Score(raws[host.name][name], norm, weight)
    return {host.name: (totals[host.name], scores[host.name]) for host in survivors}


def multiplier(name: str, weigher: Weigher, policy: Policy, host: HostState, scene: Scene) -> float:
    given = policy.weighers[name]
    if weigher.option:
        given = scene.aggregates(host.name).least(weigher.option, given)
    return -given if weigher.negated else given


def in_order(weighed: Mapping[str, Weighed], ranks: Mapping[str, int]) -> list[tuple[str, float]]:
    best_first = sorted(weighed, key=lambda name: (-weighed[name][0], ranks[name]))
    return [(name, weighed[name][0]) for name in best_first]


def taken(states: list[HostState], scene: Scene, chosen: str) -> tuple[list[HostState], Scene]:
    (target,) = [host for host in states if host.name == chosen]
    near = scene.spread
    after = []
    for host in states:
        new = host
        if host is target:
            new = replace(
                new,
                taken=new.taken + scene.need,
                num_instances=new.num_instances + 1,
                num_io_ops=new.num_io_ops + 1,
                members=new.members + 1 if scene.group is not None else 0,
            )
        elif target.disk_shared is not None and host.disk_shared == target.disk_shared:
            new = replace(new, taken=new.taken + Resources(disk=scene.need.disk))
        if new is not host and new.disk_available is not None:
            new = replace(new, disk_available=new.disk_available - scene.need.disk)
        if near is not None and (
            host is target
            or (near in target.labels and target.labels[near] == host.labels.get(near))
        ):
            new = replace(new, nearby=new.nearby + 1)
        after.append(new)
    if scene.group is not None:
        scene = replace(scene, members_on=scene.members_on | {chosen})
    return after, scene


def verdicts(
    states: list[HostState], refused: Mapping[str, Outcome], weighed: Mapping[str, Weighed]
) -> tuple[Verdict, ...]:
    return tuple(
        Verdict(host=host.name, filter=refused[host.name][0], refusal=refused[host.name][1])
        if host.name in refused
        else Verdict(host=host.name, weight=weighed[host.name][0], weights=weighed[host.name][1])
        for host in states
    )
