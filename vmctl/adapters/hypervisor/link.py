"""The way to one host's libvirt: every call bounded, and every error one of ours."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import libvirt

from vmctl.adapters.libvirt_errors import libvirt_errors
from vmctl.adapters.limited import Late, limited
from vmctl.errors import (
    Conflict,
    HostError,
    HostUnreachable,
    NotFound,
    RemoteFailed,
    RemoteTimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.adapters.libvirtd import LibvirtConnections
    from vmctl.domain.host import Host

T = TypeVar("T")

ABSENT, REFUSED = "absent", "refused"
"""Reasons: what was asked for is not there; it is there already, or its state forbids it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds that calls may take; a daemon that hangs is told by the questions, long before."""

    ask: float = 10.0
    act: float = 90.0
    agent: float = 2.0
    patience: float = 8.0  # for what libvirt refuses only while another job of its runs


class Link:
    """A connection to one host's libvirt, for as long as one call of the hypervisor takes."""

    def __init__(self, host: Host, connections: LibvirtConnections, limits: Limits) -> None:
        self.host = host
        self.limits = limits
        self.connection: libvirt.virConnect = connections.take(host, wait=limits.act)
        self._connections = connections
        self._left = False  # to a call that hangs, or given back already

    def close(self) -> None:
        """Give the connection back, unless it was left to a call that hangs."""
        if not self._left:
            self._connections.give_back(self.host, self.connection)

    def leave(self) -> None:
        """Leave the connection to what hangs on it."""
        if not self._left:
            self._left = True
            self._connections.forsake(self.host, self.connection)

    def ask(self, doing: str, question: Callable[[libvirt.virConnect], T]) -> T:
        """Ask what changes nothing; asked once more where the connection proves to be dead."""
        try:
            return self.call(doing, lambda: question(self.connection), limit=self.limits.ask)
        except HostUnreachable as error:
            if error.reason != "lost":
                raise
        self._left = True
        self.connection = self._connections.renew(self.host, self.connection)
        self._left = False
        return self.call(doing, lambda: question(self.connection), limit=self.limits.ask)

    def find(self, doing: str, question: Callable[[libvirt.virConnect], T]) -> T | None:
        """Ask for one thing; None where it is not there."""
        try:
            return self.ask(doing, question)
        except RemoteFailed as error:
            if error.reason != ABSENT:
                raise
            return None

    def call(
        self,
        doing: str,
        work: Callable[[], T],
        *,
        limit: float | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> T:
        """Make one call that ends, one way or another, within its limit; raises HostError.

        What is late may go on there. The connection is left to it, and no further call follows.
        `meanwhile` is called now and then while it goes on.
        """
        seconds = self.limits.act if limit is None else limit
        if self._left:
            raise self._late(doing, seconds)
        ended = threading.Event()

        def mapped() -> T:
            try:
                with libvirt_errors(self.host.name, doing, user=self.host.user or "the login"):
                    return work()
            finally:
                ended.set()

        try:
            return limited(mapped, seconds, discard=lambda _: None, meanwhile=meanwhile)
        except Late:
            raise self._late(doing, seconds) from None
        except (NotFound, Conflict) as error:
            reason = ABSENT if isinstance(error, NotFound) else REFUSED
            raise RemoteFailed(
                self.host.name, error.message, hint=error.hint, reason=reason
            ) from error.__cause__
        finally:
            # A ^C ends the waiting too, and not the call.
            if not ended.is_set():
                self.leave()

    def attempt(self, doing: str, work: Callable[[], T], *reasons: str) -> T | None:
        """Make a call; None where it failed for one of these reasons."""
        try:
            return self.call(doing, work)
        except RemoteFailed as error:
            if error.reason not in reasons:
                raise
            return None

    def patiently(self, doing: str, work: Callable[[], T]) -> T:
        """Make a call, and again for a while as long as only another job is in its way."""
        end = time.monotonic() + self.limits.patience
        while True:
            try:
                return self.call(doing, work)
            except RemoteFailed as error:
                if not any(words in error.message for words in _PASSING):
                    raise
                if time.monotonic() > end:
                    raise RemoteFailed(
                        self.host.name,
                        error.message,
                        hint="another job on it goes on there: try again when it is over",
                        reason="busy",
                    ) from error.__cause__
            time.sleep(_PAUSE)

    def _late(self, doing: str, seconds: float) -> RemoteTimedOut:
        name = self.host.name
        return RemoteTimedOut(
            name,
            f"{name}: {doing}: libvirt did not answer within {seconds:g} s",
            hint=f"vmctl host check {name} tells whether libvirt hangs there",
            reason="libvirt-hangs",
        )


_PAUSE = 0.2
_PASSING = (
    "has asynchronous jobs running",
    "is still being allocated",
    "is still in use",
)
"""What libvirt says where a volume or its pool is at work, and will be free again."""


def code_of(error: HostError) -> int:
    """Return libvirt's own code of what failed; -1 where it was not libvirt."""
    cause = error.__cause__
    return (cause.get_error_code() or -1) if isinstance(cause, libvirt.libvirtError) else -1
