"""``vmctl db rebuild``: the record made anew from what stands on the hosts."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import lister
from vmctl.cli.output import Column, Table
from vmctl.errors import Partial, UsageError

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.services.rebuilding import Rebuilt, Told

_COLUMNS = (
    "Server",
    "ID",
    "Host",
    "Result",
    "Reason",
    Column("Power", "long"),
    Column("Attempt", "long"),
    Column("Owner", "long"),
)


@lister
@click.option("--host", "hosts", metavar="HOST", multiple=True, help="only this host; repeatable")
@click.option(
    "--adopt-owner",
    "adopt",
    metavar="UUID",
    multiple=True,
    help="bring over the servers of that database too, for good; repeatable",
)
@click.option("--dry-run", is_flag=True, help="say what would be brought back, and write nothing")
def db_rebuild(
    context: Context, *, hosts: tuple[str, ...], adopt: tuple[str, ...], dry_run: bool
) -> Table:
    """Bring servers back on record from what stands on the hosts; what conflicts is left and told.

    A database without servers takes the place of the one that the domains name as their owner.
    What is on record stays as it is: it may be run again, when more hosts answer. Ends with 14
    where a host did not answer or something is left to be settled.
    """
    from vmctl.services.rebuilding import rebuild

    app = context.app
    inventory = app.inventory
    chosen = [inventory.host(name) for name in dict.fromkeys(hosts)]
    chosen = chosen or list(inventory.hosts.values())
    if not chosen:
        raise UsageError("there is no host in the inventory", hint="vmctl init writes a first one")
    owners = tuple(dict.fromkeys(one.lower() for one in adopt))
    done = rebuild(chosen, app.world, actor=app.actor, adopt=owners, dry_run=dry_run)
    _say(context, done, owners, dry_run=dry_run)
    rows = [_row(one) for one in sorted(done.told, key=_order)]
    rows += [
        (None, None, name, "no answer", failure.message, None, None, None)
        for name, failure in sorted(done.failures.items())
    ]
    return Table(columns=_COLUMNS, rows=rows, exit_code=0 if done.whole else Partial.exit_code)


def _order(one: Told) -> tuple[str, str]:
    standing = one.standing
    name = standing.record.spec.name if standing.record else standing.machine.name
    return name, standing.host.name


def _row(one: Told) -> tuple[object, ...]:
    standing, record = one.standing, one.standing.record
    return (
        record.spec.name if record else standing.machine.name,
        standing.machine.uuid,
        standing.host.name,
        one.fate.value,
        one.reason,
        standing.machine.power.value,
        record.build.number if record else None,
        record.owner if record else None,
    )


def _say(context: Context, done: Rebuilt, adopted: tuple[str, ...], *, dry_run: bool) -> None:
    if done.assumed:
        be = "would be" if dry_run else "is now"
        context.say(
            f"this database {be} {done.owner}, the owner that the servers name: the one that it"
            " was before must not be used any more"
        )
    counts = Counter(one.fate.value for one in done.told)
    told = ", ".join(f"{count} {fate}" for fate, count in sorted(counts.items()))
    context.say(f"{'would be: ' if dry_run else ''}{told or 'no server of ours stands there'}")
    records = [one.standing.record for one in done.told if one.standing.record]
    if {one.owner for one in records} - {done.owner, *adopted}:
        context.say(
            "what names another database stays its; to bring that over for good: vmctl db rebuild"
            " --adopt-owner UUID"
        )
    for failure in done.failures.values():
        context.say(failure.message)
    if done.failures:
        context.say("what stands on hosts that did not answer: run it again when they do")
