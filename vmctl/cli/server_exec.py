"""``vmctl server exec``: a command in a server, by its guest agent."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vmctl.cli import console
from vmctl.cli.command import action
from vmctl.cli.server_words import refuse_doubled, refuse_off, the_server, where_it_is
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from vmctl.cli.context import Context


@action
@click.argument("server", metavar="SERVER")
@click.argument("command", metavar="-- COMMAND…", nargs=-1, required=True)
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(min=0, min_open=True),
    help="wait at most so many seconds for its end",
)
@click.option("--stdin", "given", metavar="FILE", help="have it read this file; - is stdin")
def server_exec(
    context: Context,
    *,
    server: str,
    command: tuple[str, ...],
    timeout: float | None,
    given: str | None,
) -> int:
    """Run a command in a server by its guest agent; the exit code is the command's own.

    No network and no login are needed, and there is no shell but one that is asked for: sh -c '…'.
    What it writes is printed at its end. A signal that ends it gives 128 and its number.
    """
    from vmctl.cli.interrupts import interruptible
    from vmctl.services.guest import Guest, run_in

    found = the_server(context, server)
    refuse_doubled(context, found)
    refuse_off(context, found)
    found, host = where_it_is(context, found)
    said = _read(given)
    with interruptible("leaving the command to itself") as check:
        guest = Guest(
            server=found.id,
            name=found.name,
            hypervisor=context.app.hypervisors.on(host),
            clock=time.monotonic,
            sleep=time.sleep,
            check=check,
        )
        ran = run_in(guest, command, given=said, timeout=timeout)
    console.write_bytes(ran.stdout)
    console.write_bytes(ran.stderr, to_stderr=True)
    if ran.cut:
        context.say("warning: it wrote more than its agent keeps; the rest is lost")
    return ran.exit_code


def _read(given: str | None) -> bytes:
    """Read what the command is to read."""
    from vmctl.domain.agent import MOST_INPUT

    if given is None:
        return b""
    try:
        with sys.stdin.buffer if given == "-" else Path(given).open("rb") as file:
            said = file.read(MOST_INPUT + 1)
    except OSError as error:
        raise UsageError(f"--stdin: {given}: {error.strerror}") from error
    if len(said) > MOST_INPUT:
        raise UsageError(
            f"--stdin: more than {MOST_INPUT >> 20} MiB does not go through a guest agent",
            hint="vmctl ssh SERVER -- 'cat >FILE' takes as much as you like",
        )
    return said
