"""A command table of its own, so that the frame is tested without the product's commands."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import click

from vmctl import errors
from vmctl.bootstrap import App
from vmctl.cli.cells import Shown, addresses, memory
from vmctl.cli.command import action, lister, shower
from vmctl.cli.completers import COMPLETERS
from vmctl.cli.grammar import Command, Commands
from vmctl.cli.main import dispatch, run
from vmctl.cli.output import Column, Record, Table
from vmctl.trace import operation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmctl.cli.completers import Completers
    from vmctl.cli.context import Context
    from vmctl.config import Config

UUID = "3f6a2f6e-6d3f-4b0e-9d6e-0b8f1c2d3e4f"


class SampleApp(App):
    """Says that it was closed."""

    closed: ClassVar[list[Config]] = []

    def close(self) -> None:
        self.closed.append(self.config)


@lister
@click.option("--zone")
@click.option("--status", "states", multiple=True)
def host_list(context: Context, *, zone: str | None, states: tuple[str, ...]) -> Table:
    """List the hosts."""
    del context
    rows = [
        ("kvm1", "north", "enabled", "up", 3, memory(12288), {"rack": "a"}, 1.5),
        ("kvm2", "south", "disabled", "down", None, None, {}, None),
        ("kvm10", "north", "enabled", "stale", 12, memory(512), {"rack": "b", "a": "1"}, 0.25),
    ]
    return Table(
        columns=(
            "Host Name",
            "Zone",
            "Status",
            "State",
            "Servers",
            "RAM",
            Column("Labels", when="long"),
            Column("Pressure", when="asked"),
        ),
        rows=[row for row in rows if zone in (None, row[1]) and (not states or row[2] in states)],
    )


@shower
@click.argument("name")
def server_show(context: Context, *, name: str) -> Record:
    """Show a server."""
    del context
    fields = {
        "status": "ACTIVE",
        "name": name,
        "id": UUID,
        "addresses": addresses({"private": ["10.0.0.4", "fd00::4"], "lan": ["192.0.2.9"]}),
        "OS-EXT-STS:power_state": Shown(1, "Running"),
        "properties": {"role": "db", "tier": 2},
        "locked_reason": None,
        "description": 'a "quoted" $(touch pwned) `word` \\ back',
    }
    return Record(fields=fields)


@action
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.option("--user")
def host_ssh(context: Context, *, words: tuple[str, ...], user: str | None) -> str:
    """Run words on a host."""
    del context
    return f"user={user} words={list(words)}\n"


@action
@click.argument("server")
@click.option("--flavor", "-l")
@click.option("--description")
@click.option("--property", "properties", multiple=True)
@click.option("--fixed", nargs=2)
@click.option("--password")
@click.option("--reason", is_flag=True)
@click.option("--dry-run/--no-dry-run", default=False)
def server_create(context: Context, **params: object) -> str:
    """Create a server."""
    del context
    return f"{sorted((key, value) for key, value in params.items() if value)}\n"


@action
@click.argument("words", nargs=-1)
def echo(context: Context, *, words: tuple[str, ...]) -> str:
    """Say which command this is, and what it was told."""
    said = click.get_current_context().info_name
    return f"{said} {list(words)} {context.options}\n"


@action
@click.argument("kind")
def fail(context: Context, *, kind: str) -> int | None:
    """End in one of the ways that there are."""
    match kind:
        case "bug":
            raise KeyError("oops\x1b[31m")
        case "warnings":
            return 16
        case "abort":
            raise click.Abort
        case "interrupt":
            raise KeyboardInterrupt
        case "exit":
            raise SystemExit(7)
        case "many":
            raise errors.UsageError(
                "inv.yaml:3: bad size\ninv.yaml:9: unknown key", hint="fix both"
            )
        case "host":
            raise errors.HostUnreachable(
                "kvm2", "host kvm2 did not answer", hint="vmctl host check kvm2"
            )
        case "wait":
            context.say("waiting")
            signal.signal(signal.SIGINT, signal.default_int_handler)
            time.sleep(30)
        case "endless":
            while True:
                context.write("x" * 1000 + "\n")
        case "descriptor":
            return os.open(os.devnull, os.O_RDONLY)
        case "app":
            context.write(f"{context.app.config.db}\n")
    return None


@action
@click.argument("secret")
@click.option("--password")
def log(context: Context, *, secret: str, password: str | None) -> None:
    """Log what must not be logged."""
    assert context.app is context.app
    secret = secret[::-1]  # made at run time, so no word of the line
    context.log.hide(secret)
    logger = logging.getLogger("vmctl.sample")
    logger.debug("password is %s and the secret %s", password, secret)
    with operation("op-42"):
        logger.info("in an\noperation")
    logging.getLogger("paramiko").debug("too much")
    logging.getLogger("paramiko").warning("their warning")
    logger.warning("our warning")


def _row(attr: str, help_: str, *names: str) -> Command:
    return Command("tests.cli.sample", attr, help_, names=names)


TABLE: Commands = {
    "fail": _row("fail", "end badly"),
    "host list": _row("host_list", "list the hosts"),
    "host ssh": _row("host_ssh", "run words on a host", "host"),
    "host show": _row("echo", "show a host", "host"),
    "log": _row("log", "log secrets"),
    "security group list": _row("echo", "list security groups"),
    "server create": _row("server_create", "create a server"),
    "server resize": _row("echo", "resize a server", "server"),
    "server resize confirm": _row("echo", "confirm a resize", "server"),
    "server resize revert": _row("echo", "revert a resize", "server"),
    "server show": _row("server_show", "show a server", "server"),
    "server migration force complete": _row("echo", "hurry a migration"),
    "completion": Command(
        "vmctl.cli.completion", "script", "print a script", ("shell",), plain=True
    ),
    "complete": Command("vmctl.cli.completion", "complete", "list", plain=True, hidden=True),
    "help": Command("vmctl.cli.help", "help_words", "show help", plain=True),
    "version": Command("vmctl.cli.help", "version", "print the version", plain=True),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What one line did."""

    code: int
    out: str
    err: str


def vmctl(
    *argv: str,
    environ: Mapping[str, str] | None = None,
    commands: Commands = TABLE,
    completers: Completers = COMPLETERS,
) -> Ran:
    """Run a line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = dispatch(
            argv,
            commands,
            SampleApp,
            environ={"HOME": "/dev/null", "TERM": "xterm", **(environ or {})},
            completers=completers,
        )
    return Ran(code=code, out=out.getvalue(), err=err.getvalue())


def main(argv: Sequence[str]) -> int:
    """Run the sample table as a program does."""
    return run(argv, TABLE, SampleApp)
