"""``vmctl server refresh``, and looking at servers anew for the commands that are told to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.cli.several import say_silent
from vmctl.errors import Partial

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vmctl.cli.context import Context
    from vmctl.domain.host import Host
    from vmctl.domain.record import Server
    from vmctl.domain.server_line import ServerLine
    from vmctl.services.observing import Outlook, Watch
    from vmctl.services.seeking import Eyes


@action
@click.argument("servers", metavar="SERVER…", nargs=-1)
def server_refresh(context: Context, *, servers: tuple[str, ...]) -> int:
    """Look at servers on their hosts, and say what is not as it was on record.

    All hosts are asked, side by side: that finds servers that were moved, and those that stand on
    two hosts. Without a name they are asked for all that they have.
    """
    from vmctl.domain.server_line import line_of

    if servers:
        from vmctl.cli.several import choose, conclude

        chosen = choose(context, servers, verb="refresh")
        lines = [line_of(server) for server in chosen.servers]
        seen = watch_of(context).observe(lines, addresses=True, elsewhere=True)
        _tell(context, lines, seen)
        conclude(context, list(chosen.errors), chosen.asked, verb="refresh", done="refreshed")
    else:
        lines, _ = context.app.server_lines(whole=False)
        seen = watch_of(context).observe(lines, everywhere=True)
        _tell(context, lines, seen)
        _tell_strays(context, seen)
    if seen.failures and not seen.heard:
        raise list(seen.failures.values())[-1]
    return Partial.exit_code if seen.failures else 0


def look_again(context: Context) -> None:
    """Look for every server on record on all hosts, with one call to each."""
    lines, _ = context.app.server_lines(whole=False)
    _say(context, watch_of(context).observe(lines, elsewhere=True))


def host_by_host(
    context: Context,
) -> tuple[Callable[[], list[Host]], Callable[[Host], None]]:
    """Give what names the hosts that have servers, and what looks at one of them and its servers.

    What a look changes is not said: it is seen in the list.
    """
    app, looking = context.app, watch_of(context)
    known = app.inventory.hosts

    def hosts() -> list[Host]:
        lines, _ = app.server_lines(whole=False)
        names = {line.host for line in lines if line.host is not None}
        return [known[name] for name in sorted(names & set(known))]

    def ask(host: Host) -> None:
        lines, _ = app.server_lines(whole=False)
        seen = looking.observe([line for line in lines if line.host == host.name])
        if host.name in seen.failures:
            raise seen.failures[host.name]

    return hosts, ask


def look_at_all(context: Context, servers: Iterable[Server]) -> None:
    """Look at some servers and their addresses, all hosts side by side."""
    from vmctl.domain.server_line import line_of

    _say(context, watch_of(context).observe(map(line_of, servers), addresses=True))


def look_at(context: Context, server: Server, *, elsewhere: bool = False) -> None:
    """Look at one server, and at its addresses; whether it is elsewhere too only if that is asked.

    Where it is not on its own host, it is looked for on all of them anyway.
    """
    from vmctl.domain.server_line import line_of

    looking = watch_of(context)
    _say(context, looking.observe([line_of(server)], addresses=True, elsewhere=elsewhere))


def watch_of(context: Context) -> Watch:
    """Give whoever looks at servers for this command."""
    from vmctl.services.believing import seen_by
    from vmctl.services.observing import Watch

    app = context.app
    return Watch(hosts=app.inventory.hosts, eyes=eyes_of(context), event=seen_by(app.actor))


def eyes_of(context: Context) -> Eyes:
    """Give what a look needs."""
    from vmctl.services.seeking import Eyes

    app = context.app
    return Eyes(
        hypervisors=app.hypervisors,
        prober=app.prober,
        store=app.store,
        leases=app.leases,
        clock=time.time,
    )


def _say(context: Context, seen: Outlook) -> None:
    for failure in seen.failures.values():
        context.say(failure.message)
    say_silent(context, seen.silent)
    for line in (*(turn.words for turn in seen.turns), *seen.notes):
        context.say(line)


def _tell(context: Context, lines: Iterable[ServerLine], seen: Outlook) -> None:
    for failure in seen.failures.values():
        context.say(failure.message)
    say_silent(context, seen.silent)
    context.write("".join(f"{turn.words}\n" for turn in seen.turns))
    for note in seen.notes:
        context.say(note)
    if context.options.verbose:
        count = len(list(lines))
        turned = len({turn.server for turn in seen.turns})
        context.say(f"{count} servers looked at on {len(seen.heard)} hosts, {turned} changed")


def _tell_strays(context: Context, seen: Outlook) -> None:
    """Tell of domains with records of ours that are no servers on record."""
    from vmctl.services.straying import strays

    for stray in strays(seen.sights, context.app.store):
        context.say(stray.words)
