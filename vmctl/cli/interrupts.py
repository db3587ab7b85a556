"""What ^C means while servers are made or taken away: the second one goes at once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from vmctl.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_CURSOR = "\x1b[?25h" if os.isatty(2) else ""
"""Shows it again, where a live screen has hidden it."""


@contextmanager
def interruptible(answer: str) -> Iterator[Callable[[], None]]:
    """Give the block a check that raises Interrupted once someone has asked to stop.

    The answer says what is done about it. Whoever asks twice is let go at once: the journal says
    how far things came. A signal that we were started to ignore, as nohup does, asks nothing.
    """
    asked = threading.Event()
    code = 130

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal code
        code = 128 + number
        if asked.is_set():
            _tell(f"{_CURSOR}stopped at once; vmctl operation list tells what is left to do")
            os._exit(code)
        asked.set()
        _tell(f"{answer}; once more to stop at once")

    def check() -> None:
        if asked.is_set():
            raise Interrupted("interrupted")

    heard = [one for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Have whoever asks to stop end the block by an Interrupted: once, so that it ends in order.

    A signal that we were started to ignore, as nohup does, ends nothing.
    """
    heard = [one for one in _SIGNALS if signal.getsignal(one) is not signal.SIG_IGN]

    def handle(number: int, _frame: FrameType | None) -> None:
        # What is given back on the way out is not to be interrupted in its turn.
        for one in heard:
            signal.signal(one, signal.SIG_IGN)
        error = Interrupted(f"ended by {signal.Signals(number).name}")
        error.exit_code = 128 + number
        raise error

    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _tell(words: str) -> None:
    """Write a line past all buffers: a handler may have stopped someone in the middle of one."""
    with suppress(OSError):
        os.write(2, f"{words}\n".encode())
