"""Colour: whether there is any, and the few places that have it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_GREEN, _RED, _YELLOW, _CYAN = 32, 31, 33, 36
_GOOD = frozenset({"active", "available", "enabled", "ok", "pass", "up", "done"})
_BAD = frozenset({"deleted", "down", "error", "fail", "failed", "stuck"})


def wants_color(choice: str, environ: Mapping[str, str], *, tty: bool) -> bool:
    """Decide by the flag, then NO_COLOR, then the forcing variables, then the terminal."""
    if choice != "auto":
        return choice == "always"
    if environ.get("NO_COLOR"):
        return False
    for variable in ("FORCE_COLOR", "CLICOLOR_FORCE"):
        if environ.get(variable, "0") not in ("", "0"):
            return True
    return tty and environ.get("TERM") != "dumb" and environ.get("CLICOLOR") != "0"


def paint_state(title: str, cell: str, text: str) -> str:
    """Colour the text of a Status or State cell by what the cell says; leave all others alone."""
    if title.lower().replace("_", " ").split()[-1:] not in (["status"], ["state"]):
        return text
    state = cell.lower()
    if state in ("none", "-", ""):
        return text
    return _painted(text, _GREEN if state in _GOOD else _RED if state in _BAD else _YELLOW)


def paint_hint(text: str) -> str:
    """Colour the word before a hint."""
    return _painted(text, _CYAN)


def _painted(text: str, color: int) -> str:
    return f"\x1b[{color}m{text}\x1b[0m"
