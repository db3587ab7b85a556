"""A screen shown to one viewer: the password that lets it in lets nobody in after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.errors import TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.ports import Clock, Door, Visit

_LOOK = 0.2
"""Seconds between two looks at who came and who went."""


def serve(
    door: Door,
    *,
    patience: float,
    clock: Clock,
    sleep: Callable[[float], object],
    received: Callable[[], object],
) -> None:
    """Have a viewer come through a door, and wait until it goes; TimedOut if none comes in time.

    Whoever is turned away, for a wrong password, may come again. Once one was let in, `received`
    is called, and nobody else comes.
    """
    guests: list[Visit] = []
    until = clock() + patience
    while not any(one.let_in for one in guests):
        # Over first: one that was let in and left between the two looks is not to be forgotten.
        guests = [one for one in guests if not one.over or one.let_in]
        if clock() >= until:
            raise TimedOut(f"no viewer was let in within {patience:g} s")
        guest = door.visit(_LOOK)
        if guest is not None:
            guests.append(guest)
    door.shut()
    received()
    while any(one.let_in and not one.over for one in guests):
        sleep(_LOOK)
