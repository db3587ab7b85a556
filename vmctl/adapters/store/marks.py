"""What operators say of a server by hand, whatever is being done to it and wherever it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from vmctl.adapters.schema import servers
from vmctl.adapters.store import events
from vmctl.adapters.store.operations import refuse_company
from vmctl.domain.record import ServerState
from vmctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.operation import Event

_RESET = "reset by hand"


def lock(tx: Tx, server: str, reason: str | None, event: Event) -> bool:
    """Lock a server for a reason, which may be '', or unlock it; say whether that is news."""
    return _write(tx, _row(tx, server), event, locked=reason)


def protect(tx: Tx, server: str, event: Event, *, on: bool) -> bool:
    """Have a server protected from being deleted, or not; say whether that is news."""
    return _write(tx, _row(tx, server), event, protected=on)


def reset(tx: Tx, server: str, state: ServerState, event: Event) -> bool:
    """Have a server be active or in error, and idle; say whether that is news."""
    row = _row(tx, server)
    refuse_company(tx, server, row.name)
    if state is ServerState.ERROR:
        same = row.state == state and row.task is None
        return not same and _write(tx, row, event, state=state, task=None, fault=_RESET)
    if row.launched is None:
        raise Conflict(
            f"server {row.name} never ran: it cannot be {state}",
            hint=f"vmctl server show {row.name} tells why; vmctl server delete {row.name}",
        )
    return _write(tx, row, event, state=state, task=None, fault=None)


def _row(tx: Tx, server: str) -> Any:
    """Read a live server's row, and keep all others off it."""
    query = select(servers).where(servers.c.id == server).with_for_update()
    row = tx.connection.execute(query).first()
    if row is None:
        raise NotFound(f"no server has the id {server}", hint="vmctl server list")
    if row.deleted is not None:
        raise Conflict(f"server {row.name} is deleted: it stays as it was")
    return row


def _write(tx: Tx, row: Any, event: Event, **values: Any) -> bool:
    if all(getattr(row, name) == value for name, value in values.items()):
        return False
    change = update(servers).where(servers.c.id == row.id)
    tx.connection.execute(change.values(**values, updated=tx.now))
    events.record(tx, event)
    return True
