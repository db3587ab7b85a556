"""Servers that somebody moved or renamed past vmctl: the record goes after them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.schema import addresses, attempts, claims, nics, operations, servers
from vmctl.adapters.store import events
from vmctl.adapters.store.admission import hold, holder_of
from vmctl.adapters.store.hosts import ensure
from vmctl.adapters.store.operations import IN_THE_WAY
from vmctl.adapters.store.servers import rows
from vmctl.domain.observation import Turn
from vmctl.domain.record import AttemptState
from vmctl.errors import NameTaken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.operation import Event
    from vmctl.domain.record import Server, Wanted

_LIVE = (AttemptState.HELD, AttemptState.BEGUN)


def move(
    tx: Tx, server: Server, wanted: Wanted, event: Event, *, why: str | None = None
) -> Turn | None:
    """Have a server, its attempt and all that this holds be on another host.

    None where somebody is at it, or it is not what it was.
    """
    row = _idle(tx, server)
    which = (attempts.c.server == server.id) & (attempts.c.number == server.attempt)
    state = tx.connection.execute(select(attempts.c.state).where(which)).scalar()
    if row is None or row["host"] != server.host or state not in _LIVE:
        return None
    ensure(tx, wanted.host)
    key = {"server": server.id, "number": server.attempt}
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
        )
    )
    hold(tx, server.id, server.attempt, wanted.nics)
    moved = {"host": wanted.host, "updated": tx.now}
    tx.connection.execute(update(attempts).where(which).values(**moved, plan=as_json(wanted.plan)))
    here = servers.c.id == server.id
    tx.connection.execute(update(servers).where(here).values(**moved, also="[]", boot=None))
    turn = Turn(
        server=server.id,
        name=server.name,
        what="host",
        before=server.host or "",
        after=wanted.host,
        host=wanted.host,
        why=why,
    )
    return _told(tx, event, turn)


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
