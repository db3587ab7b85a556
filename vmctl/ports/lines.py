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
