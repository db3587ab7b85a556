"""A server as lists tell of it: made by the thousand, so a tuple and nothing that is dear.

What an operator reads of a server is made of three things: its record, what was last seen of its
power, and whether its host is there to be believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmctl.domain.record import Power, ServerState, shown_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.record import Server

UNKNOWN = "UNKNOWN"
"""The status of a server that nobody can vouch for: its host is down, or has booted since."""

FRESH = 300.0
"""Seconds for which a look at a server holds; an older one leaves it stale."""


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
    """The addresses on each network: those that are held, else those that were seen."""

    also: tuple[str, ...] = ()
    """Other hosts that it was seen on."""


class HostWord(NamedTuple):
    """What the record says of a host, as far as the status of its servers goes."""

    boot: str | None = None
    down: bool = False
    enabled: bool = True
    asked: bool = True

    @property
    def status(self) -> str:
        """Give openstack's word for it."""
        if not self.asked:
            return UNKNOWN
        if self.down:
            return "DOWN"
        return "UP" if self.enabled else "MAINTENANCE"


NEVER_ASKED = HostWord(asked=False)


def word_of(record: HostRecord) -> HostWord:
    """Take from a host's record what its servers' status needs."""
    sample = record.sample if record.answered else None
    return HostWord(
        boot=record.boot,
        down=(not record.answered and record.failed is not None)
        or (sample is not None and "libvirt_error" in sample),
        enabled=record.enabled,
        asked=record.seen is not None or record.failed is not None,
    )


def line_of(server: Server) -> ServerLine:
    """Make a line of a server."""
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
            [(one.mac, one.address) for one in server.seen],
        ),
        also=server.also,
    )


def networks_of(
    cards: Iterable[tuple[str, str, list[str]]], seen: Iterable[tuple[str, str]]
) -> dict[str, list[str]]:
    """Gather the addresses on each network; a card that holds none has those that were seen."""
    networks: dict[str, list[str]] = {}
    for network, mac, held in cards:
        known = held or list(dict.fromkeys(address for at, address in seen if at == mac))
        if known:
            networks.setdefault(network, []).extend(known)
    return networks


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
    """Whether its host is down, has booted since, or did not have it and others did not say."""
    if line.host is None or line.state not in STANDS:
        return False
    if line.power == Power.NOSTATE:
        return True
    host = hosts.get(line.host)
    if host is None:
        return False
    return host.down or not (line.boot is None or host.boot in (None, line.boot))


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
