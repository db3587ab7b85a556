"""What the scheduler answers: the hosts chosen, and for every host why or why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a host is not taken, in an operator's words, and where it applies in numbers.

    `need` and `have` are in the unit of what is short: MiB, vCPUs, servers, seconds, percent.
    """

    reason: str
    need: float | None = None
    have: float | None = None


class Score(NamedTuple):
    """What one weigher says of one host: as measured, scaled to 0..1, and as it counts."""

    raw: float
    normalised: float
    weighted: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One host's outcome for one server: passed and weighed, or refused by the named filter.

    A host that passes alone is not weighed: its weight is 0 and `weights` is empty.
    """

    host: str
    filter: str | None = None
    refusal: Refusal | None = None
    weight: float = 0.0
    weights: Mapping[str, Score] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether no filter refused the host."""
        return self.refusal is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The host of one server of the request, and where to go when building there fails."""

    index: int
    host: str
    weight: float
    alternates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """The answer to one request; `failed` says why nothing is placed, and then `choices` is empty.

    `verdicts` judge every host for the first server, in the fleet's order. `trace`, when asked
    for, holds such verdicts for each server in turn, and for the one that found no host.
    """

    choices: tuple[Choice, ...]
    verdicts: tuple[Verdict, ...]
    failed: str | None = None
    trace: tuple[tuple[Verdict, ...], ...] = ()
