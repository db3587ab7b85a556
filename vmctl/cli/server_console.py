"""``vmctl console log show``: what a server has said on its serial console."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.cli.server_words import the_server
from vmctl.cli.text import neutral
from vmctl.domain.build import Build
from vmctl.domain.plain import from_plain
from vmctl.errors import NotFound

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.record import Server


@action
@click.argument("server", metavar="SERVER")
@click.option("--lines", metavar="N", type=click.IntRange(min=0), help="only the last N lines")
def console_log_show(context: Context, *, server: str, lines: int | None) -> str | None:
    """Print what a server has said on its console, as its host has kept it."""
    found = the_server(context, server)
    build = _build(context, found)
    log = build.volume("log")
    if log is None:
        raise NotFound(f"server {found.name} has no console log")
    hypervisor = context.app.hypervisors.on(context.app.inventory.host(build.host))
    said = b""
    if hypervisor.volume(build.pool, log.name) is not None:
        said = hypervisor.read_volume(build.pool, log.name)
    # A volume may be longer than what was written into it.
    text = said.rstrip(b"\0").decode(errors="replace").replace("\r\n", "\n")
    if not text:
        context.say(f"server {found.name} has no console log yet")
        return None
    if lines is not None:
        text = "".join(text.splitlines(keepends=True)[-lines:] if lines else ())
    if text and not text.endswith("\n"):
        text += "\n"
    # Whatever runs there may write what a terminal would obey.
    return neutral(text) if context.screen.tty else text


def _build(context: Context, server: Server) -> Build:
    """Give the plan of the attempt that the server stands by."""
    for attempt in context.app.store.attempts(server.id):
        if attempt.number == server.attempt and attempt.plan:
            return from_plain(Build, attempt.plan)
    raise NotFound(
        f"server {server.name} was never made on a host",
        hint=f"vmctl server event list {server.name}",
    )
