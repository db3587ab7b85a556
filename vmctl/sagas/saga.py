"""Workflows: tables of idempotent steps, and one pure function that says what comes next.

Starting and recovering are the same call: both read the journal and go on from there. A step's
`do` ensures that something is there, its `undo` that it is not; each may run any number of times,
and `undo` is right whether `do` ran, half ran or never ran.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from vmctl.domain.operation import Mark
from vmctl.errors import OwnershipLost

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

W = TypeVar("W")

UNWIND = "unwind"
"""The step that stands in the journal where someone asked that all be undone."""


class Outcome(StrEnum):
    """How a run ended."""

    DONE = "done"
    UNWOUND = "unwound"
    STUCK = "stuck"  # an undo failed, or a step from which there is no way back


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(Generic[W]):
    """One row of a workflow; once the pivot was begun there is only the way forward."""

    name: str
    do: Callable[[W], None]
    undo: Callable[[W], None] | None = None
    pivot: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Saga(Generic[W]):
    """A workflow: its name and version stand on record, so that an old one stays unwindable."""

    name: str
    version: int
    steps: tuple[Step[W], ...]


class Log(Protocol):
    """The journal of one run of a saga."""

    def marks(self) -> Sequence[tuple[str, Mark]]:
        """Every mark there is, oldest first, each with its step."""

    def write(self, step: str, mark: Mark, detail: str = "") -> None:
        """Commit a mark; OwnershipLost if someone else has taken the operation over."""


@dataclass(frozen=True, slots=True)
class Do(Generic[W]):
    """The next move is forward."""

    step: Step[W]


@dataclass(frozen=True, slots=True)
class Undo(Generic[W]):
    """The next move is back."""

    step: Step[W]


Move = Do[W] | Undo[W] | Outcome


def next_move(saga: Saga[W], marks: Sequence[tuple[str, Mark]]) -> Move[W]:
    """Say what to do next, given only what is on record.

    A step that was started and has no end is unknown: forward it is done again, backward undone.
    """
    last: dict[str, Mark] = dict(marks)
    back = _turned_back(marks)
    steps = saga.steps
    if not back:
        todo = next((one for one in steps if last.get(one.name) is not Mark.DONE), None)
        return Outcome.DONE if todo is None else Do(todo)
    for step in reversed(steps):
        if last.get(step.name) in (None, Mark.UNDONE) or step.undo is None:
            continue
        return Undo(step)
    return Outcome.UNWOUND


def _turned_back(marks: Sequence[tuple[str, Mark]]) -> bool:
    """Whether the run is on its way back: from the first failure before the pivot on."""
    return any(mark in _BACK for _, mark in marks)


_BACK = {Mark.FAILED, Mark.UNDO_STARTED, Mark.UNDONE, Mark.UNDO_FAILED}


def past_pivot(saga: Saga[W], marks: Sequence[tuple[str, Mark]]) -> bool:
    """Whether a step was begun from which there is no way back."""
    begun = {step for step, _ in marks}
    return any(step.pivot and step.name in begun for step in saga.steps)


def run(
    saga: Saga[W],
    journal: Log,
    work: W,
    *,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[str, Mark], None] = lambda _step, _mark: None,
    turn: Callable[[Exception], None] = lambda _fault: None,
    keep: bool = False,
) -> tuple[Outcome, Exception | None]:
    """Go on from what the journal says until an end, and say how and why it ended so.

    `check` is asked before each step forward, and once more after the last if that is to be undone:
    it raises what is to be taken for a failure, an interrupt, say. Past the pivot nobody is asked.
    There a failure stops the run, to be resumed; so it does before it where what was done is to be
    kept. `turn` is told of the failure after which all is undone, before anything is.
    """
    fault: Exception | None = None
    last: Step[W] | None = None
    while True:
        marks = journal.marks()
        move = next_move(saga, marks)
        ending = move is Outcome.DONE and last is not None and last.undo is not None and not keep
        if (isinstance(move, Do) or ending) and not past_pivot(saga, marks):
            objection = _objection(check)
            if objection is not None:
                # No step has failed, and one that would be the pivot was not begun.
                fault = objection
                journal.write(UNWIND, Mark.FAILED, str(fault))
                tell(move.step.name if isinstance(move, Do) else saga.steps[-1].name, Mark.FAILED)
                if keep and any(mark is Mark.DONE for _, mark in marks):
                    return Outcome.STUCK, fault
                turn(fault)
                continue
        if isinstance(move, Outcome):
            return move, fault
        forward = isinstance(move, Do)
        step = move.step
        start, done, failed = _FORWARD if forward else _BACKWARD
        journal.write(step.name, start)
        tell(step.name, start)
        try:
            if forward:
                step.do(work)
            elif step.undo is not None:
                step.undo(work)
        except OwnershipLost:
            raise
        except Exception as error:  # any failure of a step is a move of the saga
            log.info("%s %s: %s", step.name, failed, error, exc_info=error)
            if forward:
                fault = error
            if not forward or past_pivot(saga, journal.marks()):
                # Left as it was begun: whoever resumes it tries the same step again.
                if not forward:
                    journal.write(step.name, failed, str(error))
                tell(step.name, failed)
                return Outcome.STUCK, fault or error
            journal.write(step.name, failed, str(error))
            tell(step.name, failed)
            if keep and any(mark is Mark.DONE for _, mark in journal.marks()):
                # Where nothing was made there is nothing to look at.
                return Outcome.STUCK, fault
            turn(error)
        else:
            journal.write(step.name, done)
            tell(step.name, done)
            last = step if forward else last


def _objection(check: Callable[[], None]) -> Exception | None:
    """Ask whether anything speaks against going on."""
    try:
        check()
    except OwnershipLost:
        raise
    except Exception as error:
        log.info("not beyond this: %s", error, exc_info=error)
        return error
    return None


_FORWARD = (Mark.STARTED, Mark.DONE, Mark.FAILED)
_BACKWARD = (Mark.UNDO_STARTED, Mark.UNDONE, Mark.UNDO_FAILED)
