"""Lines to what runs on a host: bytes both ways, for as long as both ends want it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from vmctl.domain.console import ConsoleEnd


class Console(Protocol):
    """The serial console of a machine; nobody else has it meanwhile. No call of it waits."""

    def fileno(self) -> int:
        """Give the descriptor to wait on: readable when something was said, or it has ended."""

    def read(self) -> bytes | None:
        """Give what the machine said, b"" if nothing yet, None once it has ended."""

    def write(self, data: bytes) -> int:
        """Say something to the machine, and give how many bytes of it were taken."""

    def end(self) -> ConsoleEnd | None:
        """Say how it ended, None while it goes on."""

    def close(self) -> None:
        """Let go of it; what hangs is left to itself."""


class Passage(Protocol):
    """A connection to what a host reaches; two threads may use it, one for each direction."""

    def read(self) -> bytes:
        """Wait for what comes, and give it; b"" at the end."""

    def write(self, data: bytes) -> None:
        """Send bytes; raises HostUnreachable where it has ended."""

    def close(self) -> None:
        """End it, for whoever waits at it too."""


class Visit(Protocol):
    """A viewer that came to a door of ours."""

    @property
    def let_in(self) -> bool | None:
        """Whether the screen's server let it in; None while that is open."""

    @property
    def over(self) -> bool:
        """Whether it is gone."""


class Door(Protocol):
    """A port of this machine's own through which viewers come to a screen elsewhere."""

    def visit(self, seconds: float) -> Visit | None:
        """Wait for a viewer, for so many seconds."""

    def shut(self) -> None:
        """Let nobody come any more; whoever is inside stays."""
