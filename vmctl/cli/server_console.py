"""``vmctl console log show``: what a server has said on its serial console."""

from __future__ import annotations

import codecs
import time
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.cli.server_words import say_doubled, the_server
from vmctl.cli.text import neutral
from vmctl.domain.build import Build
from vmctl.domain.plain import from_plain
from vmctl.domain.server_line import line_of
from vmctl.errors import HostUnreachable, NotFound

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.record import Server
    from vmctl.services.console_log import ConsoleLog, Place


_PAUSE = 0.5
"""Seconds between two looks at the log while following."""

_AGAIN = 2.0
"""Seconds after which a host is asked once more, where the connection to it was lost."""


@action
@click.argument("server", metavar="SERVER")
@click.option("--lines", metavar="N", type=click.IntRange(min=0), help="only the last N lines")
@click.option("--follow", is_flag=True, help="and go on with what it says, until ^C")
def console_log_show(context: Context, *, server: str, lines: int | None, follow: bool) -> None:
    """Print what a server has said on its console, as its host has kept it.

    That is from its first boot on, over restarts and crashes. --follow ends when the server is
    deleted.
    """
    from vmctl.services.console_log import ConsoleLog

    found = the_server(context, server)
    say_doubled(context, [line_of(found)])
    build = _build(context, found)
    volume = build.volume("log")
    if volume is None:
        raise NotFound(f"server {found.name} has no console log")
    hypervisor = context.app.hypervisors.on(context.app.inventory.host(build.host))
    log = ConsoleLog(hypervisor=hypervisor, pool=build.pool, name=volume.name)
    words = Words(tty=context.screen.tty)
    said, place = log.last(lines)
    context.write(words.of(said))
    if not place.at and not said:
        context.say(f"server {found.name} has no console log yet")
    if follow:
        _follow(context, log, place, words)
        context.say(f"the console log of {found.name} is gone")
    context.write(words.end())


def _follow(context: Context, log: ConsoleLog, place: Place, words: Words) -> None:
    """Print what comes, until there is no log any more."""
    lost = False
    while True:
        time.sleep(_PAUSE)
        try:
            more = log.since(place)
        except HostUnreachable:
            # A libvirtd that was restarted is there again; a host that is gone is not.
            if lost:
                raise
            lost = True
            time.sleep(_AGAIN)
            continue
        lost = False
        if more is None:
            return
        said, place = more
        context.write(words.of(said))


class Words:
    """What a guest said, as text: in pieces, whose ends may stand in the midst of a character."""

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._held = ""
        self._last = "\n"

    def of(self, said: bytes) -> str:
        """Give the text of a piece; the ends of its lines are plain."""
        text = (self._held + self._decoder.decode(said)).replace("\r\n", "\n")
        # It may be half the end of a line.
        self._held = "\r" if text.endswith("\r") else ""
        return self._shown(text.removesuffix("\r"))

    def end(self) -> str:
        """Give what was held back, and an end to the last line."""
        text = self._shown(self._held + self._decoder.decode(b"", final=True))
        return text if self._last.endswith("\n") else f"{text}\n"

    def _shown(self, text: str) -> str:
        self._last = text or self._last
        # Whatever runs there may write what a terminal would obey.
        return neutral(text) if self._tty else text


def _build(context: Context, server: Server) -> Build:
    """Give the plan of the attempt that the server stands by."""
    for attempt in context.app.store.attempts(server.id):
        if attempt.number == server.attempt and attempt.plan:
            return from_plain(Build, attempt.plan)
    raise NotFound(
        f"server {server.name} was never made on a host",
        hint=f"vmctl server event list {server.name}",
    )
