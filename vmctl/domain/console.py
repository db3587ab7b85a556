"""A server's console and its screen, as those who reach for them meet them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

CONSOLE_HELD = "console-held"
"""Why a console was not had: somebody else has it."""

NO_CONSOLE = "no-console"
"""Why a console was not had: the machine has no serial port that one can attach to."""

NO_SCREEN = "no-screen"
"""Why a screen was not had: the machine draws on none, or on one that is out of reach."""


class ConsoleEnd(StrEnum):
    """How a console ended that nobody here let go of."""

    CLOSED = "closed"  # by the machine: it is off, or was off for a moment
    TAKEN = "taken"  # somebody else forced it from us
    LOST = "lost"  # the connection to the host ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """Where a machine's screen is served by VNC, as its host reaches it."""

    address: str
    port: int
