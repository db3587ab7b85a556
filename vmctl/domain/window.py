"""How large a terminal is, told to a guest over a line that has no size: typed at its shell."""

from __future__ import annotations

import re

_DRESS = re.compile(
    rb"\x1b\[[0-9;:?]*[ -/]*[@-~]"  # colours, modes
    rb"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # a title
    rb"|\x1b[ -/]*[0-Z\\^-~]|[\x00\x07\x0e\x0f]"
)
_PROMPT = re.compile(rb"[#$] ?\Z")
_KEPT = 512


class Window:
    """A terminal's size, and whether the guest's shell is ready to hear it.

    It is when the last that the guest said ends as a shell's prompt does: elsewhere, at a login or
    in an editor, it would be typed into what it is not meant for.
    """

    def __init__(self) -> None:
        self._line: bytes | None = None
        self._said = b""

    def sized(self, rows: int, columns: int) -> None:
        """Take note of the size; the latest is told."""
        # The blank keeps it out of a shell's history, where that is heeded.
        self._line = b" stty rows %d cols %d\r" % (rows, columns)

    def said(self, data: bytes) -> None:
        """Take note of what the guest said."""
        self._said = (self._said + data)[-_KEPT:]

    @property
    def ready(self) -> bool:
        """Whether there is something to tell, and a prompt to tell it at."""
        last = _DRESS.sub(b"", self._said).rpartition(b"\n")[2].rpartition(b"\r")[2]
        return self._line is not None and _PROMPT.search(last) is not None

    def line(self) -> bytes:
        """Give what is to be typed, once."""
        line, self._line = self._line or b"", None
        return line
