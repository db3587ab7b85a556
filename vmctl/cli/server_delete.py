"""``vmctl server delete``: servers taken off their hosts, side by side and quietly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.cli.several import (
    AT_ONCE,
    CHOOSING,
    Job,
    choose,
    conclude,
    look_at_each,
    looking_together,
    tell_chosen,
    with_options,
)
from vmctl.errors import HostError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.cli.context import Context
    from vmctl.cli.several import Chosen
    from vmctl.domain.record import Server
    from vmctl.services.recovery import Recovery

_OPTIONS = (
    *CHOOSING,
    click.option("--reservation-id", "reservation", metavar="ID",
                 help="and those of one create, with the tags and on the hosts that are said"),
    click.option("--graceful", is_flag=True, help="ask the guest to shut down first"),
    click.option("--timeout", metavar="S", type=click.FloatRange(min=0), default=60,
                 help="for --graceful, at most so many seconds (60)"),
    click.option("--keep-disks", is_flag=True, hidden=True),
    click.option("--force", is_flag=True, help="even where it is protected, its host is no longer"
                 " in the inventory, or what died at it cannot be undone"),
    click.option("--wait", is_flag=True, help="accepted: delete always waits until it is done"),
    click.option("--ignore-missing", is_flag=True,
                 help="a server that is not there is no failure"),
    click.option("--dry-run", is_flag=True, help="say what would go, and change nothing"),
    click.option("--reason", metavar="TEXT", help="why, for the events"),
)  # fmt: skip


@action
@with_options(_OPTIONS)
def server_delete(
    context: Context,
    *,
    servers: tuple[str, ...],
    tags: tuple[str, ...],
    hosts: tuple[str, ...],
    reservation: str | None,
    graceful: bool,
    timeout: float,
    keep_disks: bool,
    force: bool,
    wait: bool,
    all_projects: bool,
    ignore_missing: bool,
    dry_run: bool,
    reason: str | None,
) -> str | None:
    """Delete servers: power them off, and take all that was made for them off their hosts.

    Says nothing when done. What a host that does not answer keeps is owed to it: the server is
    off the list, and `operation list` tells. No force deletes a server that is locked. - reads
    names from stdin, one a line.
    """
    from vmctl.cli.debts import pay
    from vmctl.cli.interrupts import interruptible
    from vmctl.services.fanout import Failed, Ok, fanout

    del wait
    if keep_disks:
        raise UsageError(
            "--keep-disks is not there yet: what was made for a server goes with it",
            hint="keep a copy first, on its host: virsh vol-clone --pool POOL VOLUME COPY; vmctl"
            " server show SERVER --xml names its volumes",
        )
    chosen = choose(
        context,
        servers,
        verb="delete",
        tags=tags,
        hosts=hosts,
        reservation=reservation,
        all_projects=all_projects,
        ignore_missing=ignore_missing,
    )
    if dry_run:
        return _would_go(context, chosen, force=force)
    asked = chosen.asked
    jobs = [Job(one.id, one) for one in chosen.servers]
    failures: list[Exception] = list(chosen.errors)
    if jobs:
        stays = "; a guest that is being asked stays" if graceful else ", for there is no way back"
        with (
            looking_together(context, chosen, context.say) as recovery,
            interruptible(f"ending what was begun{stays}") as check,
        ):
            patience = timeout if graceful else None
            why = reason or context.options.reason
            act = _worker(context, recovery, why, patience, check, force=force)
            ended = fanout(act, jobs, AT_ONCE)
            failures += [one.error for one in ended.values() if isinstance(one, Failed)]
            silent = {one.value for one in ended.values() if isinstance(one, Ok) and one.value}
            there = {job.server.host for job in jobs if job.server.host} - silent
            pay(context, there - _hosts_of(failures))
    conclude(context, failures, asked, verb="delete", done="deleted")
    return None


def _would_go(context: Context, chosen: Chosen, *, force: bool) -> str | None:
    """Print the servers that would go, as they are now; which of them may not is an error."""
    from vmctl.services.delete import look_only

    def look(recovery: Recovery, server: Server) -> Server:
        return look_only(recovery, server, force=force)

    ended = look_at_each(context, chosen, look, verb="delete", done="deleted")
    tell_chosen(context, ended.servers)
    if ended.fault is not None:
        raise ended.fault
    return None


def _hosts_of(failures: list[Exception]) -> set[str]:
    """Name the hosts that failed somebody just now."""
    return {one.host for one in failures if isinstance(one, HostError)}


def _worker(
    context: Context,
    recovery: Recovery,
    reason: str | None,
    graceful: float | None,
    check: Callable[[], None],
    *,
    force: bool,
) -> Callable[[Job], str | None]:
    """Give what deletes one server, and names the host that keeps something of it."""
    from vmctl.services.delete import Grace, delete_server

    grace = None if graceful is None else Grace(seconds=graceful, check=check)

    def work(job: Job) -> str | None:
        check()
        ended = delete_server(recovery, job.server, reason=reason, force=force, grace=grace)
        if ended.owed is not None:
            context.say(
                f"{job.server.name} is off the list; {ended.owed} could not be asked and is owed"
                " its cleanup: vmctl operation list"
            )
        return ended.owed

    return work
