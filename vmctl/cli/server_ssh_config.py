"""``vmctl ssh-config``: the ways into servers, for ssh, scp, Ansible and their like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.cli.server_ways import KINDS, Wish, identity_of, key_holder, login_of, places_of
from vmctl.cli.several import LIKE, choose, with_options
from vmctl.errors import NotFound, Partial, VmctlError

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.cli.server_ways import Place
    from vmctl.domain.host import Host
    from vmctl.domain.record import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """One server that is to be in it, and where it is reached."""

    server: Server
    place: Place
    host: Host | None


@action
@click.argument("servers", metavar="[SERVER…]", nargs=-1)
@with_options(LIKE)
@click.option("-l", "--login", metavar="LOGIN", help="as whom (each image's os_admin_user)")
@click.option("-i", "--identity", metavar="FILE", help="with this private key")
@click.option(
    "-p",
    "--port",
    metavar="N",
    type=click.IntRange(1, 65535),
    default=22,
    help="another port than 22",
)
@click.option("-4", "v4", is_flag=True, help="at IPv4 addresses")
@click.option("-6", "v6", is_flag=True, help="at IPv6 addresses")
@click.option(
    "--address-type",
    "network",
    metavar="NETWORK",
    help=f"at the addresses on this network; {' or '.join(KINDS)}: of that kind",
)
@click.option("--jump", is_flag=True, help="through each one's host, behind its NAT or not")
@click.option("--refresh", is_flag=True, help="look for their addresses first")
def ssh_config(
    context: Context,
    *,
    servers: tuple[str, ...],
    tags: tuple[str, ...],
    hosts: tuple[str, ...],
    all_projects: bool,
    login: str | None,
    identity: str | None,
    port: int,
    v4: bool,
    v6: bool,
    network: str | None,
    jump: bool,
    refresh: bool,
) -> None:
    """Print a configuration for ssh -F, with each server by its name and its id.

    Of all servers, or of those that are named. It leads through a server's host where the server
    is behind that host's NAT, as `vmctl ssh` does, and keeps the servers' keys where that does.
    """  # fmt: skip
    from vmctl.adapters.guest_config import Entry, config_text
    from vmctl.adapters.guest_entry import GuestWay

    found = _meant(context, servers, tags, hosts, all_projects=all_projects)
    if refresh:
        from vmctl.cli.server_refresh import look_at_all

        look_at_all(context, found)
        found = [context.app.store.server(one.id) for one in found]
    wish = Wish(network=network, v6=None if v4 is v6 else v6)
    named = bool(servers or tags or hosts)
    ways = [way for one in found if (way := _way(context, one, wish, jump=jump, named=named))]
    passages, failures = _passages(context, {way.host.name: way.host for way in ways if way.host})
    own = None if identity is None else str(Path(identity).expanduser().absolute())
    entries = []
    for way in ways:
        server = way.server
        if way.host is not None and way.host.name in failures:
            continue
        entry = Entry(
            names=(server.name, server.id),
            way=GuestWay(
                server=key_holder(context, server),
                address=way.place.address,
                login=login or login_of(server),
                port=port,
                identity=own or identity_of(context, server),
            ),
            note=f"{way.place.address} on {way.place.network}, {way.place.known}",
        )
        entries.append(replace(entry, passage=passages[way.host.name] if way.host else None))
    context.write(config_text(entries, context.config.state_folder))
    if failures:
        for failure in failures.values():
            context.say(failure.message)
        raise Partial(f"{len(ways) - len(entries)} of {len(ways)} servers are left out")


def _meant(
    context: Context,
    words: tuple[str, ...],
    tags: tuple[str, ...],
    hosts: tuple[str, ...],
    *,
    all_projects: bool,
) -> list[Server]:
    """Find the servers that are to be in it: all that there are, unless some are named."""
    if words or tags or hosts:
        chosen = choose(
            context, words, verb="find", tags=tags, hosts=hosts, all_projects=all_projects
        )
        if chosen.errors:
            raise chosen.errors[0]
        return chosen.servers
    project = None if all_projects else context.config.project
    return [
        one
        for one in context.app.store.servers()
        if one.holds_name and one.host is not None and project in (None, one.project)
    ]


def _way(context: Context, server: Server, wish: Wish, *, jump: bool, named: bool) -> _Way | None:
    """Say where a server is reached; one that was not named may be nowhere."""
    places = places_of(context, server, wish)
    if not places:
        error = NotFound(
            f"no address of server {server.name} is known{wish.words}",
            hint=f"vmctl server show {server.name} --refresh",
        )
        if named:
            raise error
        context.say(error.message)
        return None
    known = context.app.inventory.hosts
    host = known.get(server.host or "")
    if host is not None and (host.connection == "local" or not (jump or places[0].behind)):
        host = None
    return _Way(server=server, place=places[0], host=host)


def _passages(
    context: Context, hosts: dict[str, Host]
) -> tuple[dict[str, str], dict[str, VmctlError]]:
    """Write what leads through each host, and give what went wrong by host."""
    from vmctl.services.fanout import Ok, fanout

    passages: dict[str, str] = {}
    failures: dict[str, VmctlError] = {}
    for name, outcome in fanout(context.app.guest_passage, hosts.values()).items():
        if isinstance(outcome, Ok):
            passages[name] = outcome.value
        elif isinstance(outcome.error, VmctlError):
            failures[name] = outcome.error
        else:
            raise outcome.error
    return passages, failures
