"""``--watch``: a list drawn anew on a terminal, while its hosts are asked behind it."""

from __future__ import annotations

import os
import select
import signal
import sys
import termios
import time
import tty
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vmctl.cli.output import render
from vmctl.cli.text import neutral
from vmctl.errors import UsageError
from vmctl.services.lookout import Lookout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from types import FrameType

    from vmctl.cli.context import Context
    from vmctl.cli.output import Table
    from vmctl.domain.host import Host

_REDRAWN = 1.0
"""Seconds after which it is drawn anew even if nothing has changed: ages grow."""

_GLANCE = 0.1
_ENDS = (signal.SIGTERM, signal.SIGHUP)


def watch(
    context: Context,
    every: float,
    *,
    hosts: Callable[[], Iterable[Host]],
    ask: Callable[[Host], object],
    draw: Callable[[Context], Table],
) -> Table:
    """Draw a list on the terminal until someone leaves, and give it as it was then.

    It is drawn from the record, which the asking keeps up to date.
    """
    _require_terminal(context)
    # What would be said on stderr would stand across the screen.
    quiet = replace(context, options=context.options._replace(quiet=True))
    with Lookout(ask, every) as lookout, _orderly(), _keys() as left, _screen() as show:
        while True:
            lookout.changed.clear()
            lookout.want(hosts())
            table = draw(quiet)
            show(_picture(context, table, lookout.failures, every))
            drawn, size = time.monotonic(), _size()
            while time.monotonic() - drawn < _REDRAWN and size == _size():
                if left(_GLANCE):
                    return table
                if lookout.changed.is_set():
                    break


def _picture(context: Context, table: Table, failures: Mapping[str, str], every: float) -> str:
    """Write what is on the screen: as much of the table as there is room for, and what is amiss."""
    lines = render(table, context.output, context.screen).rstrip("\n").split("\n")
    amiss = [neutral(one.partition("\n")[0]) for one in failures.values()]
    amiss = _cut(amiss, max(_size()[1] // 4, 1), "hosts that fail")
    foot = [*amiss, f"{time.strftime('%H:%M:%S')}, every {every:g} s; q leaves"]
    return "\n".join([*_cut(lines, max(_size()[1] - len(foot), 2), "lines"), *foot])


def _cut(lines: list[str], room: int, what: str) -> list[str]:
    over = len(lines) - room
    return lines if over <= 0 else [*lines[: room - 1], f"… and {over + 1} more {what}"]


def _size() -> tuple[int, int]:
    try:
        return os.get_terminal_size(sys.stdout.fileno())
    except OSError:
        return (80, 24)


def _require_terminal(context: Context) -> None:
    if context.output.format != "table":
        raise UsageError("--watch draws a table, and no other format")
    if not context.screen.tty or context.environ.get("TERM") in (None, "", "dumb"):
        raise UsageError(
            "--watch draws on a terminal, and stdout is none",
            hint="--refresh asks once; the command watch(1) or a loop does the rest",
        )


@contextmanager
def _orderly() -> Iterator[None]:
    """Have every end of the process but a kill go through the block's own, and nobody stop it."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, end) for number in _ENDS}
    before[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Give what waits for a key, and tells whether it was the one that leaves."""
    fd = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
    if fd is None:

        def never(seconds: float) -> bool:
            time.sleep(seconds)
            return False

        yield never
        return
    modes = termios.tcgetattr(fd)

    def left(seconds: float) -> bool:
        ready, _, _ = select.select([fd], [], [], seconds)
        # A terminal that has gone is readable, and has nothing to say.
        return bool(ready) and os.read(fd, 64).lower()[:1] in (b"q", b"")

    try:
        tty.setcbreak(fd, termios.TCSANOW)
        yield left
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, modes)


@contextmanager
def _screen() -> Iterator[Callable[[str], None]]:
    """Have a screen of one's own on the terminal, and what was there before after it."""
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    console: Any = Console(file=sys.stdout)
    with Live(console=console, screen=True, auto_refresh=False) as live:

        def show(words: str) -> None:
            text = Text.from_ansi(words, no_wrap=True, overflow="crop")
            live.update(text, refresh=True)

        yield show
