"""Servers with their attempts, claims and addresses: reading them, and changing a server."""

from __future__ import annotations

import json
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import Select, func, or_, select, update

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.rows import (
    attempts_of,
    by_name,
    claim_of,
    nics_of,
    seen_text,
    server_of,
    the_one,
)
from vmctl.adapters.schema import addresses, attempts, claims, nics, servers
from vmctl.domain.record import ServerState

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from sqlalchemy import ColumnElement

    from vmctl.adapters.rows import Nics
    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.record import Attempt, Change, Claim, Server


def rows(tx: Tx, query: Select[Any]) -> list[Mapping[str, Any]]:
    """Read the rows that a query finds, by their columns' names."""
    result = tx.connection.execute(query)
    names = tuple(result.keys())
    return [dict(zip(names, row, strict=True)) for row in result.all()]


def listing(tx: Tx, *, deleted: bool) -> tuple[Server, ...]:
    """List servers by name, those that were deleted only on request."""
    return listing_of(tx, None if deleted else servers.c.deleted.is_(None))


def listing_of(tx: Tx, which: ColumnElement[bool] | None) -> tuple[Server, ...]:
    """List the servers that a condition chooses, or all there ever were, by name."""
    query = select(servers)
    if which is None:
        cards = _nics(tx)
    else:
        query = query.where(which)
        cards = _nics(tx, nics.c.server.in_(select(servers.c.id).where(which)))
    return by_name(server_of(row, cards) for row in rows(tx, query))


def find(tx: Tx, word: str) -> Server:
    """Find the server that a word means: an id, of a deleted one too, or a live one's name."""
    named = (servers.c.name == word) & servers.c.deleted.is_(None)
    found = rows(tx, select(servers).where(or_(servers.c.id == word, named)))
    cards = _nics(tx, nics.c.server.in_([row["id"] for row in found]))
    return the_one(word, by_name(server_of(row, cards) for row in found))


def attempts_at(tx: Tx, server: str) -> tuple[Attempt, ...]:
    """List the attempts of one server."""
    return attempts_of(
        rows(tx, select(attempts).where(attempts.c.server == server)),
        rows(tx, select(claims).where(claims.c.server == server)),
        _nics(tx, nics.c.server == server),
    )


def claims_on(tx: Tx, host: str) -> tuple[Claim, ...]:
    """List the live claims on a host, or on all of them, in a stable order."""
    query = select(claims)
    if host:
        query = query.where(claims.c.host == host)
    found = sorted(rows(tx, query), key=itemgetter("server", "number", "pool"))
    return tuple(map(claim_of, found))


def addresses_in(tx: Tx, scope: str) -> frozenset[str]:
    """Say which addresses are held within a scope."""
    query = select(addresses.c.address).where(addresses.c.scope == scope)
    return frozenset(tx.connection.execute(query).scalars())


def nics_at(tx: Tx, ids: Collection[str]) -> Nics:
    """Read the network cards of all attempts of some servers."""
    return _nics(tx, nics.c.server.in_(ids))


def change(tx: Tx, server: str | None, change: Change) -> None:
    """Change what the record says of a server; what a change leaves None stays."""
    values: dict[str, Any] = {"task": change.task, "updated": tx.now}
    for name in ("name", "state", "power", "host", "fault", "locked", "protected", "boot"):
        value = getattr(change, name)
        if value is not None:
            values[name] = value
    if change.state not in (None, ServerState.ERROR):
        # What a look made of it is over: this is what was done to it.
        values["lost"] = None
    values.update(dict.fromkeys(change.clear))
    if change.spec is not None:
        values["spec"] = as_json(change.spec)
    if change.seen is not None:
        values["seen"] = seen_text(change.seen)
    if change.seen is not None or change.power is not None:
        values["seen_at"] = tx.now
    if change.launched:
        values["launched"] = func.coalesce(servers.c.launched, tx.now)
    if change.deleted:
        values["deleted"] = func.coalesce(servers.c.deleted, tx.now)
    tx.connection.execute(update(servers).where(servers.c.id == server).values(values))
    if change.domain is not None:
        _name_domain(tx, server, change.domain)


def _name_domain(tx: Tx, server: str | None, name: str) -> None:
    """Have the plan of a server's last attempt say what its domain is called."""
    last = select(servers.c.attempt).where(servers.c.id == server).scalar_subquery()
    which = (attempts.c.server == server) & (attempts.c.number == last)
    plan = json.loads(tx.connection.execute(select(attempts.c.plan).where(which)).scalar_one())
    if plan.get("name") != name:
        values = {"plan": as_json({**plan, "name": name}), "updated": tx.now}
        tx.connection.execute(update(attempts).where(which).values(values))


def _nics(tx: Tx, which: ColumnElement[bool] | None = None) -> Nics:
    cards, held = select(nics), select(addresses)
    if which is not None:
        cards = cards.where(which)
        chosen = select(nics.c.server).where(which)
        held = held.where(addresses.c.server.in_(chosen))
    return nics_of(rows(tx, cards), rows(tx, held))
