"""Servers as they were seen on their hosts, written for all of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from vmctl.adapters.rows import seen_text
from vmctl.adapters.schema import operations, servers
from vmctl.adapters.store.operations import IN_THE_WAY
from vmctl.adapters.store.servers import rows
from vmctl.domain.observation import Turn, state_seen
from vmctl.domain.record import ServerState

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.observation import Observation

_WRITTEN = ("state", "power", "seen", "seen_at", "boot", "updated")


def observe(tx: Tx, observations: Iterable[Observation]) -> tuple[Turn, ...]:
    """Write what was seen of servers that nobody is at, and say which states turned."""
    looks = sorted(observations, key=lambda look: look.at)
    held = _held(tx, {look.host for look in looks})
    turns: list[Turn] = []
    written: dict[str, dict[str, Any]] = {}
    for look in looks:
        row = held.get((look.server, look.host))
        if row is None or (row["seen_at"] is not None and row["seen_at"] > look.at):
            continue
        before = ServerState(row["state"])
        after = state_seen(before, look.power, saved=look.saved)
        row.update(state=after, power=look.power, seen_at=look.at)
        if look.boot is not None:
            row["boot"] = look.boot
        if look.seen is not None:
            row["seen"] = seen_text(look.seen)
        if after is not before:
            row["updated"] = tx.now
            turns.append(Turn(server=look.server, name=row["name"], before=before, after=after))
        written[look.server] = row
    if written:
        new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in _WRITTEN}
        change = update(servers).where(servers.c.id == bindparam("server")).values(new)
        values = [
            {"server": server, **{f"new_{name}": row[name] for name in _WRITTEN}}
            for server, row in sorted(written.items())
        ]
        tx.connection.execute(change, values)
    return tuple(turns)


def _held(tx: Tx, hosts: Iterable[str]) -> dict[tuple[str, str], dict[str, Any]]:
    """Read the live servers of some hosts that no operation is at, and keep all others off them."""
    here = servers.c.host.in_(sorted(hosts)) & servers.c.deleted.is_(None)
    columns = [servers.c[name] for name in ("id", "name", "host", *_WRITTEN)]
    # In one order everywhere, so that two PostgreSQL transactions never wait for each other.
    query = select(*columns).where(here).order_by(servers.c.id).with_for_update()
    found: list[Mapping[str, Any]] = rows(tx, query)
    at_work = select(operations.c.server).where(operations.c.state.in_(IN_THE_WAY))
    busy = set(tx.connection.execute(at_work).scalars())
    return {(row["id"], row["host"]): dict(row) for row in found if row["id"] not in busy}
