"""Servers that somebody moved or renamed past vmctl: the record goes after them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, update

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.schema import addresses, attempts, claims, nics, operations, servers
from vmctl.adapters.store import events
from vmctl.adapters.store.admission import enter_attempt, hold, holder_of, mark
from vmctl.adapters.store.hosts import ensure
from vmctl.adapters.store.operations import IN_THE_WAY, enter, finish
from vmctl.adapters.store.servers import rows
from vmctl.domain.build import booted
from vmctl.domain.cpus import format_cpus, read_cpus
from vmctl.domain.observation import Turn
from vmctl.domain.operation import OperationState
from vmctl.domain.record import AttemptState, Wanted
from vmctl.errors import NameTaken
from vmctl.sagas import CLEANUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.operation import Event, NewOperation
    from vmctl.domain.record import Server

_LIVE = (AttemptState.HELD, AttemptState.BEGUN)


def move(
    tx: Tx, server: Server, wanted: Wanted, operation: str, owed: NewOperation, *, event: Event
) -> Turn | None:
    """Have a server, its attempt and all that this holds be on another host.

    What it may have left is an attempt of its own, owed to the old host by that operation. None
    where somebody is at it, or it is not what it was.
    """
    row = _idle(tx, server)
    which = (attempts.c.server == server.id) & (attempts.c.number == server.attempt)
    found = rows(tx, select(attempts).where(which))
    if row is None or row["host"] != server.host or not found or found[0]["state"] not in _LIVE:
        return None
    ensure(tx, wanted.host)
    _take_back(tx, server, wanted.host)
    key = {"server": server.id, "number": server.attempt}
    (room,) = rows(tx, select(claims).where(*(claims.c[k] == v for k, v in key.items())))
    for table in (addresses, nics, claims):
        tx.connection.execute(delete(table).where(*(table.c[k] == v for k, v in key.items())))
    tx.connection.execute(
        claims.insert().values(
            **key,
            pool=wanted.pool,
            host=wanted.host,
            vcpus=wanted.vcpus,
            memory=wanted.memory,
            disk=wanted.disk,
            created=tx.now,
            cpus=format_cpus(wanted.cpus),
        )
    )
    hold(tx, server.id, server.attempt, wanted.nics)
    moved = {"host": wanted.host, "updated": tx.now}
    tx.connection.execute(update(attempts).where(which).values(**moved, plan=as_json(wanted.plan)))
    here = servers.c.id == server.id
    tx.connection.execute(update(servers).where(here).values(**moved, also="[]", boot=None))
    why = f"it was moved to {wanted.host} by hand: what it left is to be taken away"
    _owe(tx, server.id, _left(server, found[0]["plan"], room), why)
    finish(tx, enter(tx, operation, owed), OperationState.OWED, why)
    turn = Turn(
        server=server.id,
        name=server.name,
        what="host",
        before=server.host or "",
        after=wanted.host,
        host=wanted.host,
    )
    return _told(tx, event, turn)


def _take_back(tx: Tx, server: Server, host: str) -> None:
    """Owe a host nothing more of what a server left there that has come back to it."""
    left = (attempts.c.server == server.id) & (attempts.c.host == host)
    left &= (attempts.c.number > server.attempt) & (attempts.c.state == AttemptState.OWED)
    numbers = tx.connection.execute(select(attempts.c.number).where(left)).scalars().all()
    for number in numbers:
        mark(tx, server.id, number, AttemptState.RELEASED, "it has come back")
    which = (operations.c.server == server.id) & (operations.c.host == host)
    which &= (operations.c.saga == CLEANUP.name) & (operations.c.state == OperationState.OWED)
    over = {"state": OperationState.DONE, "updated": tx.now, "finished": tx.now}
    tx.connection.execute(update(operations).where(which).values(over))


def _left(server: Server, plan: str, room: Mapping[str, Any]) -> Wanted:
    """Say what is held for what a server may have left on the host that it was on.

    Its MACs go with it, and so do addresses that are the same everywhere.
    """
    own = tuple(
        replace(one, mac=f"{one.mac}@{server.host}")
        for one in server.nics
        if one.scope != one.network
    )
    return Wanted(
        host=server.host or "",
        vcpus=room["vcpus"],
        memory=room["memory"],
        disk=room["disk"],
        pool=room["pool"],
        cpus=tuple(read_cpus(room["cpus"])),
        nics=own,
        plan=json.loads(plan),
    )


def _owe(tx: Tx, server: str, left: Wanted, why: str) -> None:
    """Put on record, beside the attempt that a server stands by, what it may have left."""
    last = select(func.max(attempts.c.number)).where(attempts.c.server == server)
    number = tx.connection.execute(last).scalar_one() + 1
    left = replace(left, plan={**left.plan, "number": number})
    enter_attempt(tx, server, number, left)
    mark(tx, server, number, AttemptState.OWED, why)


def rename(
    tx: Tx, server: Server, name: str, plan: Mapping[str, object], event: Event
) -> Turn | None:
    """Have a server be called what its domain is called, and its plan say so, too.

    None where somebody is at it, or it is not what it was, or only the plan did not say so yet.
    """
    row = _idle(tx, server)
    if row is None or (row["host"], row["name"]) != (server.host, server.name):
        return None
    which = (attempts.c.server == server.id) & (attempts.c.number == server.attempt)
    tx.connection.execute(update(attempts).where(which).values(plan=as_json(plan)))
    if name == server.name:
        return None
    holder = holder_of(tx, name)
    if holder is not None:
        raise NameTaken(
            f"server {server.name} was renamed on {server.host}: its domain is called {name} now,"
            f" which is another server's name ({holder})",
            hint=f"rename one of the two: virsh domrename {name} {server.name}",
        )
    spec = json.loads(row["spec"]) | {"name": name}
    values = {"name": name, "spec": as_json(spec), "updated": tx.now}
    tx.connection.execute(update(servers).where(servers.c.id == server.id).values(values))
    turn = Turn(
        server=server.id,
        name=name,
        what="name",
        before=server.name,
        after=name,
        host=server.host,
    )
    return _told(tx, event, turn)


def renew(
    tx: Tx,
    server: Server,
    plan: Mapping[str, object],
    fields: Mapping[str, object],
    event: Event,
) -> Turn | None:
    """Have a record say of a later system that boots where its server stands.

    None where somebody is at it, or it is not what it was.
    """
    row = _idle(tx, server)
    if row is None or (row["host"], row["name"]) != (server.host, server.name):
        return None
    which = (attempts.c.server == server.id) & (attempts.c.number == server.attempt)
    before = json.loads(tx.connection.execute(select(attempts.c.plan).where(which)).scalar_one())
    values = {"plan": as_json(plan), "updated": tx.now}
    tx.connection.execute(update(attempts).where(which).values(values))
    spec = as_json(json.loads(row["spec"]) | dict(fields))
    here = servers.c.id == server.id
    tx.connection.execute(update(servers).where(here).values(spec=spec, updated=tx.now))
    turn = Turn(
        server=server.id,
        name=server.name,
        what="disk",
        before=booted(before),
        after=booted(plan),
        host=server.host,
    )
    return _told(tx, event, turn)


def _idle(tx: Tx, server: Server) -> Mapping[str, Any] | None:
    """Read a live server's row that no operation is at, and keep all others off it."""
    which = (servers.c.id == server.id) & servers.c.deleted.is_(None)
    columns = (servers.c.id, servers.c.name, servers.c.host, servers.c.spec)
    found = rows(tx, select(*columns).where(which).with_for_update())
    busy = select(operations.c.id).where(
        operations.c.server == server.id, operations.c.state.in_(IN_THE_WAY)
    )
    if not found or tx.connection.execute(busy).first() is not None:
        return None
    return found[0]


def _told(tx: Tx, event: Event, turn: Turn) -> Turn:
    events.record(tx, replace(event, server=turn.server, host=turn.host, detail=turn.detail))
    return turn
