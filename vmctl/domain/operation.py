"""Operations, their journals and events: what was intended, how far it came, who wanted it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class OperationState(StrEnum):
    """Where an operation stands; the first two keep every other one off its server."""

    RUNNING = "running"  # its owner is at work, or was killed at it
    STUCK = "stuck"  # an undo failed, or a step that had to go forward
    OWED = "owed"  # over for its server, yet a host is not proven clean
    DONE = "done"
    UNWOUND = "unwound"

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return self in {OperationState.DONE, OperationState.UNWOUND}


class Mark(StrEnum):
    """What a journal says of a step; a start without its end means that nobody knows."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    UNDO_STARTED = "undo-started"
    UNDONE = "undone"
    UNDO_FAILED = "undo-failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who gave a command: a login, whoever stands behind sudo, and the machine it came from."""

    login: str
    sudo_user: str | None = None
    client: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOperation:
    """An operation that is about to go on record, with all that resuming or undoing it needs."""

    kind: str
    saga: str
    version: int
    owner: str
    server: str | None = None
    host: str | None = None
    params: Mapping[str, object] = field(default_factory=dict)
    secrets: Mapping[str, object] | None = field(default=None, repr=False)
    """What it must know and nobody may read after its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """An operation as it stands on record; to write for it takes its token."""

    id: str
    kind: str
    server: str | None
    host: str | None
    saga: str
    version: int
    params: Mapping[str, object]
    state: OperationState
    owner: str
    fault: str | None
    started: float
    updated: float
    finished: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """The right to write for an operation, void as soon as someone else has adopted it."""

    operation: str
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """One mark on one step, in the order in which they were made."""

    operation: str
    seq: int
    step: str
    mark: Mark
    at: float
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that someone did, for people to read afterwards; it outlives what it is about."""

    actor: Actor
    action: str
    result: str
    server: str | None = None
    host: str | None = None
    operation: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
    id: int = 0  # given by the database, rising
    at: float = 0.0  # the time of the transaction that wrote it
