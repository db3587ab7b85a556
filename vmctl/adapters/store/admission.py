"""Admission: the one place where room, a name and addresses are given away."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, func, select, update

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.schema import (
    addresses,
    attempts,
    claims,
    group_members,
    hosts,
    nics,
    operations,
    quotas,
    server_groups,
    servers,
)
from vmctl.adapters.store.catalog import quota_at
from vmctl.adapters.store.hosts import ensure, forget_machine, host_at
from vmctl.adapters.store.kept import refuse_key, save_placement, save_secrets, take_key
from vmctl.adapters.store.operations import IN_THE_WAY, enter, fenced
from vmctl.adapters.store.servers import claims_on
from vmctl.domain.cpus import format_cpus
from vmctl.domain.record import AttemptState, Power, ServerState
from vmctl.domain.request import FlavorSpec
from vmctl.errors import (
    AddressTaken,
    ClaimLost,
    Conflict,
    CpusTaken,
    NameTaken,
    NotFound,
    QuotaExceeded,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.operation import NewOperation, Token
    from vmctl.domain.record import Claim, Company, Judge, NewServer, Nic, Wanted


def admit(
    tx: Tx,
    operation: str,
    new: NewOperation,
    server: NewServer,
    *,
    wanted: Wanted,
    judge: Judge,
    company: Company | None = None,
) -> Token:
    """Write a server, its first attempt and its operation, if all of it can be had."""
    _give_room(tx, server.id, wanted, judge)
    refuse_key(tx, server)
    _give_name(tx, server.name)
    _give_place(tx, server.group, server.id, company)
    _give_quota(tx, server.project, wanted)
    _insert(
        tx,
        server,
        host=wanted.host,
        attempt=1,
        state=ServerState.BUILDING,
        task="scheduling",
        power=Power.NOSTATE,
    )
    enter_attempt(tx, server.id, 1, wanted)
    token = enter(tx, operation, new)
    if server.secrets:
        save_secrets(tx, operation, server.secrets)
    return token


def admit_failed(tx: Tx, server: NewServer, fault: str) -> None:
    """Write a server that no host was found for, so that it can be asked why."""
    refuse_key(tx, server)
    _give_name(tx, server.name)
    _insert(tx, server, attempt=0, state=ServerState.ERROR, power=Power.NOSTATE, fault=fault)


def readmit(
    tx: Tx, token: Token, wanted: Wanted, judge: Judge, company: Company | None = None
) -> int:
    """Owe the present attempt its cleanup and hold the next one's room and addresses."""
    server = fenced(tx, token)
    query = select(servers.c.attempt).where(servers.c.id == server)
    present = tx.connection.execute(query).scalar_one()
    _give_room(tx, server, wanted, judge)
    joined = select(group_members.c.server_group).where(group_members.c.server == server)
    _give_place(tx, tx.connection.execute(joined).scalar(), server, company)
    which = (attempts.c.server == server) & (attempts.c.number == present)
    state = tx.connection.execute(select(attempts.c.state).where(which)).scalar_one()
    if state != AttemptState.RELEASED:
        mark(tx, server, present, AttemptState.OWED, None)
    values = {"attempt": present + 1, "host": wanted.host, "updated": tx.now}
    tx.connection.execute(update(servers).where(servers.c.id == server).values(values))
    enter_attempt(tx, server, present + 1, wanted)
    return int(present) + 1


def readdress(
    tx: Tx, token: Token, number: int, cards: Sequence[Nic], plan: Mapping[str, object]
) -> None:
    """Give an attempt other addresses for those that it holds, and a plan that goes with them."""
    server = fenced(tx, token)
    which = (attempts.c.server == server) & (attempts.c.number == number)
    state = tx.connection.execute(select(attempts.c.state).where(which)).scalar()
    if state is None or state == AttemptState.RELEASED:
        raise Conflict(f"attempt {number} of the server holds no addresses any more")
    for table in (addresses, nics):
        held = (table.c.server == server) & (table.c.number == number)
        tx.connection.execute(delete(table).where(held))
    hold(tx, server, number, cards)
    values = {"plan": as_json(plan), "updated": tx.now}
    tx.connection.execute(update(attempts).where(which).values(values))


def repin(
    tx: Tx, token: Token, number: int, cpus: Sequence[int], plan: Mapping[str, object]
) -> None:
    """Give an attempt other CPUs for its own, and a plan that goes with them."""
    server = fenced(tx, token)
    which = (attempts.c.server == server) & (attempts.c.number == number)
    host = tx.connection.execute(select(attempts.c.host).where(which)).scalar_one()
    _lock_host(tx, host)
    _refuse_cpus(server, host, cpus, claims_on(tx, host))
    mine = (claims.c.server == server) & (claims.c.number == number)
    tx.connection.execute(update(claims).where(mine).values(cpus=format_cpus(cpus)))
    values = {"plan": as_json(plan), "updated": tx.now}
    tx.connection.execute(update(attempts).where(which).values(values))


def replan(
    tx: Tx,
    token: Token,
    number: int,
    plan: Mapping[str, object],
    fields: Mapping[str, object],
) -> None:
    """Give an attempt another plan, and fields of its server's spec other values."""
    server = fenced(tx, token)
    which = (attempts.c.server == server) & (attempts.c.number == number)
    values = {"plan": as_json(plan), "updated": tx.now}
    tx.connection.execute(update(attempts).where(which).values(values))
    if not fields:
        return
    here = servers.c.id == server
    query = select(servers.c.name, servers.c.spec).where(here).with_for_update()
    row = tx.connection.execute(query).one()
    name = str(fields.get("name", row.name))
    holder = holder_of(tx, name)
    if holder not in (None, server):
        raise NameTaken(
            f"server {row.name} cannot be called {name}: {holder} is", hint="choose another name"
        )
    spec = json.loads(row.spec) | dict(fields)
    changed = {"name": name, "spec": as_json(spec), "updated": tx.now}
    tx.connection.execute(update(servers).where(here).values(changed))


def mark(
    tx: Tx,
    server: str | None,
    number: int,
    state: AttemptState,
    fault: str | None,
    *,
    boot: str | None = None,
    stands: bool = False,
) -> None:
    """Say how far an attempt went, and in which boot; released, it holds nothing any more."""
    values = {"state": state, "updated": tx.now} | ({} if fault is None else {"fault": fault})
    which = (attempts.c.server == server) & (attempts.c.number == number)
    tx.connection.execute(update(attempts).where(which).values(values))
    if boot is not None:
        tx.connection.execute(update(servers).where(servers.c.id == server).values(boot=boot))
    if state is AttemptState.RELEASED:
        host = tx.connection.execute(select(attempts.c.host).where(which)).scalar()
        if server is not None and host is not None and not stands:
            # Seen there before, it would pass for a stranger's until the next look.
            forget_machine(tx, host, server)
        for table in (addresses, nics, claims):
            held = (table.c.server == server) & (table.c.number == number)
            tx.connection.execute(delete(table).where(held))


def holder_of(tx: Tx, name: str) -> str | None:
    """Say which server holds a name."""
    holder: str | None = tx.connection.execute(
        select(servers.c.id).where(
            servers.c.name == name,
            servers.c.deleted.is_(None),
            (servers.c.state != ServerState.ERROR) | servers.c.launched.is_not(None),
        )
    ).scalar()
    return holder


def _give_room(tx: Tx, server: str | None, wanted: Wanted, judge: Judge) -> None:
    ensure(tx, wanted.host)
    _lock_host(tx, wanted.host)
    held = claims_on(tx, wanted.host)
    reason = judge(host_at(tx, wanted.host), held)
    if reason is not None:
        raise ClaimLost(f"host {wanted.host} cannot take the server: {reason}")
    _refuse_cpus(server, wanted.host, wanted.cpus, held)


def _lock_host(tx: Tx, host: str) -> None:
    # SQLite's write lock is held since the transaction began; PostgreSQL's readers and writers of
    # other hosts need not wait for this one.
    lock = select(hosts.c.name).where(hosts.c.name == host).with_for_update()
    tx.connection.execute(lock)


def _refuse_cpus(
    server: str | None, host: str, wanted: Sequence[int], held: Sequence[Claim]
) -> None:
    """Refuse CPUs that another server has for its own."""
    taken = {cpu for one in held if one.server != server for cpu in one.cpus}
    clash = taken.intersection(wanted)
    if clash:
        raise CpusTaken(
            f"host {host} cannot take the server: another one has its CPUs {format_cpus(clash)}"
        )


def _give_name(tx: Tx, name: str) -> None:
    holder = holder_of(tx, name)
    if holder is not None:
        raise NameTaken(
            f"a server named {name} is there already ({holder})",
            hint=f"choose another name, or delete that one: vmctl server delete {holder}",
        )
    # What failed before it ran makes way for its successor, unless something is still being done
    # to it; its events and what it owes its host stay.
    busy = exists().where(operations.c.server == servers.c.id, operations.c.state.in_(IN_THE_WAY))
    tx.connection.execute(
        update(servers)
        .where(servers.c.name == name, servers.c.deleted.is_(None), ~busy)
        .values(deleted=tx.now, updated=tx.now)
    )


def _give_place(tx: Tx, group: str | None, server: str | None, company: Company | None) -> None:
    if group is None:
        return
    lock = select(server_groups.c.id).where(server_groups.c.id == group).with_for_update()
    if tx.connection.execute(lock).first() is None:
        raise NotFound(
            f"the server group {group} is not there any more", hint="vmctl server group list"
        )
    if company is None:
        return
    others = group_members.join(servers, servers.c.id == group_members.c.server)
    query = (
        select(claims.c.host, func.count(claims.c.server.distinct()).label("held"))
        .select_from(others.join(claims, claims.c.server == servers.c.id))
        .where(group_members.c.server_group == group, servers.c.deleted.is_(None))
        .where(servers.c.id != server)
        .group_by(claims.c.host)
    )
    reason = company({row.host: row.held for row in tx.connection.execute(query)})
    if reason is not None:
        raise ClaimLost(f"the server cannot join its group there: {reason}")


def _give_quota(tx: Tx, project: str, wanted: Wanted) -> None:
    lock = select(quotas.c.resource).where(quotas.c.project == project)
    # Of two PostgreSQL transactions, the later one waits here and then counts what was taken.
    if not tx.connection.execute(lock.order_by(quotas.c.resource).with_for_update()).all():
        return
    size = FlavorSpec(vcpus=wanted.vcpus, memory=wanted.memory)
    excess = quota_at(tx, project).excess(size)
    if excess is not None:
        raise QuotaExceeded(excess, hint=f"vmctl quota show {project}".rstrip())


def _insert(tx: Tx, server: NewServer, **values: object) -> None:
    tx.connection.execute(
        servers.insert().values(
            id=server.id,
            name=server.name,
            project=server.project,
            spec=as_json(server.spec),
            reservation=server.reservation,
            created=tx.now,
            updated=tx.now,
            protected=False,
            seen="[]",
            also="[]",
            **values,
        )
    )
    if server.group is not None:
        joined = group_members.insert().values(server=server.id, server_group=server.group)
        tx.connection.execute(joined)
    if server.trace is not None:
        save_placement(tx, server.id, server.trace)
    take_key(tx, server)


def enter_attempt(
    tx: Tx,
    server: str | None,
    number: int,
    wanted: Wanted,
    state: AttemptState = AttemptState.HELD,
) -> None:
    """Put an attempt on record with the room and the addresses that it holds."""
    execute = tx.connection.execute
    key = {"server": server, "number": number}
    execute(
        attempts.insert().values(
            **key,
            host=wanted.host,
            state=state,
            created=tx.now,
            updated=tx.now,
            plan=as_json(wanted.plan),
        )
    )
    execute(
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
    hold(tx, server, number, wanted.nics)


def hold(tx: Tx, server: str | None, number: int, wanted: Sequence[Nic]) -> None:
    """Hold an attempt's MACs and addresses; AddressTaken if another one does."""
    execute = tx.connection.execute
    key = {"server": server, "number": number}
    # In one order everywhere, so that two PostgreSQL transactions never wait for each other.
    cards = sorted((nic.mac.lower(), position, nic) for position, nic in enumerate(wanted))
    for mac, position, nic in cards:
        if execute(select(nics.c.server).where(nics.c.mac == mac)).first():
            raise AddressTaken(f"the MAC {mac} is held by another server")
        card = {**key, "position": position, "network": nic.network, "scope": nic.scope}
        execute(nics.insert().values(**card, mac=mac))
    held = sorted(
        (nic.scope, str(ip_address(address)), position, place)
        for position, nic in enumerate(wanted)
        for place, address in enumerate(nic.addresses)
    )
    for scope, address, position, place in held:
        which = (addresses.c.scope == scope) & (addresses.c.address == address)
        if execute(select(addresses.c.server).where(which)).first():
            raise AddressTaken(f"the address {address} on {scope} is held by another server")
        values = {**key, "position": position, "place": place}
        execute(addresses.insert().values(**values, scope=scope, address=address))
