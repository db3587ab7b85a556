"""How the steps of several servers are told while they go on, on stderr and never on stdout."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from vmctl.cli.context import Context


class Progress(Protocol):
    """Told of each step; a context for as long as there is something to tell."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def step(self, server: str, host: str | None, step: str) -> None:
        """Say where a server is by now."""


def progress_of(context: Context, names: tuple[str, ...]) -> Progress:
    """Choose how to tell: a live screen on a terminal, lines elsewhere, JSON for machines."""
    how = context.options.progress
    if how == "none" or (context.options.quiet and how != "json"):
        return Silence()
    if how == "json":
        return JsonLines()
    if how == "auto" and sys.stderr.isatty() and context.environ.get("TERM") != "dumb":
        return LiveScreen(names)
    return PlainLines()


class Silence:
    """Tells nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def step(self, server: str, host: str | None, step: str) -> None:
        """Say nothing."""


class PlainLines(Silence):
    """One line for each step of each server."""

    def step(self, server: str, host: str | None, step: str) -> None:
        """Write the line at once."""
        place = f" on {host}" if host else ""
        sys.stderr.write(f"{server}: {step}{place}\n")
        sys.stderr.flush()


class JsonLines(Silence):
    """One JSON object for each step."""

    def step(self, server: str, host: str | None, step: str) -> None:
        """Write the object as a line."""
        said = {"at": round(time.time(), 3), "server": server, "host": host, "step": step}
        sys.stderr.write(json.dumps(said) + "\n")
        sys.stderr.flush()


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
        self._live.__exit__(None, None, None)

    def step(self, server: str, host: str | None, step: str) -> None:
        """Keep it for the next drawing."""
        with self._lock:
            before = self._rows.get(server)
            self._rows[server] = (host or (before[0] if before else None), step, time.monotonic())

    def _screen(self) -> Any:
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        now = time.monotonic()
        with self._lock:
            for name, (host, step, since) in self._rows.items():
                table.add_row(name, host or "-", step, f"{now - since:.0f} s")
        return table
