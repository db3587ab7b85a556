"""A host that is called otherwise from now on: all that is on record of it goes by the new name.

What is over stays as it was told: attempts that were released, servers that are deleted, events.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import delete, or_, select, update

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.schema import addresses, attempts, claims, hosts, nics, operations, servers
from vmctl.adapters.store import events
from vmctl.adapters.store.hosts import ensure
from vmctl.adapters.store.operations import IN_THE_WAY
from vmctl.adapters.store.servers import rows
from vmctl.domain.observation import Turn
from vmctl.domain.operation import OperationState
from vmctl.domain.record import AttemptState, address_scope
from vmctl.errors import AddressTaken

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.operation import Event


def rename(
    tx: Tx, before: str, after: str, at_rest: Collection[str], event: Event
) -> tuple[Turn, ...] | None:
    """Have a host go by its new name, and say which servers stand there.

    None if somebody is at one of them, or has had it follow already.
    """
    ensure(tx, after)
    both = hosts.c.name.in_((before, after))
    rows_held = select(hosts.c.name).where(both).order_by(hosts.c.name).with_for_update()
    if before not in tx.connection.execute(rows_held).scalars().all():
        return None
    standing = _servers(tx, before)
    if _somebody(tx, before, at_rest):
        return None
    _attempts(tx, before, after)
    _scopes(tx, before, after)
    tx.connection.execute(update(claims).where(claims.c.host == before).values(host=after))
    for row in standing:
        named = {"host": after} if row["host"] == before else {}
        also = sorted({after if one == before else one for one in json.loads(row["also"])})
        values = {**named, "also": json.dumps(also), "updated": tx.now}
        tx.connection.execute(update(servers).where(servers.c.id == row["id"]).values(values))
    unfinished = operations.c.state.in_((*IN_THE_WAY, OperationState.OWED))
    which = unfinished & (operations.c.host == before)
    tx.connection.execute(update(operations).where(which).values(host=after))
    _host(tx, before, after)
    told = [row for row in standing if row["host"] == before]
    return _told(tx, before, after, told, event)


def _servers(tx: Tx, host: str) -> list[Mapping[str, str]]:
    """Read the live servers that are, or were seen, on a host, and keep all others off them."""
    also = servers.c.also.contains(json.dumps(host), autoescape=True)
    which = servers.c.deleted.is_(None) & or_(servers.c.host == host, also)
    columns = (servers.c.id, servers.c.name, servers.c.host, servers.c.also)
    return rows(tx, select(*columns).where(which).order_by(servers.c.id).with_for_update())


def _somebody(tx: Tx, host: str, at_rest: Collection[str]) -> bool:
    """Whether an operation runs at what is on a host, apart from these."""
    held = select(claims.c.server).where(claims.c.host == host)
    there = select(servers.c.id).where(servers.c.host == host)
    at_work = select(operations.c.id).where(
        operations.c.state == OperationState.RUNNING,
        or_(operations.c.server.in_(held), operations.c.server.in_(there)),
    )
    return not set(tx.connection.execute(at_work).scalars()) <= set(at_rest)


def _attempts(tx: Tx, before: str, after: str) -> None:
    """Have the plans of attempts that hold anything be of the new name."""
    which = (attempts.c.host == before) & (attempts.c.state != AttemptState.RELEASED)
    query = select(attempts.c.server, attempts.c.number, attempts.c.plan).where(which)
    for server, number, text in tx.connection.execute(query).all():
        plan = json.loads(text)
        cards = [
            {**card, "scope": after_scope(str(card["network"]), str(card["scope"]), before, after)}
            for card in plan.get("cards", ())
        ]
        if plan:
            plan |= {"host": after, "cards": cards}
        one = (attempts.c.server == server) & (attempts.c.number == number)
        values = {"host": after, "plan": as_json(plan), "updated": tx.now}
        tx.connection.execute(update(attempts).where(one).values(values))


def after_scope(network: str, scope: str, before: str, after: str) -> str:
    """Say where an address must be unique once its host has the new name."""
    own = scope == address_scope(network, before)
    return address_scope(network, after) if own else scope


def _scopes(tx: Tx, before: str, after: str) -> None:
    """Have the host's own networks be of the new name; AddressTaken if one is held in both."""
    query = select(nics.c.network, nics.c.scope).distinct()
    for network, scope in tx.connection.execute(query).all():
        new = after_scope(network, scope, before, after)
        if new == scope:
            continue
        held = [
            set(tx.connection.execute(select(addresses.c.address).where(in_it)).scalars())
            for in_it in (addresses.c.scope == scope, addresses.c.scope == new)
        ]
        if twice := sorted(held[0] & held[1]):
            raise AddressTaken(
                f"the address {twice[0]} is held on {scope} by one server, and on {new} by another",
                hint="delete one of the two: vmctl server list --ip",
            )
        for table in (nics, addresses):
            tx.connection.execute(update(table).where(table.c.scope == scope).values(scope=new))


def _host(tx: Tx, before: str, after: str) -> None:
    """Have the operators' word on a host be of the new name, which has a sample of its own."""
    found = {row["name"]: row for row in rows(tx, select(hosts))}
    old, new = found.get(before), found[after]
    if old is None:
        return
    values = {} if old["enabled"] else {"enabled": False, "reason": old["reason"]}
    if new["kvm_at"] is None:
        values |= {name: old[name] for name in ("kvm_alive", "kvm_boot", "kvm_at")}
    if values:
        tx.connection.execute(update(hosts).where(hosts.c.name == after).values(values))
    tx.connection.execute(delete(hosts).where(hosts.c.name == before))


def _told(
    tx: Tx, before: str, after: str, standing: list[Mapping[str, str]], event: Event
) -> tuple[Turn, ...]:
    turns = tuple(
        Turn(
            server=row["id"],
            name=row["name"],
            what="host name",
            before=before,
            after=after,
            host=after,
        )
        for row in standing
    )
    detail = {"before": before, "after": after, "servers": [one.server for one in turns]}
    events.record(tx, replace(event, action="host-rename", host=after, detail=detail))
    for one in turns:
        events.record(tx, replace(event, server=one.server, host=after, detail=one.detail))
    return turns
