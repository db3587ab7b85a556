"""What a server has said on its console: in its log, and in the parts that were moved aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.errors import RemoteFailed

if TYPE_CHECKING:
    from vmctl.ports import Hypervisor

_KNOWN = 256
"""Bytes before the place up to which a log was read, by which it is known again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleLog:
    """A server's console log on its host; it begins at its first boot, and outlives a crash."""

    hypervisor: Hypervisor
    pool: str
    name: str

    def last(self, lines: int | None = None) -> tuple[bytes, Place]:
        """Give its last lines, or all of it, and the place up to which that is."""
        parts = self.hypervisor.log_parts(self.pool, self.name)
        found: list[bytes] = []
        for part in reversed(parts):
            found.insert(0, self._read(part))
            if lines is not None and sum(one.count(b"\n") for one in found) > lines:
                break
        said = b"".join(found)
        if lines is not None:
            said = _tail(said, lines)
        return said, Place().after(found[-1] if found else b"")

    def since(self, place: Place) -> tuple[bytes, Place] | None:
        """Give what was said since a place, and the new one; None if the log is gone.

        A place that is in none of its parts any more is one before the oldest of them.
        """
        try:
            more = self._goes_on(self.name, place)
            if more is not None:
                return more, place.after(more)
            # It has begun anew: what it said last is in the part that was moved aside.
            parts = self.hypervisor.log_parts(self.pool, self.name, moved=True)
            return self._over(parts, place)
        except RemoteFailed:
            if self.hypervisor.volume(self.pool, self.name) is not None:
                raise
            return None

    def _over(self, parts: tuple[str, ...], place: Place) -> tuple[bytes, Place]:
        newer = [self._read(self.name)]
        begun = Place().after(newer[0])
        for part in reversed(parts[:-1]):
            rest = self._goes_on(part, place)
            if rest is not None:
                return b"".join((rest, *newer)), begun
            newer.insert(0, self._read(part))
        return b"".join(newer), begun

    def _goes_on(self, part: str, place: Place) -> bytes | None:
        """Give what a part says after a place; None if it does not say the same before it."""
        said = self._read(part, offset=place.at - len(place.known))
        return said[len(place.known) :] if said.startswith(place.known) else None

    def _read(self, part: str, *, offset: int = 0) -> bytes:
        # A volume may be longer than what was written into it.
        return self.hypervisor.read_volume(self.pool, part, offset=offset).rstrip(b"\0")


def _tail(said: bytes, lines: int) -> bytes:
    end = b"\n" if said.endswith(b"\n") else b""
    return b"\n".join(said.removesuffix(end).split(b"\n")[-lines:]) + end if lines else b""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a log was read, and what stands right before that."""

    at: int = 0
    known: bytes = b""

    def after(self, said: bytes) -> Place:
        """Give the place after something more."""
        return Place(self.at + len(said), (self.known + said)[-_KNOWN:])
