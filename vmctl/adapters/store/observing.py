"""Servers as they were seen on their hosts, written for all of them at once."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select, update

from vmctl.adapters.rows import seen_text
from vmctl.adapters.schema import operations, servers
from vmctl.adapters.store import events
from vmctl.adapters.store.operations import IN_THE_WAY
from vmctl.adapters.store.servers import rows
from vmctl.domain.observation import Turn, state_seen
from vmctl.domain.record import UNSEEN, Power, ServerState
from vmctl.domain.server_line import STANDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.observation import Observation
    from vmctl.domain.operation import Event

_WRITTEN = ("state", "power", "fault", "seen", "seen_at", "boot", "updated", "also", "lost")


def observe(
    tx: Tx, observations: Iterable[Observation], event: Event | None = None
) -> tuple[Turn, ...]:
    """Write what was seen of servers that nobody is at, and say what turned."""
    looks = sorted(observations, key=lambda look: look.at)
    held = _held(tx, {look.host for look in looks})
    turns: list[Turn] = []
    written: dict[str, dict[str, Any]] = {}
    for look in looks:
        row = held.get((look.server, look.host))
        if row is None or (row["seen_at"] is not None and row["seen_at"] > look.at):
            continue
        turned = [*_power(row, look), *_company(row, look)]
        if turned:
            row["updated"] = tx.now
            turns += turned
        written[look.server] = row
    if written:
        new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in _WRITTEN}
        change = update(servers).where(servers.c.id == bindparam("server")).values(new)
        values = [
            {"server": server, **{f"new_{name}": row[name] for name in _WRITTEN}}
            for server, row in sorted(written.items())
        ]
        tx.connection.execute(change, values)
    if event is not None:
        for turn in turns:
            told = replace(event, server=turn.server, host=turn.host, detail=turn.detail)
            events.record(tx, told)
    return tuple(turns)


def _power(row: dict[str, Any], look: Observation) -> list[Turn]:
    """Have a row say what its host said, and tell if its state is another one then."""
    if look.power is None:
        return []
    before = ServerState(row["state"])
    after = _state(row, before, look)
    if _is_new(row, before, look):
        row["seen"] = seen_text(())
    row.update(state=after, power=look.power, seen_at=look.at)
    if look.boot is not None:
        row["boot"] = look.boot
    if look.seen is not None:
        row["seen"] = seen_text(look.seen)
    if after is before:
        return []
    return [_turn(row, look, before=before, after=after, why=row["fault"])]


def _is_new(row: dict[str, Any], before: ServerState, look: Observation) -> bool:
    """Whether another machine runs than the one whose addresses were seen."""
    if look.power is not Power.RUNNING:
        return False
    if look.boot is not None and row["boot"] not in (None, UNSEEN, look.boot):
        return True
    off = row["power"] in (Power.SHUTDOWN, Power.CRASHED)
    return off and before is not ServerState.SUSPENDED


def _state(row: dict[str, Any], before: ServerState, look: Observation) -> ServerState:
    """Say what a server is by a look; one that is seen again is what it was, or what it is seen."""
    if look.lost is not None and before.value in STANDS:
        row.update(lost=before, fault=look.lost)
        return ServerState.ERROR
    if look.power is None or look.power is Power.NOSTATE:
        return before
    if row["lost"] is not None:
        before = ServerState(row["lost"])
        row.update(lost=None, fault=None)
    return state_seen(before, look.power, saved=look.saved, rescued=look.rescued)


def _company(row: dict[str, Any], look: Observation) -> list[Turn]:
    """Have a row say where else it was seen, and tell if that is news."""
    if look.also is None:
        return []
    before, after = json.loads(row["also"]), sorted(look.also)
    row["also"] = json.dumps(after)
    if after == before:
        return []
    told = [", ".join(names) or "none" for names in (before, after)]
    return [_turn(row, look, before=told[0], after=told[1], what="also on")]


def _turn(row: Mapping[str, Any], look: Observation, **told: Any) -> Turn:
    return Turn(server=look.server, name=row["name"], host=look.host, **told)


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
