"""Servers that are there already when they are asked for: whoever is at one is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.record import ServerState
from vmctl.errors import Busy, Interrupted, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vmctl.domain.record import Server
    from vmctl.sagas.work import World

_LOOK = 0.2


def settled(
    world: World,
    found: Callable[[], tuple[Server, ...]],
    *,
    seconds: float,
    check: Callable[[], None],
    tell: Callable[[str], None],
) -> tuple[Server, ...]:
    """Give the servers that are found once nobody is at making one of them any more.

    One that fails is found no longer. Raises Busy for one whose maker is gone: what is half made
    is nothing to go by, and whoever asked for it decides whether it is gone on with or undone.
    """
    until, told = world.clock() + seconds, False
    while True:
        servers = found()
        making = [one for one in servers if one.state is ServerState.BUILDING]
        if not making:
            return servers
        _refuse_left(world, making)
        names = ", ".join(one.name for one in making)
        if not told:
            tell(f"{names}: being made by someone else; waiting for that")
            told = True
        try:
            check()
        except Interrupted:
            raise Interrupted(f"{names}: nobody waits for who makes it any more") from None
        if world.clock() >= until:
            raise TimedOut(
                f"{names}: someone else is still at making it after {seconds:g} s",
                hint="vmctl operation list tells who",
            )
        world.sleep(_LOOK)


def _refuse_left(world: World, making: Iterable[Server]) -> None:
    for server in making:
        for one in world.store.operations(unfinished=True, server=server.id):
            if world.leases.is_dead(one.id):
                raise Busy(
                    f"server {server.name} is half made: {one.owner} was at it and is gone",
                    hint=f"vmctl operation resume {one.id} goes on with it,"
                    f" vmctl operation unwind {one.id} undoes it",
                )
