"""What commands on servers have in common: cells, moments, and finding the one that is meant."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from vmctl.cli.cells import Shown
from vmctl.domain.server_line import STANDS, UNKNOWN
from vmctl.errors import Conflict, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vmctl.cli.context import Context
    from vmctl.domain.host import Host
    from vmctl.domain.record import Server
    from vmctl.domain.server_line import HostWord, ServerLine

_POWER = {
    "nostate": Shown(0, "NOSTATE"),
    "running": Shown(1, "Running"),
    "paused": Shown(3, "Paused"),
    "shutdown": Shown(4, "Shutdown"),
    "crashed": Shown(6, "Crashed"),
    "suspended": Shown(7, "Suspended"),
}
_UNSEEN = Shown(None, "Unknown")


def power_cell(power: str) -> Shown:
    """Make a cell of a power state: openstack's number for programs."""
    return _POWER.get(power, _UNSEEN)


def stamp(at: float | None) -> str | None:
    """Write a moment as openstack does."""
    return None if at is None else time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


def moment(text: str, name: str) -> float:
    """Read a moment as ISO 8601 writes it; one that names no zone is in UTC."""
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UsageError(
            f"Invalid {name} value: {text}", hint="ISO 8601, such as 2026-01-31T12:00:00Z"
        ) from error
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def the_server(context: Context, word: str) -> Server:
    """Find the server that a word means, in openstack's words where there is none or several."""
    store = context.app.store
    try:
        return store.server(word)
    except NotFound:
        from difflib import get_close_matches

        close = get_close_matches(word, (one.name for one in store.servers()), n=3)
        meant = " or ".join(repr(one) for one in close)
        hint = f"Did you mean {meant}?" if close else "vmctl server list"
        raise NotFound(f"No Server found for {word}", hint=hint) from None
    except Conflict as error:
        several = f"More than one Server exists with the name '{word}'."
        raise Conflict(several, hint=f"give an id: {error.message.partition(': ')[2]}") from None


def status_now(context: Context, server: Server) -> str:
    """Say a server's status as lists do."""
    from vmctl.domain.server_line import line_of, status_of

    hosts = {server.host: host_word(context, server.host)} if server.host else {}
    return status_of(line_of(server), hosts)


def host_word(context: Context, host: str) -> HostWord:
    """Say what is known of one host, as far as the status of its servers goes."""
    from vmctl.domain.server_line import word_of

    known = context.config.inventory is None or host in context.app.host_names()
    return word_of(context.app.store.host(host), known=known)


_RUNS = (
    *("ACTIVE", UNKNOWN, "PASSWORD", "REBOOT", "HARD_REBOOT", "MIGRATING"),
    *("RESCUE", "VERIFY_RESIZE"),
)
"""The statuses in which there is somebody to answer, as far as anybody knows."""


def refuse_off(context: Context, server: Server) -> None:
    """Raise Conflict for a server in which nobody can answer: on its host, not only on record."""
    status = status_now(context, server)
    if status not in _RUNS and server.state.value in STANDS:
        from vmctl.cli.server_refresh import look_at

        look_at(context, server)
        now = status_now(context, context.app.store.server(server.id))
        # A host that does not answer proves nothing: the record stands.
        status = status if now == UNKNOWN else now
    if status not in _RUNS:
        raise Conflict(f"server {server.name} is {status}: there is no one to answer")


def refuse_doubled(context: Context, server: Server) -> None:
    """Raise Conflict for a server that is on several hosts still: it could be either that answers.

    A record that says so is looked after first.
    """
    if not server.also:
        return
    from vmctl.cli.server_refresh import look_at
    from vmctl.services import believing

    look_at(context, server)
    believing.refuse_doubled(context.app.store.server(server.id))


def where_it_is(context: Context, server: Server) -> tuple[Server, Host]:
    """Give a server and the host that has it; one that is not on its own any more is looked for."""
    host = host_of(context, server)
    if context.app.hypervisors.on(host).machine(server.id) is not None:
        return server, host
    from vmctl.cli.server_refresh import look_at
    from vmctl.services import believing

    look_at(context, server)
    found = context.app.store.server(server.id)
    believing.refuse_doubled(found)
    if found.host == host.name:
        raise NotFound(
            f"server {found.name} is not on {host.name}: its domain is gone",
            hint=f"vmctl server show {found.name} tells what is known of it",
        )
    return found, host_of(context, found)


def host_of(context: Context, server: Server) -> Host:
    """Give the host that a server is on; Conflict where it has none yet, or none any more."""
    if server.host is None:
        raise Conflict(
            f"server {server.name} is on no host",
            hint=f"vmctl server event list {server.name}",
        )
    return context.app.inventory.host(server.host)


def zones_of_hosts(context: Context) -> Mapping[str, str]:
    """Say in which zone each host of the inventory is; without an inventory nothing is known."""
    if context.config.inventory is None:
        return {}
    return {host.name: host.zone for host in context.app.inventory.hosts.values()}


def say_lost(context: Context, lines: Iterable[ServerLine], hosts: Mapping[str, HostWord]) -> None:
    """Tell of servers whose host is no longer in the inventory: nobody asks after them there."""
    strange = {name for name, word in hosts.items() if not word.known}
    lost: dict[str, int] = {}
    for line in lines if strange else ():
        if line.host in strange and line.deleted is None:
            lost[line.host] = lost.get(line.host, 0) + 1
    for host, count in sorted(lost.items()):
        them = "1 server is" if count == 1 else f"{count} servers are"
        context.say(
            f"{them} on {host}, which is not in the inventory: dropped, or renamed? "
            f"(vmctl server list --host {host})"
        )


def say_doubled(context: Context, lines: Iterable[ServerLine]) -> None:
    """Tell of servers that were seen on several hosts: nothing is done to them until that ends."""
    for line in lines:
        if line.also and line.deleted is None:
            others = ", ".join(line.also)
            context.say(
                f"{line.name}, on {line.host}, was seen on {others} as well"
                f" (vmctl server refresh {line.name})"
            )
