"""``vmctl host trust`` and ``vmctl host ssh``: whose key a host has, and a shell on it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from vmctl.adapters.trust import Seen
    from vmctl.cli.context import Context


@action
@click.argument("host", metavar="HOST")
@click.option("--fingerprint", metavar="SHA256:…", help="pin the key that has this fingerprint")
def host_trust(context: Context, *, host: str, fingerprint: str | None) -> None:
    """Show the key that a host has, and pin it once you said that it is the right one.

    With --fingerprint nothing is asked; that is also how a changed key is replaced. A jump host on
    the way whose key is not trusted comes first, and the fingerprint may be that one's.
    """
    app = context.app
    found = app.inventory.host(host)
    if found.connection == "local":
        raise UsageError(f"{host} is this very machine: there is no key to trust")
    seen = app.look_at_keys(found)
    while seen.jump:
        meant = any(key.fingerprint == fingerprint for key in seen.keys)
        _trust(context, seen, fingerprint if meant else None)
        fingerprint = None if meant else fingerprint
        seen = app.look_at_keys(found)
    _trust(context, seen, fingerprint)


def _trust(context: Context, seen: Seen, fingerprint: str | None) -> None:
    what = f"the jump host {seen.hop.shown}" if seen.jump else f"{seen.host} ({seen.hop.shown})"
    for key in seen.keys:
        context.say(f"{what} shows {key.type} {key.fingerprint}")
    if seen.trusted and fingerprint is None:
        context.say(f"{what} is trusted already")
        return
    if fingerprint is None and seen.refusal and seen.refusal.reason in ("changed", "revoked"):
        # To have seen it is no proof: whoever wants it in the old one's place must name it.
        raise seen.refusal
    if fingerprint is None and not context.options.yes:
        _confirm(context, what, seen)
    for key in context.app.pin(seen, fingerprint):
        context.say(f"pinned {key.fingerprint} in {seen.file}")


def _confirm(context: Context, what: str, seen: Seen) -> None:
    """Ask whether it is the right key; whoever cannot be asked must say which one it is."""
    if context.options.no_input or not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise UsageError(
            f"whether this is the key of {what} cannot be asked here",
            hint=f"compare it at the host's own console: ssh-keygen -lf "
            f"/etc/ssh/ssh_host_ed25519_key.pub; then: vmctl host trust {seen.host} "
            f"--fingerprint {seen.keys[0].fingerprint if seen.keys else 'SHA256:…'}",
        )
    sys.stderr.write("Is this the key that the host's own console shows? [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise UsageError("nothing was pinned")


_SSH_FAILED = 255


@action
@click.argument("host", metavar="HOST")
@click.argument("command", metavar="[-- COMMAND…]", nargs=-1)
def host_ssh(context: Context, *, host: str, command: tuple[str, ...]) -> int:
    """Enter a host, or run a command there: by the same way, and with the same keys, as vmctl.

    The exit code is the command's own; ssh itself ends with 255.
    """
    app = context.app
    found = app.inventory.host(host)
    code = app.enter(found, command)
    if code == _SSH_FAILED and found.connection == "ssh":
        refusal = app.look_at_keys(found).refusal
        if refusal is not None:
            # What ssh says of it would have the key forgotten, and trusted at the next sight.
            raise refusal
    return code
