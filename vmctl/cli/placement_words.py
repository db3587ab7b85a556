"""What the scheduler answers, as tables and sentences for people and as data for programs."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING

from vmctl.cli.cells import Shown
from vmctl.cli.output import Table
from vmctl.domain.resources import Resources, format_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vmctl.domain.capacity import Capacity, HostCapacity
    from vmctl.domain.fleet import Fleet
    from vmctl.domain.placement import Placement, Verdict
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.nearest import Miss


def verdict_table(
    placement: Placement,
    verdicts: Sequence[Verdict],
    zones: Mapping[str, str | None],
    misses: Sequence[Miss],
) -> Table:
    """One row for each host, the best first, and of those that are refused the nearest miss."""
    chosen = Counter(choice.host for choice in placement.choices)
    alternates = placement.choices[0].alternates if placement.choices else ()
    near = {miss.host: place for place, miss in enumerate(misses)}

    def order(verdict: Verdict) -> tuple[object, ...]:
        spare = alternates.index(verdict.host) if verdict.host in alternates else len(alternates)
        return (
            not verdict.passed,
            -chosen[verdict.host],
            spare,
            -verdict.weight,
            near.get(verdict.host, len(near)),
        )

    return Table(
        columns=("Host", "Zone", "Verdict", "Weight", "Why"),
        rows=[
            (
                verdict.host,
                zones.get(verdict.host),
                _word(verdict, chosen[verdict.host], verdict.host in alternates),
                round(verdict.weight, 3) if verdict.passed else Shown(None, "-"),
                _why(verdict),
            )
            for verdict in sorted(verdicts, key=order)
        ],
    )


def _word(verdict: Verdict, chosen: int, alternate: bool) -> str:  # noqa: FBT001 - two facts, one word
    if not verdict.passed:
        return "refused" if not chosen else f"chosen x {chosen}, by force"
    if chosen:
        return "chosen" if chosen == 1 else f"chosen x {chosen}"
    return "alternate" if alternate else "passes"


def _why(verdict: Verdict) -> str:
    if verdict.refusal is not None:
        return f"{verdict.filter}: {verdict.refusal.reason}"
    if not verdict.weights:
        return "the only host that passes"
    scores = sorted(verdict.weights.items(), key=lambda pair: -abs(pair[1].weighted))
    said = [f"{name} {score.weighted:+.2f}" for name, score in scores if score.weighted]
    return ", ".join(said) or "equal to the others"


def miss_words(misses: Sequence[Miss]) -> Iterator[str]:
    """Say which refused host lacks least, all that stands against it, and what to do."""
    if not misses:
        return
    nearest = misses[0]
    yield f"nearest miss: {nearest.host}"
    for name, refusal in nearest.refusals:
        yield f"  {name}: {refusal.reason}"
    if nearest.advice:
        yield (
            "to make it fit there:" if len(nearest.advice) == 1 else "to make it fit there, all of:"
        )
    for words in nearest.advice:
        yield f"  {words}"


def placed_words(placement: Placement, request: RequestSpec) -> Iterator[str]:
    """Say what becomes of the request as a whole."""
    if placement.failed is not None:
        yield placement.failed
        return
    placed = len(placement.choices)
    if placed < request.count:
        yield f"{placed} of {request.count} servers find a host, {request.min_count} would do"
    elif request.count > 1:
        counts = Counter(choice.host for choice in placement.choices)
        spread = ", ".join(f"{count} on {host}" for host, count in counts.most_common())
        yield f"all {request.count} servers find a host: {spread}"


def zones_of(fleet: Fleet) -> dict[str, str | None]:
    """Say in which zone each host is, by its own word."""
    return {host.name: host.zone for host in fleet.hosts}


def capacity_table(capacity: Capacity) -> Table:
    """One row for each host, the roomiest first."""
    return Table(
        columns=("Host", "Zone", "Fits", "Bound By", "Why Not One More", "Stranded Then"),
        rows=[
            (
                one.host,
                one.zone,
                "any number" if one.fits is None else one.fits,
                one.filter,
                one.refusal.reason if one.refusal else None,
                _amount(one.stranded),
            )
            for one in sorted(capacity.hosts, key=_room)
        ],
    )


def _room(one: HostCapacity) -> tuple[float, str]:
    return (float("-inf") if one.fits is None else -one.fits, one.host)


def capacity_words(capacity: Capacity, flavor: str) -> Iterator[str]:
    """Say the sums: by zone, in all, what binds, what is stranded, what one death costs."""
    if len(capacity.zones) > 1:
        zones = [f"{_number(fits)} in {zone}" for zone, fits in capacity.zones.items()]
        yield f"by zone: {', '.join(zones)}"
    yield f"in all: {_number(capacity.total)} more of {flavor}"
    binding = [
        f"{name} on {count} host{'' if count == 1 else 's'}"
        for name, count in capacity.binding.items()
    ]
    if binding:
        yield f"what binds: {', '.join(binding)}"
    if capacity.stranded != Resources():
        yield f"stranded: {_amount(capacity.stranded)}"
    survival = capacity.survival
    if survival is None:
        return
    if not survival.safe_now:
        yield f"not safe as it is: if {survival.weakest} dies, its servers find no room elsewhere"
    else:
        limit = f"; one more, and {survival.weakest} may not die" if survival.weakest else ""
        yield f"with any one host dead: {survival.fits} more{limit}"


def capacity_data(capacity: Capacity) -> dict[str, object]:
    """Give a capacity as data; memory and disk in MiB."""
    survival = capacity.survival
    return {
        "total": capacity.total,
        "zones": dict(capacity.zones),
        "hosts": [
            {
                "host": one.host,
                "zone": one.zone,
                "fits": one.fits,
                "filter": one.filter,
                "reason": one.refusal.reason if one.refusal else None,
                "need": one.refusal.need if one.refusal else None,
                "have": one.refusal.have if one.refusal else None,
                "stranded": _data(one.stranded),
            }
            for one in capacity.hosts
        ],
        "binding": dict(capacity.binding),
        "stranded": _data(capacity.stranded),
        "survive_one": None if survival is None else asdict(survival),
    }


def _data(amount: Resources) -> dict[str, int]:
    return {
        "vcpus": amount.vcpus,
        "dedicated_cpus": amount.dedicated,
        "memory_mb": amount.memory,
        "disk_mb": amount.disk,
    }


def _amount(amount: Resources) -> str:
    parts = [f"{amount.vcpus} vCPUs"] if amount.vcpus else []
    parts += [f"{amount.dedicated} dedicated CPUs"] if amount.dedicated else []
    parts += [f"{format_size(amount.memory)} memory"] if amount.memory else []
    parts += [f"{format_size(amount.disk)} disk"] if amount.disk else []
    return ", ".join(parts) or "-"


def _number(fits: int | None) -> str:
    return "any number" if fits is None else str(fits)
