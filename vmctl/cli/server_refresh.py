"""Looking at servers anew, for the commands that are told to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.cli.context import Context
    from vmctl.domain.record import Server
    from vmctl.domain.server_line import ServerLine


def look_again(context: Context) -> None:
    """Look at every server on record, with one call to each host that has any."""
    lines, _ = context.app.server_lines(whole=False)
    _look(context, lines, addresses=False)


def look_at(context: Context, server: Server) -> None:
    """Look at one server, and at its addresses."""
    from vmctl.domain.server_line import line_of

    _look(context, [line_of(server)], addresses=True)


def _look(context: Context, lines: Iterable[ServerLine], *, addresses: bool) -> None:
    from vmctl.services.observing import Eyes, observe

    app = context.app
    seen = observe(
        lines,
        app.inventory.hosts,
        Eyes(hypervisors=app.hypervisors, prober=app.prober, store=app.store, clock=time.time),
        addresses=addresses,
    )
    for failure in seen.failures.values():
        context.say(failure.message)
    for turn in seen.turns:
        context.say(f"{turn.name} was {turn.before} on record, and is {turn.after}")
    for line in seen.missing:
        context.say(f"{line.name} is not on {line.host}: its domain is gone")
