"""What a command that ran on a host left behind."""

from __future__ import annotations

from dataclasses import dataclass, field

from vmctl.errors import RemoteFailed

_LINE = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """A script's end: its exit code and what it wrote; neither shows in a repr or a log."""

    exit_code: int
    stdout: bytes = field(default=b"", repr=False)
    stderr: bytes = field(default=b"", repr=False)

    @property
    def text(self) -> str:
        """What it wrote on stdout."""
        return self.stdout.decode(errors="replace")

    @property
    def complaint(self) -> str:
        """The last line that it wrote on stderr, cut to a length that fits a message."""
        lines = self.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1].strip()[:_LINE] if lines else ""

    def require(self, host: str, doing: str) -> Completed:
        """Return this if it succeeded; else raise, saying what it was that failed."""
        if self.exit_code == 0:
            return self
        why = self.complaint or f"exit code {self.exit_code}"
        raise RemoteFailed(host, f"{host}: {doing} failed: {why}", reason="exit")
