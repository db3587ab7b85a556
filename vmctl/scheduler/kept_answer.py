"""An answer read back from where it was kept, to be told again as it was told then."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmctl.domain.placement import Choice, Placement, Refusal, Score, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping


def placement_from(kept: Mapping[str, Any]) -> Placement:
    """Read what `answer` gave; ValueError where it is none."""
    try:
        return Placement(
            choices=tuple(
                Choice(
                    index=one["index"],
                    host=one["host"],
                    weight=one["weight"],
                    alternates=tuple(one["alternates"]),
                )
                for one in kept["placements"]
            ),
            verdicts=tuple(_verdict(one) for one in kept["verdicts"]),
            failed=kept["failed"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"no answer of the scheduler: {error}") from error


def _verdict(one: Mapping[str, Any]) -> Verdict:
    refusal = None
    if not one["passed"]:
        refusal = Refusal(one["reason"], need=one["need"], have=one["have"])
    weights = {name: Score(**score) for name, score in one["weights"].items()}
    return Verdict(
        host=one["host"],
        filter=one["filter"],
        refusal=refusal,
        weight=sum((score.weighted for score in weights.values()), 0.0),
        weights=weights,
    )
