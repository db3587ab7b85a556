"""How the steps of several servers are told while they go on, on stderr and never on stdout."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Protocol, Self

from vmctl.cli import console
from vmctl.cli.text import neutral

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.cli.context import Context


class Progress(Protocol):
    """Told of each step; a context for as long as there is something to tell."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def step(self, server: str, host: str | None, step: str) -> None:
        """Say where a server is by now."""

    def note(self, words: str) -> None:
        """Say what is to stay on the screen."""


def progress_of(context: Context, names: tuple[str, ...]) -> Progress:
    """Choose how to tell: a live screen on a terminal, lines elsewhere, JSON for machines."""
    how = context.options.progress
    if how == "none" or (context.options.quiet and how != "json"):
        return Silence(context.say)
    if how == "json":
        return JsonLines(context.say)
    dumb = context.environ.get("TERM") in (None, "", "dumb")
    if how == "auto" and console.stderr_is_tty() and not dumb:
        return LiveScreen(names)
    return PlainLines(context.say)


class Silence:
    """Tells no steps."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def step(self, server: str, host: str | None, step: str) -> None:
        """Say nothing."""

    def note(self, words: str) -> None:
        """Write it as any other message."""
        self._say(neutral(words))


class PlainLines(Silence):
    """One line for each step of each server."""

    def step(self, server: str, host: str | None, step: str) -> None:
        """Write the line at once."""
        place = f" on {host}" if host else ""
        self._say(neutral(f"{server}: {step}{place}"))


class JsonLines(Silence):
    """One JSON object for each step, and for each note."""

    def step(self, server: str, host: str | None, step: str) -> None:
        """Write the object as a line."""
        self._write(server=server, host=host, step=step)

    def note(self, words: str) -> None:
        """Write it as an object too."""
        self._write(note=words)

    def _write(self, **said: str | None) -> None:
        # Even a quiet run tells a machine what it has asked for.
        console.tell(json.dumps({"at": round(time.time(), 3), **said}))


class LiveScreen:
    """One screen for all of them: of each server its host, its step and for how long."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, tuple[str | None, str, float]] = {
            name: (None, "waiting", time.monotonic()) for name in names
        }
        self._live: Any = None

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(
            get_renderable=self._screen,
            console=Console(stderr=True),
            refresh_per_second=4,
            transient=True,
        )
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        # A terminal may have gone; what is done on its behalf is not to fail over that.
        with suppress(OSError):
            self._live.__exit__(None, None, None)

    def note(self, words: str) -> None:
        """Write it above the screen."""
        with suppress(OSError):
            self._live.console.print(neutral(words), markup=False, highlight=False)

    def step(self, server: str, host: str | None, step: str) -> None:
        """Keep it for the next drawing."""
        with self._lock:
            before = self._rows.get(server)
            self._rows[server] = (host or (before[0] if before else None), step, time.monotonic())

    def _screen(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table.grid(padding=(0, 2))
        now = time.monotonic()
        with self._lock:
            for name, (host, step, since) in self._rows.items():
                table.add_row(name, host or "-", Text(neutral(step)), f"{now - since:.0f} s")
        return table
