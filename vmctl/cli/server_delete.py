"""``vmctl server delete``: servers taken off their hosts, side by side and quietly."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from vmctl.cli.command import action
from vmctl.errors import HostError, Interrupted, NotFound, UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.cli.context import Context
    from vmctl.domain.record import Server

F = TypeVar("F", bound="Callable[..., object]")

AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    server: Server


_OPTIONS = (
    click.option("--tag", "tags", metavar="TAG", multiple=True,
                 help="those with this tag too; several: with all of them"),
    click.option("--reservation-id", "reservation", metavar="ID", help="those of one create too"),
    click.option("--graceful", is_flag=True, help="ask the guest to shut down first"),
    click.option("--timeout", metavar="S", type=click.FloatRange(min=0), default=60,
                 help="for --graceful, at most so many seconds (60)"),
    click.option("--force", is_flag=True, help="accepted: a delete powers off at once anyway"),
    click.option("--wait", is_flag=True, help="accepted: delete always waits until it is done"),
    click.option("--all-projects", is_flag=True, hidden=True),
    click.option("--ignore-missing", is_flag=True,
                 help="a server that is not there is no failure"),
    click.option("--dry-run", is_flag=True, help="say what would go, and change nothing"),
    click.option("--reason", metavar="TEXT", help="why, for the events"),
)  # fmt: skip


def _options(function: F) -> F:
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


@action
@click.argument("servers", metavar="SERVER…", nargs=-1)
@_options
def server_delete(
    context: Context,
    *,
    servers: tuple[str, ...],
    tags: tuple[str, ...],
    reservation: str | None,
    graceful: bool,
    timeout: float,
    force: bool,
    wait: bool,
    all_projects: bool,
    ignore_missing: bool,
    dry_run: bool,
    reason: str | None,
) -> str | None:
    """Delete servers: power them off, and take all that was made for them off their hosts.

    Says nothing when done. What a host that does not answer keeps is owed to it: the server is
    off the list, and `operation list` tells. - reads names from stdin, one a line.
    """
    from vmctl.cli.debts import pay
    from vmctl.cli.interrupts import interruptible
    from vmctl.services.fanout import Failed, Ok, fanout

    del force, wait, all_projects
    found, errors = _find(context, servers, tags, reservation, ignore_missing=ignore_missing)
    if dry_run:
        for error in errors:
            context.say(error.message)
        return "".join(f"{one.name} ({one.id}) on {one.host}\n" for one in found)
    asked = len(found) + len(errors)
    jobs = [_Job(one.id, one) for one in found]
    failures: list[Exception] = list(errors)
    if not asked and not ignore_missing:
        context.say("no server is like that: nothing to delete")
    if jobs:
        with interruptible("ending what was begun, for there is no way back") as check:
            act = _worker(context, reason, timeout if graceful else None, check)
            ended = fanout(act, jobs, AT_ONCE)
            failures += [one.error for one in ended.values() if isinstance(one, Failed)]
            silent = {one.value for one in ended.values() if isinstance(one, Ok) and one.value}
            there = {job.server.host for job in jobs if job.server.host} - silent
            pay(context, there - _hosts_of(failures))
    if not failures:
        return None
    bug = next((one for one in failures if not isinstance(one, VmctlError)), None)
    if bug is not None:
        raise bug
    if asked == 1:
        raise failures[0]
    for failure in failures:
        context.say(str(failure))
    if any(isinstance(one, Interrupted) for one in failures):
        raise Interrupted(f"{len(failures)} of {asked} servers were not deleted.")
    raise VmctlError(f"{len(failures)} of {asked} servers failed to delete.")


def _find(
    context: Context,
    words: tuple[str, ...],
    tags: tuple[str, ...],
    reservation: str | None,
    *,
    ignore_missing: bool,
) -> tuple[list[Server], list[VmctlError]]:
    """Find the servers that are meant, each once, and what was meant and is not there."""
    store = context.app.store
    if not words and not tags and reservation is None:
        raise UsageError("which server? give names or ids, --tag or --reservation-id")
    found: dict[str, Server] = {}
    errors: list[VmctlError] = []
    for word in _words(words):
        try:
            server = store.server(word)
            if server.deleted is not None:
                raise NotFound(f"No Server found for {word}: it is deleted already")
        except VmctlError as error:
            if not ignore_missing:
                errors.append(
                    type(error)(
                        f"Failed to delete server with name or ID '{word}': {error.message}",
                        hint=error.hint,
                    )
                )
            continue
        found[server.id] = server
    if tags or reservation is not None:
        for server in store.servers():
            own = server.spec.get("tags") or ()
            tagged = bool(tags) and isinstance(own, list) and set(tags) <= set(own)
            if tagged or (reservation is not None and server.reservation == reservation):
                found[server.id] = server
    return list(found.values()), errors


def _words(words: tuple[str, ...]) -> list[str]:
    found: list[str] = []
    for word in words:
        if word == "-":
            found += sys.stdin.read().split()
        else:
            found.append(word)
    return list(dict.fromkeys(found))


def _hosts_of(failures: list[Exception]) -> set[str]:
    """Name the hosts that failed somebody just now."""
    return {one.host for one in failures if isinstance(one, HostError)}


def _worker(
    context: Context, reason: str | None, graceful: float | None, check: Callable[[], None]
) -> Callable[[_Job], str | None]:
    """Give what deletes one server, and names the host that keeps something of it."""
    from vmctl.services.delete import delete_server, shut_down

    app = context.app
    recovery = app.recovery()

    def work(job: _Job) -> str | None:
        check()
        if graceful is not None:
            shut_down(recovery, job.server, graceful, check=check)
        ended = delete_server(recovery, job.server, reason=reason)
        if ended.owed is not None:
            context.say(
                f"{job.server.name} is off the list; {ended.owed} did not answer and is owed its"
                " cleanup: vmctl operation list"
            )
        return ended.owed

    return work
