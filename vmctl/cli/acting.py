"""What commands that act on servers have in common: their options, and words made deeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vmctl.cli.deadline import TIMEOUT, Deadline
from vmctl.cli.several import (
    CHOOSING,
    Ended,
    choose,
    look_at_each,
    looking_together,
    on_all,
    tell_chosen,
    with_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.cli.context import Context
    from vmctl.cli.several import Chosen
    from vmctl.domain.deed import Deed
    from vmctl.domain.record import Server
    from vmctl.services.acting import Errand

__all__ = ["ACTING", "DOING", "UNDOING", "act_on", "meant", "tell_chosen", "with_options"]

UNDOING, ENDING = "undoing what was begun", "ending what was begun"
"""What is said to ^C."""

PER_HOST = 8
"""Servers of one host that are acted upon at a time."""

DOING = (
    *CHOOSING,
    click.option("--wait", is_flag=True, help="accepted: it always waits until it is done"),
    click.option("--dry-run", is_flag=True, help="say what would be done, and change nothing"),
    click.option("--reason", metavar="TEXT", help="why, for the events"),
)  # fmt: skip
"""The options of every deed; what was said by them goes to `act_on` as it is."""

ACTING = (*DOING, TIMEOUT)
"""The same, of one that has no use of its own for --timeout."""


def meant(context: Context, said: Mapping[str, object], verb: str) -> Chosen:
    """Find the servers that a command's words mean."""
    words, tags, hosts = (said.get(name, ()) for name in ("servers", "tags", "hosts"))
    assert isinstance(words, tuple)  # noqa: S101 - click has made them
    assert isinstance(tags, tuple)  # noqa: S101 - likewise
    assert isinstance(hosts, tuple)  # noqa: S101 - likewise
    everywhere = bool(said["all_projects"])
    return choose(context, words, verb=verb, tags=tags, hosts=hosts, all_projects=everywhere)


def act_on(
    context: Context,
    said: Mapping[str, object],
    deed: Deed,
    errand_for: Callable[[Server], Errand],
    *,
    done: str | None = None,
    answer: str = ENDING,
) -> str | None:
    """Do a deed to each server that is meant, side by side; quiet when done, or give that word.

    With --dry-run it is only said to which it would be done, and what forbids it to the others.
    """
    ended = on_each(context, said, deed, errand_for, answer=answer)
    if said["dry_run"]:
        tell_chosen(context, ended.servers)
    if ended.fault is not None:
        raise ended.fault
    return done if ended.servers and not said["dry_run"] else None


def on_each(
    context: Context,
    said: Mapping[str, object],
    deed: Deed,
    errand_for: Callable[[Server], Errand],
    *,
    answer: str = ENDING,
    steps: bool = False,
) -> Ended:
    """Do a deed to each server that is meant.

    With --dry-run it is done to none: those to whom it would be are given as they are now. The
    answer is what is said to ^C; with `steps`, what is done by now is told, and without them only
    what there is to say of it.
    """
    from vmctl.cli.interrupts import interruptible
    from vmctl.cli.progress import Silence, progress_of
    from vmctl.cli.text import neutral
    from vmctl.services.acting import act, look_only
    from vmctl.services.site import Slots

    chosen = meant(context, said, deed.name)
    if said["dry_run"]:
        return look_at_each(
            context,
            chosen,
            lambda recovery, server: look_only(recovery, server, errand_for(server)),
            verb=deed.name,
            done=deed.verb,
        )
    slots = Slots(PER_HOST)
    reason = said["reason"] or context.options.reason
    names = tuple(one.name for one in chosen.servers)
    told = progress_of(context, names) if steps else Silence(context.say)

    def say(name: str, _host: str | None, words: str) -> None:
        context.say(neutral(f"{name}: {words}"))

    with (
        looking_together(context, chosen, context.say) as recovery,
        interruptible(answer) as asked,
        told as progress,
    ):
        world = recovery.world
        limit = Deadline(said.get("deadline"), store=world.store, clock=world.clock, asked=asked)

        def do(server: Server) -> Server:
            with limit.over(server, deed.verb), slots.at(server.host or ""):
                limit.check()
                errand = replace(
                    errand_for(server),
                    reason=str(reason) if reason else None,
                    check=limit.check,
                    tell=progress.step if steps else say,
                    steps=steps,
                )
                return act(recovery, server, errand)

        return on_all(context, chosen, do, verb=deed.name, done=deed.verb)
