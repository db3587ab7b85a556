"""``vmctl ssh``: a shell in a server, by the way that leads there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.cli.server_ways import Place, Wish, identity_of, key_holder, login_of, the_places
from vmctl.cli.server_words import refuse_doubled, refuse_off, the_server
from vmctl.errors import HostError, UsageError

if TYPE_CHECKING:
    from vmctl.adapters.guest_entry import GuestWay
    from vmctl.cli.context import Context
    from vmctl.domain.host import Host
    from vmctl.domain.record import Server

_TRY = 2.0
"""Seconds in which a server on a bridge must answer, if it is to be entered directly."""

_FORGOTTEN = 10.0
"""Seconds after which this machine has forgotten which card bore a server's address before it."""

_FAILED = 255
"""What ssh itself ends with; a command there may, too."""


@action
@click.argument("server", metavar="SERVER")
@click.argument("command", metavar="[-- [SSH OPTIONS] COMMAND…]", nargs=-1)
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
@click.option(
    "-o",
    "--option",
    "options",
    metavar="NAME=VALUE",
    multiple=True,
    help="an option of ssh's configuration, before vmctl's own; repeatable",
)
@click.option("-4", "v4", is_flag=True, help="at an IPv4 address")
@click.option("-6", "v6", is_flag=True, help="at an IPv6 address")
@click.option(
    "--address-type",
    "network",
    metavar="NETWORK",
    help="at its address on this network; public or private: of that kind",
)
@click.option("--public", is_flag=True, help="at an address that the whole world may know")
@click.option("--private", is_flag=True, help="at one that means something here alone")
@click.option("--jump", is_flag=True, help="through its host, whatever can be reached from here")
def server_ssh(
    context: Context,
    *,
    server: str,
    command: tuple[str, ...],
    login: str | None,
    identity: str | None,
    port: int,
    options: tuple[str, ...],
    v4: bool,
    v6: bool,
    network: str | None,
    public: bool,
    private: bool,
    jump: bool,
) -> int:
    """Enter a server, or run a command there; the exit code is the command's own.

    It goes to an address that it was seen to have, else to a planned one, and through its host
    where it is behind that host's NAT or does not answer from here. The key that it shows first is
    kept by the server's id, and another one is refused from then on. Options of ssh's own may stand
    behind --, before the command; -v is ssh's as well.
    """  # fmt: skip
    from vmctl.adapters.guest_entry import GuestWay, split_words

    types = [name for name, said in (("public", public), ("private", private)) if said]
    types += [network] if network else []
    if len(types) > 1:
        raise UsageError("--public, --private and --address-type exclude each other")
    own, words = split_words(command)
    found = the_server(context, server)
    refuse_doubled(context, found)
    refuse_off(context, found)
    wish = Wish(network=types[0] if types else None, v6=None if v4 is v6 else v6)
    places = the_places(context, found, wish)
    through = _through(context, found, places[0], port, jump=jump)
    way = GuestWay(
        server=key_holder(context, found),
        address=places[0].address,
        login=login or login_of(found),
        port=port,
        identity=identity or identity_of(context, found),
        words=(
            *("-v",) * context.options.verbose,
            *(word for one in options for word in ("-o", one)),
            *own,
        ),
    )
    code = context.app.enter_guest(way, words, through)
    if code == _FAILED:
        _explain(context, found, way, _Taken(places=tuple(places), through=through))
    return code


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """Which way was taken: to the first of the places, and through whom."""

    places: tuple[Place, ...]
    through: Host | None


def _explain(context: Context, server: Server, way: GuestWay, taken: _Taken) -> None:
    """Say where it went, once that has failed: the address may be one that nobody has."""
    first, *others = taken.places
    who = f"{way.login}@" if way.login else ""
    port = f" port {way.port}" if way.port != 22 else ""
    host = f", through {taken.through.name}" if taken.through else ""
    context.say(
        f"{server.name} was to be entered at {who}{first.address}{port}"
        f" ({first.network}, {first.known}){host}"
    )
    if others:
        rest = "; ".join(f"{one.address} ({one.network}, {one.known})" for one in others)
        context.say(f"its other addresses: {rest}")
    context.say(
        f"hint: vmctl server show {server.name} --refresh looks for its addresses;"
        f" vmctl console log show {server.name} tells how far it came"
    )


def _through(
    context: Context, server: Server, place: Place, port: int, *, jump: bool
) -> Host | None:
    """Say which host it is to be reached through, if it is."""
    from vmctl.adapters.guest_entry import SSH, answers

    if server.host is None or server.host not in context.app.inventory.hosts:
        return None
    host = context.app.inventory.host(server.host)
    if host.connection == "local":
        return None
    if jump or place.behind:
        return host
    until = time.monotonic() + _FORGOTTEN
    while not answers(place.address, port, seconds=_TRY):
        late = time.monotonic() >= until
        if late or port != SSH or _greeted_there(context, host, place.address):
            return host
    return None


def _greeted_there(context: Context, host: Host, address: str) -> bool:
    """Whether its host is let in where nobody is from here."""
    try:
        return context.app.neighbours.ssh_answers(host, address, bridged=False)
    except HostError:
        return False
