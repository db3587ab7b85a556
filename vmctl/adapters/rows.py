"""Rows made values, for the store and for the quick path beside it."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from vmctl.domain.cpus import read_cpus
from vmctl.domain.machine import SeenAddress
from vmctl.domain.record import Attempt, AttemptState, Claim, Nic, Power, Server, ServerState
from vmctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Row = Mapping[str, Any]
    Nics = Mapping[tuple[str, int], tuple[Nic, ...]]


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
        locked=row["locked"],
        protected=bool(row["protected"]),
        seen=tuple(SeenAddress(**each) for each in json.loads(row["seen"])),
        seen_at=row["seen_at"],
        boot=row["boot"],
        reservation=row["reservation"],
        also=tuple(json.loads(row["also"])),
    )


def seen_text(seen: Iterable[SeenAddress]) -> str:
    """Write observed addresses as a server's row keeps them."""
    return json.dumps(
        [{"mac": one.mac, "address": one.address, "source": one.source} for one in seen],
        separators=(",", ":"),
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
        cpus=tuple(sorted(read_cpus(row["cpus"]))),
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
            plan=json.loads(row["plan"]),
        )
        for row in sorted(rows, key=lambda row: (row["server"], row["number"]))
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
