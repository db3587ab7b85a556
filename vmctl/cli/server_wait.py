"""``vmctl server wait``: until servers are as far as someone wants them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.cli.several import CHOOSING, Job, choose, conclude_as, with_options
from vmctl.errors import Interrupted, TimedOut, UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmctl.cli.context import Context
    from vmctl.domain.record import Server
    from vmctl.services.awaiting import Goal

_GUEST = ("ip", "ssh", "cloud-init")
_FOR = "active, ip, ssh, cloud-init, status=STATUS or deleted"


@action
@with_options(CHOOSING)
@click.option("--for", "what", metavar="WHAT", default="active", help=f"{_FOR} (active)")
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(min=0),
    default=600,
    help="at most so many seconds (600)",
)
def server_wait(
    context: Context,
    *,
    servers: tuple[str, ...],
    tags: tuple[str, ...],
    hosts: tuple[str, ...],
    all_projects: bool,
    what: str,
    timeout: float,
) -> None:
    """Wait for servers, side by side; quiet when all are so far, 12 where one is not in time.

    Their hosts are asked each second. One that is in ERROR fails at once, unless that is what is
    waited for. ^C ends the wait and nothing else.
    """
    from vmctl.services.awaiting import DELETED

    goal = goal_of(what)
    gone = goal.word == DELETED
    chosen = choose(
        context,
        servers,
        verb="find",
        tags=tags,
        hosts=hosts,
        all_projects=all_projects,
        ignore_missing=gone,
    )
    failures = wait_side_by_side(context, chosen.servers, goal, timeout)
    conclude(context, [*chosen.errors, *failures], chosen.asked, what)


def wait_side_by_side(
    context: Context, servers: Sequence[Server], goal: Goal, timeout: float
) -> list[Exception]:
    """Wait for servers with a screen of progress, and give what is in the way of some."""
    from vmctl.cli.interrupts import interruptible
    from vmctl.cli.progress import progress_of
    from vmctl.services.awaiting import Vigil, Watch
    from vmctl.services.believing import seen_by
    from vmctl.services.fanout import Failed, fanout

    app = context.app
    names = tuple(one.name for one in servers)
    with interruptible("waiting no longer") as check, progress_of(context, names) as progress:
        watch = Watch(
            world=app.world,
            neighbours=app.neighbours,
            hosts=app.inventory.hosts,
            event=seen_by(app.actor),
            check=check,
            tell=progress.step,
        )
        vigil = Vigil(watch, [one.id for one in servers], goal, timeout)
        jobs = [Job(one.id, one) for one in servers]
        ended = fanout(lambda job: vigil.wait(job.server), jobs, len(jobs))
    return [one.error for one in ended.values() if isinstance(one, Failed)]


def goal_of(what: str) -> Goal:
    """Read what is waited for."""
    from vmctl.services.awaiting import DELETED, Goal
    from vmctl.services.finding import STATUSES

    word, equals, status = what.partition("=")
    if what == "active":
        return Goal(word="ACTIVE", status="ACTIVE")
    if what in (*_GUEST, DELETED):
        return Goal(word=what)
    if word == "status" and equals:
        status = status.upper()
        if status == "DELETED":
            return Goal(word=DELETED)
        if status in STATUSES:
            return Goal(word=status, status=status)
        raise UsageError(f"--for: {status} is no status", hint=f"one of {', '.join(STATUSES)}")
    raise UsageError(f"--for: {what!r} is nothing to wait for", hint=_FOR)


def conclude(context: Context, failures: list[Exception], asked: int, what: str) -> None:
    """Raise the only failure there is, or say each and raise what is true of all."""
    verdict = f"{len(failures)} of {asked} servers: no {what}."
    conclude_as(
        context, failures, asked, dict.fromkeys((Interrupted, TimedOut, VmctlError), verdict)
    )
