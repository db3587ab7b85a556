"""A server as lists tell of it: made by the thousand, so a tuple and nothing that is dear.

What an operator reads of a server is made of three things: its record, what was last seen of its
power, and whether its host is there to be believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmctl.domain.record import Power, ServerState, shown_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.record import Server

UNKNOWN = "UNKNOWN"
"""The status of a server that nobody can vouch for: see `is_doubtful`."""

FRESH = 300.0
"""Seconds for which a look at a server holds; an older one leaves it stale."""


_NOBODY: Mapping[str, list[str]] = {}


class ServerLine(NamedTuple):
    """One server on record; its states, power and spec in their plain form."""

    id: str
    name: str
    project: str
    host: str | None
    state: str
    task: str | None
    power: str
    spec: Mapping[str, object]
    created: float
    updated: float
    launched: float | None
    deleted: float | None
    locked: str | None
    seen_at: float | None
    boot: str | None
    reservation: str | None
    networks: Mapping[str, list[str]]
    """The addresses on each network: those that are held, or were seen in their place."""

    also: tuple[str, ...] = ()
    """Other hosts that it was seen on."""

    sources: Mapping[str, list[str]] = _NOBODY
    """By whom each address was seen; one that is not in it was planned, and never seen."""


class HostWord(NamedTuple):
    """What the record says of a host, as far as the status of its servers goes."""

    boot: str | None = None
    down: bool = False
    enabled: bool = True
    asked: bool = True
    known: bool = True
    """Whether the inventory has it: otherwise nobody can ask it."""

    @property
    def status(self) -> str:
        """Give openstack's word for it."""
        if not (self.asked and self.known):
            return UNKNOWN
        if self.down:
            return "DOWN"
        return "UP" if self.enabled else "MAINTENANCE"


NEVER_ASKED = HostWord(asked=False)


def word_of(record: HostRecord, *, known: bool = True) -> HostWord:
    """Take from a host's record what its servers' status needs; the inventory may not have it."""
    sample = record.sample if record.answered else None
    return HostWord(
        boot=record.boot,
        down=(not record.answered and record.failed is not None)
        or (sample is not None and "libvirt_error" in sample),
        enabled=record.enabled,
        asked=record.seen is not None or record.failed is not None,
        known=known,
    )


def line_of(server: Server) -> ServerLine:
    """Make a line of a server."""
    seen = [(one.mac, one.address, one.source) for one in server.seen]
    return ServerLine(
        id=server.id,
        name=server.name,
        project=server.project,
        host=server.host,
        state=server.state.value,
        task=server.task,
        power=server.power.value,
        spec=server.spec,
        created=server.created,
        updated=server.updated,
        launched=server.launched,
        deleted=server.deleted,
        locked=server.locked,
        seen_at=server.seen_at,
        boot=server.boot,
        reservation=server.reservation,
        networks=networks_of(
            ((nic.network, nic.mac, list(nic.addresses)) for nic in server.nics),
            seen,
        ),
        also=server.also,
        sources=sources_of(seen),
    )


Seen = tuple[str, str, str]
"""A card's MAC, an address that it was seen to have, and by whom."""


def networks_of(
    cards: Iterable[tuple[str, str, list[str]]], seen: Sequence[Seen]
) -> dict[str, list[str]]:
    """Gather the addresses on each network: of a card those that it holds, or else those seen.

    What it holds is left out where it was seen to have something else in its place.
    """
    networks: dict[str, list[str]] = {}
    for network, mac, held in cards:
        there = [one for one in seen if one[0] == mac] if seen else []
        known = _had(held, there) if there else held
        if known:
            networks.setdefault(network, []).extend(known)
    return networks


def sources_of(seen: Iterable[Seen]) -> dict[str, list[str]]:
    """Say of each address that was seen, by whom."""
    found: dict[str, list[str]] = {}
    for _, address, source in seen:
        sources = found.setdefault(address, [])
        if source not in sources:
            sources.append(source)
    return found


def _had(held: list[str], seen: list[Seen]) -> list[str]:
    """Put what a card was seen to have in the place of what it was to have, and has not."""
    families = {v6: _there(seen, v6=v6) for v6 in (False, True)}
    found: list[str] = [] if held else [*families[False][0], *families[True][0]]
    for planned in held:
        addresses, sure = families[":" in planned]
        found += addresses if sure and addresses and planned not in addresses else [planned]
    return list(dict.fromkeys(found))


def _there(seen: list[Seen], *, v6: bool) -> tuple[list[str], bool]:
    """Say which addresses of a family a card has, and whether what is not among them is not there.

    The guest's own agent tells all that there is, whatever lease was given. From outside, a card
    with another IPv4 address has not the planned one; IPv6 addresses stand beside each other.
    """
    like = [(address, source) for _, address, source in seen if (":" in address) == v6]
    told = [address for address, source in like if source == "agent"]
    return (told, True) if told else ([address for address, _ in like], not v6)


STANDS = frozenset(
    state.value
    for state in (
        ServerState.ACTIVE,
        ServerState.PAUSED,
        ServerState.SUSPENDED,
        ServerState.STOPPED,
        ServerState.RESCUED,
        ServerState.RESIZED,
    )
)
"""The states of a server that has a domain on its host, which alone knows how it does."""


def status_of(line: ServerLine, hosts: Mapping[str, HostWord]) -> str:
    """Say the one word that operators know a server's state by."""
    if line.deleted is not None:
        return "DELETED"
    if is_doubtful(line, hosts):
        return UNKNOWN
    return shown_status(ServerState(line.state), line.task)


def is_doubtful(line: ServerLine, hosts: Mapping[str, HostWord]) -> bool:
    """Whether nobody can vouch for it.

    Its host is down, has booted since, is in the inventory no more, or did not have it and others
    did not say.
    """
    if line.host is None or line.state not in STANDS:
        return False
    if line.power == Power.NOSTATE:
        return True
    host = hosts.get(line.host)
    if host is None:
        return False
    return host.down or not host.known or not (line.boot is None or host.boot in (None, line.boot))


def is_stale(line: ServerLine, hosts: Mapping[str, HostWord], now: float) -> bool:
    """Whether what is said of it is doubtful, or was not seen of late."""
    if line.host is None or line.state not in STANDS:
        return False
    return is_doubtful(line, hosts) or now - (line.seen_at or 0.0) > FRESH


def spec_text(spec: Mapping[str, object], *path: str) -> str | None:
    """Take one text out of a spec; None where there is none."""
    held: object = spec
    for key in path:
        held = held.get(key) if isinstance(held, dict) else None
    return held if isinstance(held, str) else None
