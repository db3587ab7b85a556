"""``vmctl console attach``: a server's serial console in this terminal."""

from __future__ import annotations

import os
from contextlib import closing
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.cli.console import PipeClosed
from vmctl.cli.server_words import refuse_doubled, the_server, where_it_is
from vmctl.errors import Conflict, HostUnreachable, NotFound, RemoteFailed, UsageError

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.console import ConsoleEnd
    from vmctl.domain.record import Server
    from vmctl.ports import Console, Hypervisor

_NO_KEY = "none"


@action
@click.argument("server", metavar="SERVER")
@click.option(
    "--escape", metavar="^X", default="^]", help="the key that lets go of it, or none (^])"
)
@click.option("--force", is_flag=True, help="take it from whoever has it")
@click.option("--resize", is_flag=True, help="type stty with this terminal's size at its prompts")
def console_attach(
    context: Context, *, server: str, escape: str, force: bool, resize: bool
) -> int | None:
    """Attach to a server's serial console, until a key lets go of it or the server is off.

    Only one may have it at a time. Pipes work as well: what comes goes through as it is, and no key
    lets go. A serial line has no size: --resize types ` stty rows R cols C` where the guest's
    shell waits, at first and whenever this terminal's size changes.
    """
    from vmctl.adapters.terminal import talk
    from vmctl.cli.interrupts import ended_by_signals
    from vmctl.domain.window import Window

    key = key_of(escape)
    found = the_server(context, server)
    refuse_doubled(context, found)
    found, host = where_it_is(context, found)
    hypervisor = context.app.hypervisors.on(host)
    # Who is not at a terminal gets what the guest says, and nothing besides.
    tty = os.isatty(0)
    with ended_by_signals(), closing(_attached(hypervisor, found, force=force)) as console:
        if tty:
            _greet(context, found, escape, told=resize)
        try:
            left = talk(console, escape=key, window=Window() if resize and tty else None)
        except BrokenPipeError:
            raise PipeClosed from None
        end = console.end()
    if left:
        context.say(f"let go of the console of {found.name}")
        return None
    _ended(context, found, end)
    return None


def key_of(word: str) -> bytes:
    """Read which key is meant: ^X as keyboards have it, or one that stands for itself."""
    if word == _NO_KEY:
        return b""
    if len(word) == 1 and " " < word <= "~":
        return word.encode()
    sign = word[1:].upper()
    if len(word) == 2 and word[0] == "^" and ("@" <= sign <= "_" or sign == "?"):
        return bytes([ord(sign) ^ 0x40])
    raise UsageError(
        f"--escape: {word} is no key", hint="^] or another letter or sign behind ^, one sign, none"
    )


def _attached(hypervisor: Hypervisor, server: Server, *, force: bool) -> Console:
    from vmctl.domain.console import CONSOLE_HELD, NO_CONSOLE

    name = server.name
    try:
        return hypervisor.console(server.id, force=force)
    except RemoteFailed as error:
        match error.reason:
            case "refused":
                what = f"server {name} does not run: there is nothing to attach to"
                raise Conflict(what, hint=f"vmctl console log show {name}") from error
            case "absent":
                what = f"server {name} is not on {error.host}: its domain is gone"
                raise NotFound(what, hint=f"vmctl server show {name} --refresh") from error
            case reason if reason == NO_CONSOLE:
                raise NotFound(
                    f"server {name} has no serial console", hint=f"vmctl console url show {name}"
                ) from error
            case reason if reason == CONSOLE_HELD:
                what = f"somebody else is attached to the console of {name}"
                raise Conflict(what, hint="--force takes it over, and ends theirs") from error
        raise


def _greet(context: Context, server: Server, escape: str, *, told: bool) -> None:
    key = "no key lets go of it" if escape == _NO_KEY else f"{escape} lets go of it"
    context.say(f"attached to the console of {server.name} on {server.host}; {key}")
    if not told:
        size = os.get_terminal_size(0)
        context.say(
            f"a serial line has no size; at a shell there: stty rows {size.lines} cols"
            f" {size.columns} (or --resize)"
        )


def _ended(context: Context, server: Server, end: ConsoleEnd | None) -> None:
    """Say how it ended, where it was not the operator who let go."""
    from vmctl.domain.console import ConsoleEnd

    name, host = server.name, server.host or ""
    if end is ConsoleEnd.TAKEN:
        raise Conflict(
            f"somebody else took over the console of {name}", hint="--force takes it back"
        )
    if end is ConsoleEnd.LOST:
        raise HostUnreachable(
            host,
            f"{host}: the connection was lost; whether {name} runs on is not known",
            hint=f"vmctl console attach {name}, once {host} answers again",
            reason="lost",
        )
    context.say(f"server {name} was powered off: its console has ended")
