"""The log of events as it grows: each is told once, and none is passed over."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vmctl.domain.operation import Event

    Look = Callable[..., tuple[Event, ...]]

WINDOW = 180.0
"""Seconds after which nothing can come any more under an id below one that was seen: PostgreSQL
gives ids when they are asked for and shows rows when they are committed, and no transaction of
ours lasts that long.
"""

_KNOWN = 500
"""So many that were there before are known, so that what comes late among them is told apart."""


class Tail:
    """What comes after what was there already, whatever order it comes in.

    `look` reads the events that are meant, oldest first: `after` an id, or the newest `limit`.
    """

    def __init__(self, look: Look, clock: Callable[[], float]) -> None:
        self._look = look
        self._clock = clock
        self._floor = 0  # nothing comes at or below it any more
        self._told: set[int] = set()
        self._tops: deque[tuple[float, int]] = deque()  # when which id was seen first, rising

    def begin(self, most: int) -> tuple[Event, ...]:
        """Give the newest that are there; what is left out of them counts as told."""
        known = max(most, _KNOWN)
        found = self._look(limit=known)
        if len(found) == known:
            self._floor = found[0].id - 1
        self._note(found)
        return found[-most:] if most else ()

    def more(self) -> list[Event]:
        """Give those that were not there before, by their ids."""
        found = self._look(after=self._floor)
        fresh = [event for event in found if event.id not in self._told]
        self._note(fresh)
        return fresh

    def _note(self, found: Iterable[Event]) -> None:
        now = self._clock()
        self._told.update(event.id for event in found)
        top = max(self._told, default=0)
        if top > (self._tops[-1][1] if self._tops else self._floor):
            self._tops.append((now, top))
        while self._tops and self._tops[0][0] + WINDOW <= now:
            self._floor = self._tops.popleft()[1]
            self._told = {one for one in self._told if one > self._floor}
