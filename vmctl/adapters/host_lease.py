"""The lease on a host: an flock on a directory there, which every operator can open.

It is held by a `cat` that the host itself ends after a fixed time: a laptop that vanished without
closing its connection loses the lease although sshd would not notice for hours.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from typing import TYPE_CHECKING

from vmctl.errors import (
    HostError,
    HostUnreachable,
    LeaseLost,
    RemoteFailed,
    RemoteTimedOut,
    TimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmctl.domain.host import Host
    from vmctl.ports import Matter, Shells, Stream

PLACE = "/var/lib/libvirt"
"""There on every libvirt host, opened by anyone, and nobody's file by accident."""

PLACES: Mapping[Matter, str] = {"host": PLACE, "networks": "/run/libvirt/hostdevmgr"}
"""What is locked for each matter: an arbiter's own room is another matter than its networks.

The second is made by libvirt's QEMU driver, wherever that runs; /run/libvirt itself is what those
hold who bring images to the host.
"""

HOLD = 45
_SLICE = 10
"""Together 55: within a minute of its holder's vanishing the lease is free, whether it was held
or still waited for."""
_TAKEN = 75
_ANSWER = 5.0


class Held:
    """A lease that was taken, with the stream that keeps it."""

    def __init__(self, host: str, stream: Stream, until: float) -> None:
        self._host = host
        self._stream = stream
        self._until = until
        # Several share it, and the answers come in the order of the questions.
        self._asking = threading.Lock()

    @property
    def remaining(self) -> float:
        """Seconds for which the host will still hold it for us."""
        return max(self._until - time.monotonic(), 0)

    def check(self, need: float = _ANSWER) -> None:
        """Have the holder over there answer; raises LeaseLost unless it does, with time to act."""
        with self._asking:
            self._check(need)

    def _check(self, need: float) -> None:
        left = self.remaining
        if left < need:
            raise self._lost(f"it has {left:.0f} s left, and {need:g} s are needed")
        word = secrets.token_hex(8).encode()
        try:
            self._stream.write(word + b"\n")
            answer = self._stream.read_line(min(_ANSWER, left))
        except HostError as error:
            raise self._lost("its holder there does not answer") from error
        if answer != word:
            raise self._lost("its holder there has ended")
        if self.remaining < need:
            raise self._lost("the answer took too long")

    def _lost(self, why: str) -> LeaseLost:
        # After one failed check no later one may succeed: someone else may have acted in between.
        self._until = 0.0
        return LeaseLost(
            self._host,
            f"{self._host}: the lease on the host is lost: {why}",
            hint="nothing was done after that; run the command again",
            reason="lease",
        )


class FlockLeases:
    """Leases by flock over each host's shell."""

    def __init__(self, shells: Shells) -> None:
        self._shells = shells
        self._lock = threading.Lock()
        self._turns: dict[tuple[str, Matter], threading.Lock] = {}

    @contextlib.contextmanager
    def hold(self, host: Host, *, wait: float = 30, of: Matter = "host") -> Iterator[Held]:
        """Hold the lease on a host for the block; raises TimedOut if others hold it too long.

        Those of one process wait for each other here: each would take a session of the host's.
        """
        with self._lock:
            turn = self._turns.setdefault((host.name, of), threading.Lock())
        began = time.monotonic()
        if not turn.acquire(timeout=wait):
            raise _too_long(host, wait)
        try:
            with self._hold(host, max(wait - (time.monotonic() - began), 0), wait, of) as held:
                yield held
        finally:
            turn.release()

    @contextlib.contextmanager
    def _hold(self, host: Host, left: float, wait: float, of: Matter) -> Iterator[Held]:
        shell = self._shells.shell(host)
        until = time.monotonic() + left
        while True:
            patience = min(_SLICE, max(until - time.monotonic(), 0))
            stream = shell.open(_script(patience, PLACES[of]), timeout=HOLD + _SLICE)
            try:
                held = _take(host.name, stream, patience)
            except BaseException:
                stream.close()
                raise
            if held is not None:
                break
            stream.close()
            if time.monotonic() >= until:
                raise _too_long(host, wait)
        try:
            yield held
        finally:
            stream.close()


def _too_long(host: Host, wait: float) -> TimedOut:
    return TimedOut(
        f"{host.name}: another operator has held the lease on the host for {wait:g} s",
        hint="see who is at work there (`vmctl host show` names guests being made), and try again",
    )


def _script(patience: float, place: str) -> str:
    # The lock is timeout's and cat's too: whichever of them dies last gives it back.
    return (
        f"flock -E {_TAKEN} -w {patience:.3f} {place} timeout {HOLD} cat\n"
        f'code=$?; [ "$code" = {_TAKEN} ] && echo taken; exit "$code"\n'
    )


def _take(host: str, stream: Stream, patience: float) -> Held | None:
    """Wait for the lease; None if someone else still holds it."""
    word = secrets.token_hex(8).encode()
    # Counted from the moment before the holder can have started: too short, never too long.
    asked = time.monotonic()
    stream.write(word + b"\n")
    try:
        answer = stream.read_line(patience + _ANSWER)
    except RemoteTimedOut as error:
        raise HostUnreachable(
            host, f"{host}: no word about the lease on the host", reason="timeout"
        ) from error
    if answer == b"taken":
        return None
    if answer != word:
        raise RemoteFailed(
            host,
            f"{host}: the lease on the host cannot be taken there",
            hint=f"on {host}: flock {PLACE} true",
            reason="lease",
        )
    return Held(host, stream, asked + HOLD)
