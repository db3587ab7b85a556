"""What commands that act on servers have in common: their options, and words made deeds."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vmctl.cli.several import CHOOSING, choose, side_by_side, with_options

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.cli.context import Context
    from vmctl.cli.several import Chosen
    from vmctl.domain.deed import Deed
    from vmctl.domain.record import Server
    from vmctl.services.acting import Errand

__all__ = ["ACTING", "act_on", "meant", "with_options"]

PER_HOST = 8
"""Servers of one host that are acted upon at a time."""

ACTING = (
    *CHOOSING,
    click.option("--host", "hosts", metavar="HOST", multiple=True, help="those on this host too"),
    click.option("--wait", is_flag=True, help="accepted: it always waits until it is done"),
    click.option("--all-projects", is_flag=True, hidden=True),
    click.option("--dry-run", is_flag=True, help="say what would be done, and change nothing"),
    click.option("--reason", metavar="TEXT", help="why, for the events"),
)  # fmt: skip
"""The options of every deed; what was said by them goes to `act_on` as it is."""


def meant(context: Context, said: Mapping[str, object], verb: str) -> Chosen:
    """Find the servers that a command's words mean."""
    words, tags, hosts = (said.get(name, ()) for name in ("servers", "tags", "hosts"))
    assert isinstance(words, tuple)  # noqa: S101 - click has made them
    assert isinstance(tags, tuple)  # noqa: S101 - likewise
    assert isinstance(hosts, tuple)  # noqa: S101 - likewise
    return choose(context, words, verb=verb, tags=tags, hosts=hosts)


def act_on(
    context: Context,
    said: Mapping[str, object],
    deed: Deed,
    errand_for: Callable[[Server], Errand],
) -> str | None:
    """Do a deed to each server that is meant, side by side; quiet when done.

    With --dry-run it is only said to which it would be done, and what forbids it to the others.
    """
    from vmctl.cli.interrupts import interruptible
    from vmctl.services.acting import act, admitted
    from vmctl.services.site import Slots

    chosen = meant(context, said, deed.name)
    recovery = context.app.recovery(context.say)
    if said["dry_run"]:
        would: dict[str, str] = {}

        def look(server: Server) -> None:
            found = admitted(recovery, server, deed)
            would[server.id] = f"{found.name} ({found.id}) on {found.host}\n"

        try:
            side_by_side(context, chosen, look, verb=deed.name, done=deed.verb)
        finally:
            context.write("".join(would[one.id] for one in chosen.servers if one.id in would))
        return None
    slots = Slots(PER_HOST)
    reason = said["reason"]
    with interruptible("ending what was begun") as check:

        def do(server: Server) -> None:
            with slots.at(server.host or ""):
                check()
                errand = errand_for(server)
                act(
                    recovery,
                    server,
                    replace(errand, reason=str(reason) if reason else None, check=check),
                )

        side_by_side(context, chosen, do, verb=deed.name, done=deed.verb)
    return None
