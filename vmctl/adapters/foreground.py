"""Giving the terminal to another program, as if it had taken this one's place."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

from vmctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

_KEYBOARD = (signal.SIGINT, signal.SIGQUIT)
_ENDS = (signal.SIGTERM, signal.SIGHUP)


def run(words: Sequence[str]) -> int:
    """Run a program with our own stdin, stdout and stderr, and return its exit code.

    The keyboard's signals reach it by the terminal, and it alone decides what they mean; one that
    is to end us is handed on; what we were started to ignore, as nohup does, is ignored there too.
    A program that a signal ended gives 128 and the signal's number.
    """
    child: list[subprocess.Popen[bytes]] = []
    early: list[int] = []

    def hand_on(number: int, _: FrameType | None) -> None:
        if number in _ENDS:
            if child:
                child[0].send_signal(number)
            else:
                early.append(number)

    # A handler, not SIG_IGN: what is ignored here would be ignored there too.
    numbers = (*_KEYBOARD, *_ENDS)
    heard = [one for one in numbers if signal.getsignal(one) is not signal.SIG_IGN]
    before = {number: signal.signal(number, hand_on) for number in heard}
    try:
        try:
            child.append(subprocess.Popen(list(words)))
        except OSError as error:
            raise UsageError(f"{words[0]}: {error.strerror or error}") from error
        for number in early:
            child[0].send_signal(number)
        code = child[0].wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code
