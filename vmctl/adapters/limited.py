"""A limit for calls that have none of their own: name look-ups, libvirt, an ssh handshake."""

from __future__ import annotations

import contextvars
import threading
import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_NOW_AND_THEN = 0.2


class Late(Exception):
    """The call had not returned when its time was over."""


class _Call:
    """One call in a thread of its own, and who takes what it returns."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.ended = threading.Event()
        self.left = False
        self.error: BaseException | None = None


def limited(
    work: Callable[[], T],
    seconds: float,
    *,
    discard: Callable[[T], object],
    meanwhile: Callable[[], None] | None = None,
) -> T:
    """Call `work` in a daemon thread and wait for it no longer than so many seconds.

    Raises Late when they are over. What comes back after that is handed to `discard`, so that
    nothing stays open that nobody knows of. `meanwhile` is called now and then while it waits.
    """
    call = _Call()
    result: list[T] = []

    def run() -> None:
        try:
            value = work()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is waited for
            call.error = error
        else:
            with call.lock:
                if not call.left:
                    result.append(value)
            if not result:
                discard(value)
        call.ended.set()

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(run,), daemon=True).start()
    until = time.monotonic() + max(seconds, 0)
    # Never in one go: a signal that another thread took is answered only between two waits.
    try:
        while not call.ended.wait(min(_NOW_AND_THEN, max(until - time.monotonic(), 0))):
            if time.monotonic() >= until:
                break
            if meanwhile is not None:
                meanwhile()
    except BaseException:
        with call.lock:
            call.left = True
        for value in result:
            discard(value)
        raise
    with call.lock:
        call.left = True
    if result:
        return result[0]
    if call.error is not None:
        raise call.error
    raise Late
