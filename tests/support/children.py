"""Processes that a test starts: none of them outlives it, and one that hangs says where."""

from __future__ import annotations

import faulthandler
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

_BEGUN: list[subprocess.Popen[Any]] = []


def begun(words: Sequence[str], **how: Any) -> subprocess.Popen[Any]:
    """Start a program that is left to the test, and to `end_all` where the test fails."""
    child = subprocess.Popen(words, **how)
    _BEGUN.append(child)
    return child


def end_all() -> None:
    """Kill what was begun and has not ended."""
    while _BEGUN:
        child = _BEGUN.pop()
        if child.poll() is None:
            with child:
                child.kill()


def must_end_within(seconds: float) -> None:
    """Have this process say on stderr where it stands, and end with 1, if it takes longer."""
    faulthandler.dump_traceback_later(seconds, exit=True)


@contextmanager
def started(words: Sequence[str], **how: Any) -> Iterator[subprocess.Popen[Any]]:
    """Give the block a program that runs, and wait for its end; if the block fails, it is killed.

    Popen's own block waits even then, and for ever if the program was to be told to end.
    """
    with subprocess.Popen(words, **how) as child:
        try:
            yield child
            child.wait(timeout=30)
        finally:
            child.kill()
