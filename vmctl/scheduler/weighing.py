"""From raw numbers to weights: bounds, scaling to 0..1, multipliers, and one order of summation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.placement import Refusal, Score
from vmctl.scheduler.policy import LARGEST, Policy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.scene import Membership, Scene, Weigher

Values = tuple[float, ...]


class Broken(Exception):
    """A weigher broke on a host."""

    def __init__(self, weigher: str, refusal: Refusal) -> None:
        super().__init__(weigher)
        self.weigher = weigher
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Scale:
    """What counts as 0 among the hosts of one round, and how far it is from there to 1.

    A span of 0 means that all are equal: all count as 0.
    """

    low: float
    span: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Scales:
    """The weighers that a policy names, for one request, with their multipliers."""

    request: RequestSpec
    names: tuple[str, ...]
    weighers: tuple[Weigher, ...]
    multipliers: Values
    judged: tuple[Weigher | None, ...]

    @classmethod
    def of(
        cls, request: RequestSpec, scene: Scene, policy: Policy, weighers: Mapping[str, Weigher]
    ) -> Scales:
        """Look up the weighers of a policy and ask which of them have anything to say."""
        chosen = tuple(weighers[name] for name in policy.weighers)
        return cls(
            request=request,
            names=tuple(policy.weighers),
            weighers=chosen,
            multipliers=tuple(
                -multiplier if weigher.negated else multiplier
                for weigher, multiplier in zip(chosen, policy.weighers.values(), strict=True)
            ),
            judged=tuple(each if each.applies(request, scene) else None for each in chosen),
        )

    def raws(self, host: HostState, scene: Scene) -> Values:
        """What each weigher says of a host; raises Broken for the first that fails."""
        values: list[float] = []
        for weigher in self.judged:
            if weigher is None:
                values.append(0.0)
                continue
            try:
                value = float(weigher.raw(host, self.request, scene))
            except Exception as error:
                raise Broken(self.names[len(values)], failed("weigher", error)) from error
            if not -LARGEST <= value <= LARGEST:
                reason = f"the weigher gives {value}, which is no finite number"
                raise Broken(self.names[len(values)], Refusal(reason))
            values.append(value)
        return tuple(values)

    def floored(self, raws: Values) -> Values:
        """The raw numbers as they count: none below its weigher's floor."""
        return tuple(
            floor if floor is not None and raw < floor else raw
            for raw, floor in zip(raws, [each.floor for each in self.weighers], strict=True)
        )

    def between(self, low: Sequence[float], high: Sequence[float]) -> list[Scale]:
        """The scales for values between these bounds; a weigher with a floor begins there."""
        starts = [
            least if weigher.floor is None else weigher.floor
            for least, weigher in zip(low, self.weighers, strict=True)
        ]
        return [Scale(start, most - start) for start, most in zip(starts, high, strict=True)]

    def multipliers_in(self, membership: Membership) -> Values:
        """The multipliers for the hosts of certain aggregates, whose metadata overrides ours."""
        return tuple(
            multiplier
            if not weigher.option or weigher.option not in membership.metadata
            else _overridden(weigher, multiplier, membership)
            for weigher, multiplier in zip(self.weighers, self.multipliers, strict=True)
        )


def scores(
    scales: Scales, rows: Sequence[Values], multipliers: Sequence[Values]
) -> tuple[list[tuple[Score, ...]], list[float]]:
    """Weigh hosts against each other: for each its scores, and their sum in the weighers' order."""
    totals = [0.0] * len(rows)
    columns: list[list[Score]] = []
    for index, weigher in enumerate(scales.weighers):
        raws = [row[index] for row in rows]
        floor = weigher.floor
        values = raws if floor is None else [max(floor, raw) for raw in raws]
        low = min(values) if floor is None else floor
        span = max(values) - low
        if span:
            norms = [(value - low) / span for value in values]
            weighted = [
                row[index] * norm or 0.0 for row, norm in zip(multipliers, norms, strict=True)
            ]
            totals = [total + part for total, part in zip(totals, weighted, strict=True)]
        else:
            norms = weighted = [0.0] * len(rows)
        columns.append(list(map(Score, raws, norms, weighted)))
    return (list(zip(*columns, strict=True)) if columns else [() for _ in rows]), totals


def failed(what: str, error: Exception) -> Refusal:
    """The refusal of a host about which a filter or a weigher broke."""
    return Refusal(f"the {what} failed: {type(error).__name__}: {error}")


def _overridden(weigher: Weigher, multiplier: float, membership: Membership) -> float:
    sign = -1.0 if weigher.negated else 1.0
    return sign * membership.least(weigher.option, sign * multiplier)
