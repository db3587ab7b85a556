"""Operations and their journals: who may write, and what was written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.operation_rows import entry_of, operation_of
from vmctl.adapters.schema import journal, operations, servers
from vmctl.adapters.store.servers import rows
from vmctl.domain.deed import refuse_locked
from vmctl.domain.operation import (
    JournalEntry,
    Mark,
    NewOperation,
    Operation,
    OperationState,
    Token,
)
from vmctl.errors import Busy, Conflict, NotFound, OwnershipLost

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.record import ServerState

IN_THE_WAY = (OperationState.RUNNING, OperationState.STUCK)
_UNFINISHED = (*IN_THE_WAY, OperationState.OWED)


def enter(tx: Tx, operation: str, new: NewOperation) -> Token:
    """Put an operation on record, running, and give its first token."""
    tx.connection.execute(
        operations.insert().values(
            id=operation,
            kind=new.kind,
            server=new.server,
            host=new.host,
            saga=new.saga,
            version=new.version,
            params=as_json(new.params),
            state=OperationState.RUNNING,
            token=1,
            owner=new.owner,
            started=tx.now,
            updated=tx.now,
        )
    )
    return Token(operation=operation, number=1)


def begin(
    tx: Tx,
    operation: str,
    new: NewOperation,
    expect: Collection[ServerState],
    task: str | None,
    *,
    despite: bool = False,
) -> Token:
    """Put an operation on an idle server on record, if its state and its lock allow it."""
    if new.server is not None:
        which = servers.c.id == new.server
        columns = (servers.c.name, servers.c.state, servers.c.locked)
        server = tx.connection.execute(select(*columns).where(which).with_for_update()).first()
        if server is None:
            raise NotFound(f"no server has the id {new.server}", hint="vmctl server list")
        refuse_company(tx, new.server, server.name)
        if not despite:
            refuse_locked(server.name, server.locked)
        if expect and server.state not in expect:
            allowed = " or ".join(sorted(expect))
            raise Conflict(
                f"server {server.name} is {server.state}; {new.kind} needs it to be {allowed}"
            )
        values = {"task": task, "updated": tx.now}
        tx.connection.execute(update(servers).where(which).values(values))
    return enter(tx, operation, new)


def refuse_company(tx: Tx, server: str, name: str) -> None:
    """Raise Busy if an operation on this server is not out of the way."""
    query = select(operations).where(
        operations.c.server == server, operations.c.state.in_(IN_THE_WAY)
    )
    for row in rows(tx, query):
        other = operation_of(row)
        raise Busy(
            f"a {other.kind} of server {name} by {other.owner} is {other.state} ({other.id})",
            hint=f"wait for it, or if its owner is gone: vmctl operation resume {other.id}",
        )


def adopt(tx: Tx, operation: str, owner: str) -> Token:
    """Make every earlier token void and give the next one."""
    which = operations.c.id == operation
    query = select(operations.c.state, operations.c.token).where(which).with_for_update()
    found = tx.connection.execute(query).first()
    if found is None:
        raise NotFound(f"no operation has the id {operation}", hint="vmctl operation list")
    if OperationState(found.state).over:
        raise Conflict(f"operation {operation} is {found.state} already")
    number = found.token + 1
    values = {"token": number, "owner": owner, "state": OperationState.RUNNING, "updated": tx.now}
    tx.connection.execute(update(operations).where(which).values(values))
    return Token(operation=operation, number=number)


def fenced(tx: Tx, token: Token, **values: Any) -> str | None:
    """Write to the operation's row as its owner and return its server; a loser stops here.

    On PostgreSQL the row stays locked, so that no one adopts the operation before the end of this
    transaction.
    """
    change = (
        update(operations)
        .where(
            operations.c.id == token.operation,
            operations.c.token == token.number,
            operations.c.state == OperationState.RUNNING,
        )
        .values(updated=tx.now, **values)
        .returning(operations.c.server)
    )
    found = tx.connection.execute(change).first()
    if found is None:
        raise OwnershipLost(
            f"operation {token.operation} is no longer ours: another process has taken it over",
            hint=f"vmctl operation show {token.operation}",
        )
    server: str | None = found.server
    return server


def write(tx: Tx, token: Token, step: str, mark: Mark, detail: str) -> JournalEntry:
    """Add a mark to the journal as its owner."""
    fenced(tx, token)
    last = select(func.max(journal.c.seq)).where(journal.c.operation == token.operation)
    seq = (tx.connection.execute(last).scalar() or 0) + 1
    values = {
        "operation": token.operation,
        "seq": seq,
        "step": step,
        "mark": mark,
        "at": tx.now,
        "detail": detail,
    }
    tx.connection.execute(journal.insert().values(**values, token=token.number))
    return entry_of(values)


def finish(tx: Tx, token: Token, state: OperationState, fault: str | None) -> str | None:
    """Leave an operation in its last state, or where someone else has to go on with it."""
    values: dict[str, Any] = {"state": state}
    if state.over:
        values["finished"] = tx.now
    if fault is not None:
        values["fault"] = fault
    return fenced(tx, token, **values)


def amend(tx: Tx, token: Token, params: Mapping[str, object]) -> None:
    """Write an operation's parameters anew, as its owner."""
    fenced(tx, token, params=as_json(params))


def find(tx: Tx, word: str) -> Operation:
    """Find an operation by its id, or by the beginning of just one id."""
    query = select(operations).where(operations.c.id.startswith(word, autoescape=True))
    found = [operation_of(row) for row in rows(tx, query)]
    exact = [operation for operation in found if operation.id == word]
    match exact or found:
        case [one]:
            return one
        case []:
            raise NotFound(f"no operation has the id {word}", hint="vmctl operation list")
        case several:
            raise Conflict(f"{len(several)} operations begin with {word}", hint="give more of it")


def listing(tx: Tx, *, unfinished: bool, server: str) -> tuple[Operation, ...]:
    """List operations, the oldest first."""
    query = select(operations)
    if unfinished:
        query = query.where(operations.c.state.in_(_UNFINISHED))
    if server:
        query = query.where(operations.c.server == server)
    found = map(operation_of, rows(tx, query))
    return tuple(sorted(found, key=lambda operation: (operation.started, operation.id)))


def journal_of(tx: Tx, operation: str) -> tuple[JournalEntry, ...]:
    """Read a journal in order."""
    query = select(journal).where(journal.c.operation == operation).order_by(journal.c.seq)
    return tuple(map(entry_of, rows(tx, query)))
