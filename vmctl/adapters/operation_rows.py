"""Rows of operations, journals and events made values; lists of hosts and servers need none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from vmctl.domain.operation import (
    Actor,
    Event,
    JournalEntry,
    Mark,
    Operation,
    OperationState,
)

if TYPE_CHECKING:
    from vmctl.adapters.rows import Row


def operation_of(row: Row) -> Operation:
    """Make an operation of its row."""
    return Operation(
        id=row["id"],
        kind=row["kind"],
        server=row["server"],
        host=row["host"],
        saga=row["saga"],
        version=row["version"],
        params=json.loads(row["params"]),
        state=OperationState(row["state"]),
        owner=row["owner"],
        fault=row["fault"],
        started=row["started"],
        updated=row["updated"],
        finished=row["finished"],
    )


def entry_of(row: Row) -> JournalEntry:
    """Make a journal entry of its row."""
    return JournalEntry(
        operation=row["operation"],
        seq=row["seq"],
        step=row["step"],
        mark=Mark(row["mark"]),
        at=row["at"],
        detail=row["detail"],
    )


def event_of(row: Row) -> Event:
    """Make an event of its row."""
    return Event(
        actor=Actor(login=row["login"], sudo_user=row["sudo_user"], client=row["client"]),
        action=row["action"],
        result=row["result"],
        server=row["server"],
        host=row["host"],
        operation=row["operation"],
        detail=json.loads(row["detail"]),
        id=row["id"],
        at=row["at"],
    )
