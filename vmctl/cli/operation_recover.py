"""``vmctl operation resume|unwind``: going on with what a dead process has left half done."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import click

from vmctl.cli.command import action
from vmctl.errors import Partial, UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vmctl.cli.context import Context
    from vmctl.domain.operation import Operation
    from vmctl.services.recovery import Recovered

F = TypeVar("F", bound="Callable[..., object]")


def _which(function: F) -> F:
    whole = click.option(
        "--all", "every", is_flag=True, help="every one that is not over and nobody is at work on"
    )
    return click.argument("operations", metavar="OPERATION…", nargs=-1)(whole(function))


@action
@_which
def operation_resume(context: Context, *, operations: tuple[str, ...], every: bool) -> None:
    """Go on with operations: forward if nothing failed yet, else with undoing them.

    Pays what is owed to their hosts, too, where those answer again. With --all, what a create with
    --on-error keep has left is left still: resume it by its id to have it undone.
    """
    _recover(context, operations, every=every, back=False)


@action
@_which
def operation_unwind(context: Context, *, operations: tuple[str, ...], every: bool) -> None:
    """Undo what operations did; one whose every step is done is merely finished.

    There is no way back for a delete that has begun: resume it.
    """
    _recover(context, operations, every=every, back=True)


def _recover(context: Context, words: tuple[str, ...], *, every: bool, back: bool) -> None:
    from vmctl.services.recovery import recover_all

    chosen = _chosen(context, words, every=every, back=back)
    if not chosen:
        context.say("no operation waits for anybody")
        return
    ended = recover_all(context.app.recovery(context.say), chosen, back=back)
    failures = []
    for operation in chosen:
        outcome = ended[operation.id]
        if isinstance(outcome, Exception):
            failures.append(outcome)
        elif outcome.state.over:
            context.say(f"operation {operation.id} is {outcome.state}")
        else:
            failures.append(_still_open(outcome))
    if not failures:
        return
    bug = next((one for one in failures if not isinstance(one, VmctlError)), None)
    if bug is not None:
        raise bug
    if len(chosen) == 1:
        raise failures[0]
    for failure in failures:
        context.say(str(failure))
    kind = Partial if len(failures) < len(chosen) else VmctlError
    raise kind(
        f"{len(failures)} of {len(chosen)} operations are not over", hint="vmctl operation list"
    )


def _chosen(
    context: Context, words: tuple[str, ...], *, every: bool, back: bool
) -> list[Operation]:
    """Find the operations that are meant, each once."""
    from vmctl.services.recovery import orphans

    if every == bool(words):
        raise UsageError("which operation? give ids, or --all", hint="vmctl operation list")
    app = context.app
    if every:
        return _without_kept(context, orphans(app.store, app.leases), back=back)
    return list({one.id: one for one in map(app.store.operation, words)}.values())


def _without_kept(context: Context, found: Iterable[Operation], *, back: bool) -> list[Operation]:
    """Leave out what somebody wanted to look at, and say so; who wants all undone means it, too."""
    from vmctl.services.recovery import is_kept

    chosen = []
    for one in found:
        if back or not is_kept(context.app.store, one):
            chosen.append(one)
            continue
        context.say(
            f"operation {one.id} ({one.kind} by {one.owner}) is left: what it made is kept to be"
            f" looked at; vmctl operation unwind {one.id} takes it away"
        )
    return chosen


def _still_open(outcome: Recovered) -> Exception:
    """Say why an operation is not over yet, with the exit code of what is in the way."""
    fault = outcome.fault
    if isinstance(fault, VmctlError):
        fault.message = f"operation {outcome.operation.id} is {outcome.state}: {fault.message}"
        fault.args = (fault.message,)
        return fault
    if fault is not None:
        return fault
    return VmctlError(
        f"operation {outcome.operation.id} is {outcome.state}", hint="vmctl operation list"
    )
