"""``vmctl host retire``: a host that will never come back, and what was on it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.errors import Conflict, Partial, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmctl.cli.context import Context
    from vmctl.services.retiring import Holding, Retired


@action
@click.argument("host", metavar="HOST")
@click.option(
    "--with-servers",
    is_flag=True,
    help="the servers on it are lost: take them off the list with it",
)
@click.option("--confirm", metavar="HOST", help="its name once more, where nobody can be asked")
@click.option("--dry-run", is_flag=True, help="say what would be written off, and change nothing")
def host_retire(
    context: Context, *, host: str, with_servers: bool, confirm: str | None, dry_run: bool
) -> None:
    """Write off a host that will never come back: its servers, their room and their addresses.

    It must be silent, its jump hosts answering, or not be in the inventory any more. What is on it
    cannot be proven gone: should it ever run again, its servers' addresses may be in use twice. So
    its name is asked for once more; --yes does not answer that.
    """
    from vmctl.services.retiring import held_on, refuse_alive, retire

    app = context.app
    hosts = app.inventory.hosts if context.config.inventory is not None else {}
    holdings = held_on(host, hosts, app.store)
    silence = refuse_alive(host, hosts, app.prober, app.store)
    context.say(silence.message if silence else f"{host} is not in the inventory any more")
    _tell(context, host, holdings)
    if dry_run:
        return
    standing = [one for one in holdings if one.stands]
    if standing and not with_servers:
        raise Conflict(
            f"{_count(standing, 'server')} on {host} would be lost with it",
            hint=f"delete first what you can do without; or: vmctl host retire {host}"
            " --with-servers",
        )
    _confirm(context, host, confirm)
    reason = f"retired: {context.options.reason}" if context.options.reason else "retired"
    done = retire(host, holdings, app.world, actor=app.actor, owner=app.owner, reason=reason)
    _conclude(context, host, done, known=host in hosts)


def _tell(context: Context, host: str, holdings: Sequence[Holding]) -> None:
    for one in holdings:
        server = one.server
        guarded = ", locked" if server.locked is not None else ""
        guarded += ", protected" if server.protected else ""
        what = "stands there" if one.stands else "may have left something there"
        context.say(f"  {server.name} ({server.id}{guarded}) {what}")
    if not holdings:
        context.say(f"nothing is held on {host}")


def _confirm(context: Context, host: str, said: str | None) -> None:
    """Have the host's name given once more; whoever cannot be asked must say it beforehand."""
    if said is None:
        if context.options.no_input or not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                f"whether {host} will never come back cannot be asked here",
                hint=f"vmctl host retire {host} --confirm {host}",
            )
        sys.stderr.write("It will never come back? Then type its name: ")
        sys.stderr.flush()
        said = sys.stdin.readline().strip()
    if said != host:
        raise UsageError(f"{said or 'nothing'} is not {host}: nothing was retired")


def _conclude(context: Context, host: str, done: Retired, *, known: bool) -> None:
    told = []
    if done.deleted:
        told.append(f"{_count(done.deleted, 'server')} off the list")
    if done.cleaned:
        told.append(f"what {_count(done.cleaned, 'other server')} had there written off")
    context.say("; ".join([f"{host} is retired and takes no new servers", *told]))
    if known:
        context.say(f"take {host} out of the inventory, so that nobody waits for it")
    for failure in done.failures.values():
        context.say(f"{failure.message}\nhint: {failure.hint}")
    if done.failures:
        left = f"{_count(tuple(done.failures), 'server')} on {host} left as they were"
        raise Partial(left, hint=f"again, when nobody is at work on them: vmctl host retire {host}")


def _count(things: Sequence[object], word: str) -> str:
    return f"{len(things)} {word}{'' if len(things) == 1 else 's'}"
