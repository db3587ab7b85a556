"""Leases shared by the servers of one command: taken once, looked under once, for all at hand.

Every server needs the lease on its host, and a look at what stands there, before its domain is
defined. Side by side they would queue for both; so whoever comes while a lease is held, with time
left, joins in, and the last one out gives it back.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from vmctl.ports import HostLease

T = TypeVar("T")

ENOUGH = 20.0
"""Seconds that a lease must still have for someone to join: to look, ask and define within them."""


@dataclass(slots=True)
class Round(Generic[T]):
    """A lease that is held, and what was seen since it is."""

    lease: HostLease
    seen: T
    inside: int = 0
    passed: set[str] = field(default_factory=set)
    """The servers that were found to fit since that look, which does not show them."""

    lock: threading.Lock = field(default_factory=threading.Lock)


class Rounds(Generic[T]):
    """The rounds of one process, one at a time for each key."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._open: dict[str, Round[T] | None] = {}
        self._exits: dict[str, AbstractContextManager[HostLease]] = {}

    @contextmanager
    def join(
        self,
        key: str,
        hold: Callable[[], AbstractContextManager[HostLease]],
        look: Callable[[], T],
    ) -> Iterator[Round[T]]:
        """Be in a round for the block: in the one that is open, or in a new one."""
        found = self._enter(key)
        if found is None:
            found = self._begin(key, hold, look)
        try:
            yield found
        finally:
            self._leave(key, found)

    def _enter(self, key: str) -> Round[T] | None:
        with self._lock:
            while key in self._open:
                found = self._open[key]
                if found is not None and found.lease.remaining > ENOUGH:
                    found.inside += 1
                    return found
                self._lock.wait()
            # None says that someone is about to open it.
            self._open[key] = None
            return None

    def _begin(
        self,
        key: str,
        hold: Callable[[], AbstractContextManager[HostLease]],
        look: Callable[[], T],
    ) -> Round[T]:
        manager = hold()
        try:
            lease = manager.__enter__()
            try:
                seen = look()
            except BaseException:
                manager.__exit__(None, None, None)
                raise
        except BaseException:
            with self._lock:
                del self._open[key]
                self._lock.notify_all()
            raise
        found = Round(lease, seen, inside=1)
        with self._lock:
            self._open[key] = found
            self._exits[key] = manager
            self._lock.notify_all()
        return found

    def _leave(self, key: str, found: Round[T]) -> None:
        with self._lock:
            found.inside -= 1
            if found.inside:
                return
            manager = self._exits.pop(key)
            # Nobody may join a lease that is being given back.
            self._open[key] = None
        try:
            manager.__exit__(None, None, None)
        finally:
            with self._lock:
                del self._open[key]
                self._lock.notify_all()
