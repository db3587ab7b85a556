"""Place the servers of one request: filter, weigh, choose, take, and so on with the next one."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from vmctl.domain.placement import Choice, Placement, Verdict
from vmctl.errors import UsageError
from vmctl.scheduler.chance import pick, tie_ranks
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.ranking import Ranking
from vmctl.scheduler.scene import Filter, Weigher, scene_of, settle
from vmctl.scheduler.sieve import Sieve, unsupported
from vmctl.scheduler.weighers import WEIGHERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.fleet import Fleet
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.policy import Policy


def place(
    request: RequestSpec,
    fleet: Fleet,
    policy: Policy,
    *,
    filters: Mapping[str, Filter] = FILTERS,
    weighers: Mapping[str, Weigher] = WEIGHERS,
    trace: bool = False,
) -> Placement:
    """Choose a host for each server of a request, and say of every host why or why not.

    The same input gives the same answer, whatever else happens. `filters` and `weighers` are the
    tables in which the policy's names are looked up.
    """
    check_names(policy, filters, weighers)
    scene = scene_of(request, fleet, policy)
    hosts = settle(fleet.hosts, request, scene)
    names = [host.name for host in hosts]
    refused = unsupported(scene, policy)
    if refused is not None:
        verdicts = tuple(
            Verdict(host=name, filter="ServerGroup", refusal=refused) for name in names
        )
        return Placement(choices=(), verdicts=verdicts, failed=refused.reason)
    sieve = Sieve(request, scene, policy, filters, hosts)
    ranks = tie_ranks(hosts, policy.tie, request.seed)
    ranking = Ranking(request, policy, weighers, sieve, ranks, all_weights=trace)
    spares = policy.max_attempts - 1
    rounds: list[tuple[Verdict, ...]] = []
    chosen: list[tuple[float, int]] = []
    first: list[tuple[float, int]] = []
    failed: str | None = None
    for index in range(request.count):
        best = ranking.best()
        size = min(policy.host_subset_size, len(sieve.alive))
        order = list(islice(best, size + spares if index == 0 else size))
        if index == 0 or trace:
            rounds.append(ranking.verdicts(names))
        if not order:
            failed = _shortfall(sieve, index, request)
            break
        first = first or order
        chosen.append(order[pick(request.seed, index, size)])
        sieve.take(chosen[-1][1])
    traced = tuple(rounds) if trace else ()
    if failed is not None and len(chosen) < (request.min_count or request.count):
        return Placement(choices=(), verdicts=rounds[0], failed=failed, trace=traced)
    taken = {host for _, host in chosen}
    rest = ranking.best() if request.count > 1 and spares else iter(first)
    spare = tuple(islice((names[host] for _, host in rest if host not in taken), spares))
    choices = tuple(
        Choice(index=index, host=names[host], weight=weight, alternates=spare)
        for index, (weight, host) in enumerate(chosen)
    )
    return Placement(choices=choices, verdicts=rounds[0] if rounds else (), trace=traced)


def check_names(
    policy: Policy, filters: Mapping[str, Filter], weighers: Mapping[str, Weigher]
) -> None:
    """Refuse a policy that names a filter or weigher which is not in the tables."""
    for kind, named, known in (
        ("filter", policy.filters, filters),
        ("weigher", policy.weighers, weighers),
    ):
        unknown = [name for name in named if name not in known]
        if unknown:
            raise UsageError(
                f"there is no {kind} named {', '.join(unknown)}",
                hint=f"{kind}s: {', '.join(known)}",
            )


def _shortfall(sieve: Sieve, placed: int, request: RequestSpec) -> str:
    counts = Counter(name for name, _ in sieve.refusals.values())
    refusals = [
        f"{name} refuses {count} host{'' if count == 1 else 's'}"
        for name, count in counts.most_common()
    ]
    why = ", ".join(refusals) or "the fleet has no hosts"
    if request.count == 1:
        return f"no host can take the server: {why}"
    return f"only {placed} of {request.count} servers find a host: {why}"
