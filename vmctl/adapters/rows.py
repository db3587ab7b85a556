"""Rows made values, for the store and for the quick path beside it."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from vmctl.domain.operation import (
    Actor,
    Event,
    JournalEntry,
    Mark,
    Operation,
    OperationState,
)
from vmctl.domain.record import (
    Attempt,
    AttemptState,
    Claim,
    HostRecord,
    KvmCheck,
    Nic,
    Power,
    Server,
    ServerState,
    Used,
)
from vmctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Row = Mapping[str, Any]
    Nics = Mapping[tuple[str, int], tuple[Nic, ...]]

_UNUSED = Used()


def as_json(value: Mapping[str, object]) -> str:
    """Write a value so that the same value is always the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def server_of(row: Row, nics: Nics) -> Server:
    """Make a server of its row and the network cards of all attempts that were asked for."""
    return Server(
        id=row["id"],
        name=row["name"],
        project=row["project"],
        host=row["host"],
        attempt=row["attempt"],
        state=ServerState(row["state"]),
        task=row["task"],
        power=Power(row["power"]),
        spec=json.loads(row["spec"]),
        fault=row["fault"],
        created=row["created"],
        updated=row["updated"],
        launched=row["launched"],
        deleted=row["deleted"],
        nics=nics.get((row["id"], row["attempt"]), ()),
    )


def nics_of(nics: Iterable[Row], addresses: Iterable[Row]) -> Nics:
    """Gather network cards and their addresses, each in its order, by server and attempt."""
    held = defaultdict(list)
    for row in addresses:
        at = (row["server"], row["number"], row["position"])
        held[at].append((row["place"], row["address"]))
    cards = defaultdict(list)
    for row in nics:
        at = (row["server"], row["number"], row["position"])
        nic = Nic(
            network=row["network"],
            scope=row["scope"],
            mac=row["mac"],
            addresses=tuple(address for _, address in sorted(held.get(at, ()))),
        )
        cards[at[:2]].append((row["position"], nic))
    return {at: tuple(nic for _, nic in sorted(found, key=_first)) for at, found in cards.items()}


def _first(pair: tuple[int, Nic]) -> int:
    return pair[0]


def claim_of(row: Row) -> Claim:
    """Make a claim of its row."""
    return Claim(
        server=row["server"],
        number=row["number"],
        host=row["host"],
        vcpus=row["vcpus"],
        memory=row["memory"],
        disk=row["disk"],
        pool=row["pool"],
        created=row["created"],
    )


def attempts_of(rows: Iterable[Row], claims: Iterable[Row], nics: Nics) -> tuple[Attempt, ...]:
    """Make attempts of their rows, in order, with what each still holds."""
    held = defaultdict(list)
    for claim in map(claim_of, claims):
        held[claim.server, claim.number].append(claim)
    return tuple(
        Attempt(
            server=row["server"],
            number=row["number"],
            host=row["host"],
            state=AttemptState(row["state"]),
            fault=row["fault"],
            created=row["created"],
            updated=row["updated"],
            claims=tuple(sorted(held[row["server"], row["number"]], key=lambda held: held.pool)),
            nics=nics.get((row["server"], row["number"]), ()),
        )
        for row in sorted(rows, key=lambda row: (row["server"], row["number"]))
    )


def host_of(row: Row, used: Mapping[str, Used]) -> HostRecord:
    """Make a host's record of its row and of what the claims take of each host."""
    checked = row["kvm_alive"] is not None
    return HostRecord(
        name=row["name"],
        enabled=bool(row["enabled"]),
        reason=row["reason"],
        libvirt=row["libvirt"],
        machine=row["machine"],
        boot=row["boot"],
        seen=row["seen"],
        error=row["error"],
        failed=row["failed"],
        sample=None if row["sample"] is None else json.loads(row["sample"]),
        kvm=KvmCheck(alive=bool(row["kvm_alive"]), boot=row["kvm_boot"], at=row["kvm_at"])
        if checked
        else None,
        used=used.get(row["name"], _UNUSED),
    )


def used_of(rows: Iterable[Row]) -> Mapping[str, Used]:
    """Make sums of claims by host."""
    return {
        row["host"]: Used(
            servers=row["servers"],
            # PostgreSQL sums whole numbers as decimals.
            vcpus=int(row["vcpus"]),
            memory=int(row["memory"]),
            disk=int(row["disk"]),
        )
        for row in rows
    }


def operation_of(row: Row) -> Operation:
    """Make an operation of its row."""
    return Operation(
        id=row["id"],
        kind=row["kind"],
        server=row["server"],
        host=row["host"],
        saga=row["saga"],
        version=row["version"],
        params=json.loads(row["params"]),
        state=OperationState(row["state"]),
        owner=row["owner"],
        fault=row["fault"],
        started=row["started"],
        updated=row["updated"],
        finished=row["finished"],
    )


def entry_of(row: Row) -> JournalEntry:
    """Make a journal entry of its row."""
    return JournalEntry(
        operation=row["operation"],
        seq=row["seq"],
        step=row["step"],
        mark=Mark(row["mark"]),
        at=row["at"],
        detail=row["detail"],
    )


def event_of(row: Row) -> Event:
    """Make an event of its row."""
    return Event(
        actor=Actor(login=row["login"], sudo_user=row["sudo_user"], client=row["client"]),
        action=row["action"],
        result=row["result"],
        server=row["server"],
        host=row["host"],
        operation=row["operation"],
        detail=json.loads(row["detail"]),
        id=row["id"],
        at=row["at"],
    )


def by_name(servers: Iterable[Server]) -> tuple[Server, ...]:
    """Sort servers by name, the same on every database, whatever its collation."""
    return tuple(sorted(servers, key=lambda server: (server.name, server.created, server.id)))


def the_one(word: str, servers: Sequence[Server]) -> Server:
    """Choose the server that a word means among those whose id or name it is."""
    by_id = [server for server in servers if server.id == word]
    holders = [server for server in servers if server.holds_name]
    live = [server for server in servers if server.deleted is None]
    for found in (by_id, holders, live):
        if len(found) == 1:
            return found[0]
    if not live:
        raise NotFound(f"no server is named {word}", hint="vmctl server list")
    ids = ", ".join(sorted(server.id for server in live))
    raise Conflict(f"{len(live)} servers are named {word}: {ids}", hint="give the id")
