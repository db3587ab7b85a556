"""What ^C means while servers are made: the first has all undone, the second goes at once."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vmctl.cli import console
from vmctl.errors import Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from vmctl.cli.context import Context

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def interruptible(context: Context) -> Iterator[Callable[[], None]]:
    """Give the block a check that raises Interrupted once someone has asked to stop.

    Whoever asks twice is let go at once: the journal says how far things came.
    """
    asked = threading.Event()
    code = 130

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal code
        code = 128 + number
        if asked.is_set():
            console.tell("stopped at once; vmctl operation list tells what is left to do")
            os._exit(code)
        asked.set()
        context.say("undoing what was begun; once more to stop at once")

    def check() -> None:
        if asked.is_set():
            raise Interrupted("interrupted: what was begun is undone")

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield check
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
