"""``vmctl events``: what was done, to whatever it was, as it stands in the log of all operators."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from vmctl.cli.cells import machine
from vmctl.cli.command import teller
from vmctl.cli.event_words import message_in, who
from vmctl.cli.output import Column, Table, render
from vmctl.cli.server_words import stamp, the_server
from vmctl.cli.text import neutral
from vmctl.errors import NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vmctl.cli.context import Context
    from vmctl.domain.operation import Event

_USUAL = 100
_PAUSE = 0.5
"""Seconds between two looks at the record while following."""

_COLUMNS = (
    "Time",
    "Who",
    "Client",
    "Action",
    "Server",
    "Host",
    "Result",
    "Message",
    Column("ID", "asked"),
    Column("Operation", "asked"),
    Column("Server ID", "asked"),
    Column("Detail", "asked"),
)
_FOLLOWED = ("table", "ndjson", "value")


@teller
@click.option("--server", metavar="SERVER", help="of this server, by name or id")
@click.option("--host", metavar="HOST", help="on this host")
@click.option("--limit", metavar="N", type=click.IntRange(min=0), help="the newest N (100)")
@click.option("--follow", is_flag=True, help="and go on with what comes, until ^C")
def events(
    context: Context, *, server: str | None, host: str | None, limit: int | None, follow: bool
) -> None:
    """Tell who did what, when, to what, and how it ended; the oldest first.

    --follow prints a line for each as it comes; with -f ndjson, an object.
    """
    output = context.output
    if follow and output.format not in _FOLLOWED:
        raise UsageError(f"--follow writes {', '.join(_FOLLOWED)}; {output.format} has an end")
    store = context.app.store
    names = {one.id: one.name for one in store.servers(deleted=True)}
    if server is not None and server not in names and server not in names.values():
        the_server(context, server)  # which says that there is none

    def look(*, after: int = 0, limit: int = 0) -> tuple[Event, ...]:
        return store.events(server=server or "", host=host or "", after=after, limit=limit)

    most = _USUAL if limit is None else limit
    if not follow:
        rows = [_row(event, names) for event in (look(limit=most) if most else ())]
        context.write(render(Table(columns=_COLUMNS, rows=rows), output, context.screen))
        return
    from vmctl.cli.event_tail import Tail

    tail = Tail(look, time.monotonic)
    found: Iterable[Event] = tail.begin(most)
    while True:
        for event in found:
            if event.server is not None and event.server not in names:
                names[event.server] = _name_of(context, event.server)
            _tell(context, _row(event, names))
        time.sleep(_PAUSE)
        found = tail.more()


def _name_of(context: Context, server: str) -> str:
    try:
        return context.app.store.server(server).name
    except NotFound:
        return server


def _row(event: Event, names: Mapping[str, str]) -> tuple[object, ...]:
    return (
        stamp(event.at),
        who(event.actor),
        event.actor.client,
        event.action,
        names.get(event.server or "", event.server),
        event.host,
        event.result,
        message_in(event),
        event.id,
        event.operation,
        event.server,
        dict(event.detail),
    )


def _tell(context: Context, row: tuple[object, ...]) -> None:
    """Print one event at once: whoever follows waits for it."""
    if context.output.format != "table":
        table = Table(columns=_COLUMNS, rows=[row])
        context.write(render(table, context.output, context.screen))
        return
    at, actor, client, action, server, host, result, message, *_ = map(machine, row)
    about = " ".join(str(one) for one in (server, f"on {host}" if host else None) if one)
    words = f"{at} {actor}@{client} {action} {about}: {result}"
    context.write(neutral(f"{words}: {message}" if message else words) + "\n")
