"""What was done to a server, for people to read: operations with their steps and events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vmctl.domain.operation import Mark

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.domain.operation import Actor, Event, JournalEntry, OperationState

_ENDS = {
    Mark.DONE: Mark.STARTED,
    Mark.FAILED: Mark.STARTED,
    Mark.UNDONE: Mark.UNDO_STARTED,
    Mark.UNDO_FAILED: Mark.UNDO_STARTED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRun:
    """One go at a step, or at undoing it; without an end, nobody knows how it went."""

    step: str
    mark: Mark  # the last one
    started: float
    finished: float | None = None
    detail: str = ""

    @property
    def undo(self) -> bool:
        """Whether it was undone, not done."""
        return self.mark in {Mark.UNDO_STARTED, Mark.UNDONE, Mark.UNDO_FAILED}

    @property
    def failed(self) -> bool:
        """Whether it ended, and not well."""
        return self.mark in {Mark.FAILED, Mark.UNDO_FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One operation on a server from its start to where it stands, or an event without one.

    `request` is the operation's id, by which people ask for it.
    """

    request: str
    server: str
    action: str
    actor: Actor | None  # None where no event says it
    owner: str
    state: OperationState | None  # None: there was no operation
    fault: str | None
    started: float
    updated: float
    finished: float | None
    steps: tuple[StepRun, ...] = ()
    events: tuple[Event, ...] = ()


def step_runs(journal: Iterable[JournalEntry]) -> tuple[StepRun, ...]:
    """Read a journal as goes at steps, in the order in which they were begun."""
    runs: list[StepRun] = []
    for entry in journal:
        begun = _ENDS.get(entry.mark)
        run = StepRun(step=entry.step, mark=entry.mark, started=entry.at, detail=entry.detail)
        if begun is None:
            runs.append(run)
            continue
        run = replace(run, finished=entry.at)
        for index in reversed(range(len(runs))):
            if (runs[index].step, runs[index].mark) == (entry.step, begun):
                runs[index] = replace(run, started=runs[index].started)
                break
        else:
            runs.append(run)
    return tuple(runs)
