"""Servers that were found on hosts, brought back on record."""

from __future__ import annotations

import json
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from vmctl.adapters.host_rows import as_json
from vmctl.adapters.rows import seen_text
from vmctl.adapters.schema import (
    addresses,
    group_members,
    meta,
    nics,
    server_groups,
    servers,
)
from vmctl.adapters.store.admission import enter_attempt, holder_of
from vmctl.adapters.store.hosts import ensure
from vmctl.adapters.store.servers import rows
from vmctl.domain.record import AttemptState, ServerState
from vmctl.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.kept import FoundServer

_NEVER_RAN = (ServerState.BUILDING, ServerState.ERROR)


def import_server(tx: Tx, found: FoundServer) -> bool:
    """Bring a server that stands on a host back on record; False if it is there as found."""
    if is_on_record(tx, found):
        return False
    _write(tx, found)
    return True


def is_on_record(tx: Tx, found: FoundServer) -> bool:
    """Whether a server is there as found; Conflict that says all that is in the way of either."""
    server = found.server
    for row in rows(tx, select(servers).where(servers.c.id == server.id)):
        wrong = list(_differences(row, found))
        if wrong:
            raise _conflict(found, wrong)
        return True
    taken = list(_taken(tx, found))
    if taken:
        raise _conflict(found, taken)
    return False


def assume(tx: Tx, uuid: str) -> None:
    """Be the database that domains name as their owner, as long as there is no other server."""
    if tx.connection.execute(select(servers.c.id).limit(1)).first() is not None:
        raise Conflict(
            "the database has servers of its own already",
            hint="rebuild into a new one: vmctl --db FILE db rebuild",
        )
    tx.connection.execute(update(meta).values(uuid=uuid))


def _differences(row: Any, found: FoundServer) -> Iterator[str]:
    if row["deleted"] is not None:
        yield "it is on record as deleted"
    there = {"name": row["name"], "host": row["host"], "attempt": row["attempt"]}
    here = {"name": found.server.name, "host": found.wanted.host, "attempt": found.number}
    for what, value in there.items():
        if value != here[what]:
            yield f"its {what} on record is {value}"
    if not _agree(json.loads(row["spec"]), json.loads(as_json(found.server.spec))):
        yield "it is on record with another specification"


def _agree(there: Any, here: Any) -> bool:
    """Whether two specs say the same; no domain tells the image's address if that was a secret."""
    kept, shown = there.get("image"), here.get("image")
    if isinstance(kept, dict) and isinstance(shown, dict) and shown.get("url") is None:
        there = {**there, "image": {**kept, "url": None}}
        here = {**here, "image": {**shown, "url": None}}
    return bool(there == here)


def _taken(tx: Tx, found: FoundServer) -> Iterator[str]:
    execute = tx.connection.execute
    runs = found.state is not ServerState.ERROR
    holder = holder_of(tx, found.server.name) if runs else None
    if holder is not None:
        yield f"its name is held by {holder}"
    for nic in found.wanted.nics:
        mac = nic.mac.lower()
        query = select(nics.c.server).where(nics.c.mac == mac)
        for held in execute(query).scalars():
            yield f"the MAC {mac} is held by {held}"
        for address in map(str, map(ip_address, nic.addresses)):
            which = (addresses.c.scope == nic.scope) & (addresses.c.address == address)
            for held in execute(select(addresses.c.server).where(which)).scalars():
                yield f"the address {address} on {nic.scope} is held by {held}"


def _conflict(found: FoundServer, what: list[str]) -> Conflict:
    server = found.server
    return Conflict(
        f"server {server.name} ({server.id}) on host {found.wanted.host} cannot be brought back "
        f"on record: {'; '.join(what)}",
        hint=f"vmctl server show {server.id}",
    )


def _write(tx: Tx, found: FoundServer) -> None:
    server, wanted = found.server, found.wanted
    execute = tx.connection.execute
    ensure(tx, wanted.host)
    created = tx.now if found.created is None else found.created
    execute(
        servers.insert().values(
            id=server.id,
            name=server.name,
            project=server.project,
            host=wanted.host,
            attempt=found.number,
            state=found.state,
            power=found.power,
            spec=as_json(server.spec),
            fault=found.fault,
            reservation=server.reservation,
            created=created,
            updated=tx.now,
            launched=None if found.state in _NEVER_RAN else created,
            protected=False,
            seen=seen_text(found.seen),
            also="[]",
            seen_at=tx.now,
            boot=found.boot,
        )
    )
    enter_attempt(tx, server.id, found.number, wanted, AttemptState.BEGUN)
    # A group is no domain's business: where it is not on record again, it is left out.
    known = select(server_groups.c.id).where(server_groups.c.id == server.group)
    if server.group is not None and execute(known).first() is not None:
        execute(group_members.insert().values(server=server.id, server_group=server.group))
