"""Admission: the one place where room, a name and addresses are given away."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from sqlalchemy import delete, exists, select, update

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.schema import addresses, attempts, claims, hosts, nics, operations, servers
from vmctl.adapters.store.hosts import ensure, host_at
from vmctl.adapters.store.operations import IN_THE_WAY, enter, fenced
from vmctl.adapters.store.servers import claims_on
from vmctl.domain.record import AttemptState, Power, ServerState
from vmctl.errors import AddressTaken, ClaimLost, NameTaken

if TYPE_CHECKING:
    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.operation import NewOperation, Token
    from vmctl.domain.record import Judge, NewServer, Wanted


def admit(
    tx: Tx,
    operation: str,
    new: NewOperation,
    server: NewServer,
    *,
    wanted: Wanted,
    judge: Judge,
) -> Token:
    """Write a server, its first attempt and its operation, if all of it can be had."""
    _give_room(tx, wanted, judge)
    _give_name(tx, server.name)
    tx.connection.execute(
        servers.insert().values(
            id=server.id,
            name=server.name,
            project=server.project,
            host=wanted.host,
            attempt=1,
            state=ServerState.BUILDING,
            task="scheduling",
            power=Power.NOSTATE,
            spec=as_json(server.spec),
            created=tx.now,
            updated=tx.now,
            protected=False,
            seen="[]",
        )
    )
    _attempt(tx, server.id, 1, wanted)
    return enter(tx, operation, new)


def readmit(tx: Tx, token: Token, wanted: Wanted, judge: Judge) -> int:
    """Owe the present attempt its cleanup and hold the next one's room and addresses."""
    server = fenced(tx, token)
    query = select(servers.c.attempt).where(servers.c.id == server)
    present = tx.connection.execute(query).scalar_one()
    _give_room(tx, wanted, judge)
    mark(tx, server, present, AttemptState.OWED, None)
    values = {"attempt": present + 1, "host": wanted.host, "updated": tx.now}
    tx.connection.execute(update(servers).where(servers.c.id == server).values(values))
    _attempt(tx, server, present + 1, wanted)
    return int(present) + 1


def mark(tx: Tx, server: str | None, number: int, state: AttemptState, fault: str | None) -> None:
    """Say how far an attempt went; released, it holds nothing any more."""
    values = {"state": state, "updated": tx.now} | ({} if fault is None else {"fault": fault})
    which = (attempts.c.server == server) & (attempts.c.number == number)
    tx.connection.execute(update(attempts).where(which).values(values))
    if state is AttemptState.RELEASED:
        for table in (addresses, nics, claims):
            held = (table.c.server == server) & (table.c.number == number)
            tx.connection.execute(delete(table).where(held))


def _give_room(tx: Tx, wanted: Wanted, judge: Judge) -> None:
    ensure(tx, wanted.host)
    # SQLite's write lock is held since the transaction began; PostgreSQL's readers and writers of
    # other hosts need not wait for this one.
    lock = select(hosts.c.name).where(hosts.c.name == wanted.host).with_for_update()
    tx.connection.execute(lock)
    reason = judge(host_at(tx, wanted.host), claims_on(tx, wanted.host))
    if reason is not None:
        raise ClaimLost(f"host {wanted.host} cannot take the server: {reason}")


def _give_name(tx: Tx, name: str) -> None:
    holder = tx.connection.execute(
        select(servers.c.id).where(
            servers.c.name == name,
            servers.c.deleted.is_(None),
            (servers.c.state != ServerState.ERROR) | servers.c.launched.is_not(None),
        )
    ).scalar()
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


def _attempt(tx: Tx, server: str | None, number: int, wanted: Wanted) -> None:
    execute = tx.connection.execute
    key = {"server": server, "number": number}
    execute(
        attempts.insert().values(
            **key,
            host=wanted.host,
            state=AttemptState.HELD,
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
        )
    )
    # In one order everywhere, so that two PostgreSQL transactions never wait for each other.
    cards = sorted((nic.mac.lower(), position, nic) for position, nic in enumerate(wanted.nics))
    for mac, position, nic in cards:
        if execute(select(nics.c.server).where(nics.c.mac == mac)).first():
            raise AddressTaken(f"the MAC {mac} is held by another server")
        card = {**key, "position": position, "network": nic.network, "scope": nic.scope}
        execute(nics.insert().values(**card, mac=mac))
    held = sorted(
        (nic.scope, str(ip_address(address)), position, place)
        for position, nic in enumerate(wanted.nics)
        for place, address in enumerate(nic.addresses)
    )
    for scope, address, position, place in held:
        which = (addresses.c.scope == scope) & (addresses.c.address == address)
        if execute(select(addresses.c.server).where(which)).first():
            raise AddressTaken(f"the address {address} on {scope} is held by another server")
        values = {**key, "position": position, "place": place}
        execute(addresses.insert().values(**values, scope=scope, address=address))
