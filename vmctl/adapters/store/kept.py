"""Secrets, idempotency keys and traces of placement: what is kept beside servers and operations."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, update

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.schema import idempotency, placements, secrets, servers
from vmctl.adapters.store.servers import listing_of, rows
from vmctl.adapters.store.upsert import upsert
from vmctl.domain.kept import KeyUse, PlacementTrace
from vmctl.errors import KeyTaken

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.operation import Token
    from vmctl.domain.record import NewServer, Server


def save_secrets(tx: Tx, operation: str, content: Mapping[str, object]) -> None:
    """Keep what an operation must know and nobody may read afterwards."""
    tx.connection.execute(secrets.insert().values(operation=operation, content=as_json(content)))


def secrets_of(tx: Tx, token: Token) -> Mapping[str, Any]:
    """Read an operation's secrets; there are none after its end."""
    query = select(secrets.c.content).where(secrets.c.operation == token.operation)
    content = tx.connection.execute(query).scalar()
    return {} if content is None else json.loads(content)


def wipe_secrets(tx: Tx, operation: str) -> None:
    """Forget an operation's secrets."""
    tx.connection.execute(delete(secrets).where(secrets.c.operation == operation))


def save_placement(tx: Tx, server: str, trace: Mapping[str, object]) -> None:
    """Keep why a server was placed where it is, instead of what was kept before."""
    values = {"trace": as_json(trace), "at": tx.now}
    new = upsert(tx, placements).values(server=server, **values)
    tx.connection.execute(new.on_conflict_do_update(index_elements=["server"], set_=values))


def placement_of(tx: Tx, server: str) -> PlacementTrace | None:
    """Read why a server was placed where it is."""
    for row in rows(tx, select(placements).where(placements.c.server == server)):
        return PlacementTrace(server=server, trace=json.loads(row["trace"]), at=row["at"])
    return None


def refuse_key(tx: Tx, server: NewServer) -> None:
    """Raise KeyTaken for a key that belongs to another create which has not failed."""
    if server.key is None:
        return
    key, request = server.key
    used = key_use(tx, key)
    others = [] if used is None else [held for held in used.servers if _another(held, server)]
    if used is None or not others:
        return
    ids = ", ".join(held.id for held in others)
    if used.request != request:
        raise KeyTaken(
            f"the idempotency key {key} belongs to another request, which made {ids}",
            hint="give this request a key of its own",
        )
    raise KeyTaken(
        f"the create with the idempotency key {key} has made {ids} already",
        hint=f"vmctl server show {others[0].id}",
    )


def _another(held: Server, server: NewServer) -> bool:
    ours = held.id == server.id or (
        held.reservation is not None and held.reservation == server.reservation
    )
    return held.holds_name and not ours


def take_key(tx: Tx, server: NewServer) -> None:
    """Keep which server a key made, now that it is on record, unless someone else was quicker."""
    if server.key is None:
        return
    key, request = server.key
    values = {"request": request, "server": server.id, "reservation": server.reservation}
    # Of two PostgreSQL transactions with one new key, the later one waits here and then sees
    # what the earlier one made.
    new = upsert(tx, idempotency).values(key=key, at=tx.now, **values)
    tx.connection.execute(new.on_conflict_do_nothing())
    which = idempotency.c.key == key
    tx.connection.execute(select(idempotency.c.key).where(which).with_for_update())
    refuse_key(tx, server)
    tx.connection.execute(update(idempotency).where(which).values(at=tx.now, **values))


def key_use(tx: Tx, key: str) -> KeyUse | None:
    """Say what a key was used for, with all servers that it made."""
    for row in rows(tx, select(idempotency).where(idempotency.c.key == key)):
        which = servers.c.id == row["server"]
        if row["reservation"] is not None:
            which |= servers.c.reservation == row["reservation"]
        made = listing_of(tx, which)
        return KeyUse(key=key, request=row["request"], at=row["at"], servers=made)
    return None
