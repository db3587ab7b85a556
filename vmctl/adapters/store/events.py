"""Events: who did what, when, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.operation_rows import event_of
from vmctl.adapters.schema import events, servers
from vmctl.adapters.store.servers import rows

if TYPE_CHECKING:
    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.operation import Event


def record(tx: Tx, event: Event) -> int:
    """Write an event at the transaction's time and return its id."""
    row = (
        events.insert()
        .values(
            at=tx.now,
            login=event.actor.login,
            sudo_user=event.actor.sudo_user,
            client=event.actor.client,
            action=event.action,
            result=event.result,
            server=event.server,
            host=event.host,
            operation=event.operation,
            detail=as_json(event.detail),
        )
        .returning(events.c.id)
    )
    return int(tx.connection.execute(row).scalar_one())


def listing(
    tx: Tx, *, server: str, host: str, operation: str, after: int, limit: int
) -> tuple[Event, ...]:
    """Read events, oldest first; a limit keeps the newest ones."""
    query = select(events).where(events.c.id > after).order_by(events.c.id.desc())
    if server:
        # Those of a failed server belong to the story of the one that bears its name now.
        namesakes = select(servers.c.id).where(servers.c.name == server)
        query = query.where((events.c.server == server) | events.c.server.in_(namesakes))
    if host:
        query = query.where(events.c.host == host)
    if operation:
        query = query.where(events.c.operation == operation)
    if limit:
        query = query.limit(limit)
    return tuple(map(event_of, reversed(rows(tx, query))))


def of_server(tx: Tx, server: str) -> tuple[Event, ...]:
    """Read the events of one server, by its id, oldest first."""
    query = select(events).where(events.c.server == server).order_by(events.c.id)
    return tuple(map(event_of, rows(tx, query)))
