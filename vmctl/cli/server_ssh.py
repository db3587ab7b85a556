"""``vmctl ssh``: a shell in a server, by the way that leads there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.cli.server_words import refuse_off, the_server
from vmctl.errors import HostError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.cli.context import Context
    from vmctl.domain.host import Host
    from vmctl.domain.record import Server

_LOGINS = ("os_admin_user", "default_user")
"""The properties of an image that name who is let in."""

_TRY = 2.0
"""Seconds in which a server on a bridge must answer, if it is to be entered directly."""

_FORGOTTEN = 10.0
"""Seconds after which this machine has forgotten which card bore a server's address before it."""


@action
@click.argument("server", metavar="SERVER")
@click.argument("command", metavar="[-- COMMAND…]", nargs=-1)
@click.option("-l", "--login", metavar="LOGIN", help="as whom (the image's os_admin_user)")
@click.option("-i", "--identity", metavar="FILE", help="with this private key")
@click.option(
    "-p",
    "--port",
    metavar="N",
    type=click.IntRange(1, 65535),
    default=22,
    help="another port than 22",
)
@click.option("-4", "v4", is_flag=True, help="at an IPv4 address")
@click.option("-6", "v6", is_flag=True, help="at an IPv6 address")
@click.option("--address-type", "network", metavar="NETWORK", help="at its address on this network")
@click.option("--jump", is_flag=True, help="through its host, whatever can be reached from here")
def server_ssh(
    context: Context,
    *,
    server: str,
    command: tuple[str, ...],
    login: str | None,
    identity: str | None,
    port: int,
    v4: bool,
    v6: bool,
    network: str | None,
    jump: bool,
) -> int:
    """Enter a server, or run a command there; the exit code is the command's own.

    It goes to an address that it was seen to have, else to a planned one, and through its host
    where it is behind that host's NAT or does not answer from here. The key that it shows first is
    kept by the server's id, and another one is refused from then on.
    """  # fmt: skip
    from vmctl.adapters.guest_entry import GuestWay

    app = context.app
    found = the_server(context, server)
    refuse_off(context, found)
    wanted = (network, None if v4 is v6 else v6)
    places = list(_places(context, found, *wanted))
    if not places:
        # Nothing was planned and nobody has looked: look now.
        from vmctl.cli.server_refresh import look_at

        look_at(context, found)
        found = app.store.server(found.id)
        places = list(_places(context, found, *wanted))
    if not places:
        raise NotFound(
            f"no address of server {found.name} is known{f' on {network}' if network else ''}",
            hint=f"vmctl server show {found.name} --refresh",
        )
    address, behind = places[0]
    through = _through(context, found, address, port, behind=behind, jump=jump)
    way = GuestWay(
        server=found.id,
        address=address,
        login=login or _login(found),
        port=port,
        identity=identity,
    )
    return app.enter_guest(way, command, through)


def _places(
    context: Context,
    server: Server,
    network: str | None,
    v6: bool | None,  # noqa: FBT001
) -> Iterator[tuple[str, bool]]:
    """Give its addresses, the best first, and whether each is behind its host's NAT."""
    behind = _behind_nat(context, server)
    seen = {(one.mac, one.address) for one in server.seen}
    found = []
    for place, nic in enumerate(server.nics):
        own = [address for mac, address in seen if mac == nic.mac]
        for address in dict.fromkeys((*own, *nic.addresses)):
            is_v6 = ":" in address
            # Such an address says nothing without the card that it is seen from.
            if address.startswith("fe80:") or v6 not in (None, is_v6):
                continue
            if network in (None, nic.network):
                key = ((nic.mac, address) not in seen, place, is_v6, address)
                found.append((key, address, nic.mac in behind))
    for _, address, nat in sorted(found):
        yield address, nat


def _behind_nat(context: Context, server: Server) -> frozenset[str]:
    """Say which of its cards are on a network that only its host reaches."""
    for attempt in context.app.store.attempts(server.id):
        if attempt.number == server.attempt:
            cards = attempt.plan.get("cards")
            held = cards if isinstance(cards, list) else []
            return frozenset(card["mac"] for card in held if card.get("kind") == "network")
    return frozenset()


def _through(
    context: Context, server: Server, address: str, port: int, *, behind: bool, jump: bool
) -> Host | None:
    """Say which host it is to be reached through, if it is."""
    from vmctl.adapters.guest_entry import SSH, answers

    if server.host is None or server.host not in context.app.inventory.hosts:
        return None
    host = context.app.inventory.host(server.host)
    if host.connection == "local":
        return None
    if jump or behind:
        return host
    until = time.monotonic() + _FORGOTTEN
    while not answers(address, port, seconds=_TRY):
        late = time.monotonic() >= until
        if late or port != SSH or _greeted_there(context, host, address):
            return host
    return None


def _greeted_there(context: Context, host: Host, address: str) -> bool:
    """Whether its host is let in where nobody is from here."""
    try:
        return context.app.neighbours.ssh_answers(host, address, bridged=False)
    except HostError:
        return False


def _login(server: Server) -> str | None:
    from vmctl.domain.server_line import spec_text

    named = (spec_text(server.spec, "image", "properties", name) for name in _LOGINS)
    return next((name for name in named if name), None)
