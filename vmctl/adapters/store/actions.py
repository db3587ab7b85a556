"""What was done to a server: its operations, their journals and what events say of them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select

from vmctl.adapters.operation_rows import entry_of
from vmctl.adapters.schema import journal, operations
from vmctl.adapters.store import events
from vmctl.adapters.store.operations import listing
from vmctl.adapters.store.servers import rows
from vmctl.domain.action import Action, step_runs

if TYPE_CHECKING:
    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.operation import Event, JournalEntry


def actions(tx: Tx, server: str) -> tuple[Action, ...]:
    """List what was done to a server, by its id, the oldest first."""
    told: dict[str | None, list[Event]] = defaultdict(list)
    for event in events.of_server(tx, server):
        told[event.operation].append(event)
    done: dict[str, list[JournalEntry]] = defaultdict(list)
    ours = select(operations.c.id).where(operations.c.server == server)
    query = select(journal).where(journal.c.operation.in_(ours)).order_by(journal.c.seq)
    for entry in map(entry_of, rows(tx, query)):
        done[entry.operation].append(entry)
    found = [
        Action(
            request=operation.id,
            server=server,
            action=operation.kind,
            actor=told[operation.id][0].actor if told[operation.id] else None,
            owner=operation.owner,
            state=operation.state,
            fault=operation.fault,
            started=operation.started,
            updated=operation.updated,
            finished=operation.finished,
            steps=step_runs(done[operation.id]),
            events=tuple(told.pop(operation.id, ())),
        )
        for operation in listing(tx, unfinished=False, server=server)
    ]
    alone = (_alone(event, server) for each in told.values() for event in each)
    return tuple(sorted((*found, *alone), key=lambda action: action.started))


def _alone(event: Event, server: str) -> Action:
    return Action(
        request=event.operation or "",
        server=server,
        action=event.action,
        actor=event.actor,
        owner="",
        state=None,
        fault=None,
        started=event.at,
        updated=event.at,
        finished=event.at,
        events=(event,),
    )
