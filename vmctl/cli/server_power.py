"""``vmctl server start``, ``stop`` and their like: the power of servers, several side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.acting import ACTING, DOING, ENDING, UNDOING, act_on, with_options
from vmctl.cli.command import action
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.cli.context import Context
    from vmctl.domain.deed import Deed
    from vmctl.domain.record import Server
    from vmctl.sagas.saga import Saga
    from vmctl.sagas.work import Work

_OBEYS = 60.0
_REBOOTS = 120.0
"""Seconds that a guest is given to obey its power button."""

Params = dict[str, object]


@action
@with_options(ACTING)
def server_start(context: Context, **said: object) -> str | None:
    """Start servers that are off."""
    from vmctl.domain.deed import START as DEED
    from vmctl.sagas.power import START

    return _act(context, said, DEED, START)


@action
@with_options(DOING)
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(min=0),
    default=_OBEYS,
    help="give each guest so many seconds to shut down by itself (60)",
)
@click.option("--force", is_flag=True, help="power them off at once")
def server_stop(context: Context, *, timeout: float, force: bool, **said: object) -> str | None:
    """Stop servers: press the power button, and after a while take the power away."""
    from vmctl.domain.deed import STOP as DEED
    from vmctl.sagas.power import STOP

    return _act(context, said, DEED, STOP, {"patience": 0 if force else timeout})


@action
@with_options(DOING)
@click.option("--soft", is_flag=True, help="ask the guest first (the default)")
@click.option("--hard", is_flag=True, help="power off and on at once, defined anew on the way")
@click.option(
    "--timeout",
    metavar="S",
    type=click.FloatRange(min=0),
    help=f"give each guest so many seconds to shut down by itself ({_REBOOTS:g}); with --hard,"
    " give up after so many, and undo what was begun",
)
def server_reboot(
    context: Context, *, soft: bool, hard: bool, timeout: float | None, **said: object
) -> str | None:
    """Reboot servers; what does not obey its power button is powered off and on."""
    from vmctl.domain import deed
    from vmctl.sagas import power

    if soft and hard:
        raise UsageError("--soft and --hard exclude each other")
    # As openstack does, and nothing without the flag.
    done = "Complete\n" if said["wait"] else None
    if hard:
        limited = {**said, "deadline": timeout}
        return _act(context, limited, deed.REBOOT_HARD, power.REBOOT_HARD, done=done)
    params: Params = {"patience": _REBOOTS if timeout is None else timeout}
    return _act(context, said, deed.REBOOT, power.REBOOT, params, done=done)


@action
@with_options(ACTING)
def server_pause(context: Context, **said: object) -> str | None:
    """Have servers stand still, their memory where it is."""
    from vmctl.domain.deed import PAUSE as DEED
    from vmctl.sagas.power import PAUSE

    return _act(context, said, DEED, PAUSE)


@action
@with_options(ACTING)
def server_unpause(context: Context, **said: object) -> str | None:
    """Have paused servers go on."""
    from vmctl.domain.deed import UNPAUSE as DEED
    from vmctl.sagas.power import UNPAUSE

    return _act(context, said, DEED, UNPAUSE)


@action
@with_options(ACTING)
def server_suspend(context: Context, **said: object) -> str | None:
    """Save the memory of servers on their hosts' disks, and power them off."""
    from vmctl.domain.deed import SUSPEND as DEED
    from vmctl.sagas.power import SUSPEND

    return _act(context, said, DEED, SUSPEND)


@action
@with_options(ACTING)
def server_resume(context: Context, **said: object) -> str | None:
    """Have suspended servers go on where they were."""
    from vmctl.domain.deed import RESUME as DEED
    from vmctl.sagas.power import RESUME

    return _act(context, said, DEED, RESUME)


def _act(
    context: Context,
    said: Mapping[str, object],
    deed: Deed,
    saga: Saga[Work],
    params: Params | None = None,
    *,
    done: str | None = None,
) -> str | None:
    """Do it to each server that is meant; quiet when done, or give that word."""
    from vmctl.services.acting import Errand

    def errand(_server: Server) -> Errand:
        return Errand(deed=deed, saga=saga, params=params or {})

    answer = UNDOING if any(step.undo for step in saga.steps) else ENDING
    return act_on(context, said, deed, errand, done=done, answer=answer)
