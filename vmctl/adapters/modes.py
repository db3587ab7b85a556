"""A terminal's modes: raw while a guest's console has it, and as before whoever ends that.

What ends us may leave us no time. So a small shell waits for our end, in a session of its own,
and sets the modes back where we did not.
"""

from __future__ import annotations

import contextlib
import errno
import subprocess
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_GUARD = """
state=kept
while read -r word; do state=$word; done
[ "$state" = kept ] || exec stty "$1" <&1
"""
_GRACE = 1.0

_IN, _OUT, _CONTROL, _LOCAL, _KEYS = 0, 1, 2, 3, 6
_NOT_IN = (
    *(termios.IGNBRK, termios.BRKINT, termios.PARMRK, termios.INPCK, termios.ISTRIP),
    *(termios.INLCR, termios.IGNCR, termios.ICRNL, termios.IXON),
)
_NOT_LOCAL = (termios.ECHO, termios.ECHONL, termios.ICANON, termios.ISIG, termios.IEXTEN)


class Modes:
    """The modes of one terminal, as they were and as a console wants them."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._before = termios.tcgetattr(fd)
        self._guard = _guard(fd)

    def raw(self) -> None:
        """Have every key go through as it is, and show all that comes as it is."""
        modes = self._before[:]
        for flag in _NOT_IN:
            modes[_IN] &= ~flag
        modes[_OUT] &= ~termios.OPOST
        modes[_CONTROL] = modes[_CONTROL] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        for flag in _NOT_LOCAL:
            modes[_LOCAL] &= ~flag
        modes[_KEYS] = modes[_KEYS][:]
        modes[_KEYS][termios.VMIN], modes[_KEYS][termios.VTIME] = 1, 0
        self._say(b"raw\n")
        self._set(modes)

    def restore(self) -> None:
        """Set the modes as they were."""
        if self._set(self._before):
            self._say(b"kept\n")

    def close(self) -> None:
        """Set the modes as they were, and let the guard go."""
        self.restore()
        if self._guard is not None and self._guard.stdin is not None:
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                self._guard.stdin.close()
                self._guard.wait(_GRACE)

    def _set(self, modes: list[object]) -> bool:
        """Set modes at once; a terminal that is gone has none."""
        while True:
            try:
                termios.tcsetattr(self._fd, termios.TCSANOW, modes)  # type: ignore[arg-type] # what tcgetattr gave
            except termios.error as error:
                if error.args[0] != errno.EINTR:
                    return False
                # Stopped for asking from the background, and gone on with.
            else:
                return True

    def _say(self, word: bytes) -> None:
        if self._guard is not None and self._guard.stdin is not None:
            # A guard that somebody killed guards no more.
            with contextlib.suppress(OSError):
                self._guard.stdin.write(word)


@contextlib.contextmanager
def kept(fd: int) -> Iterator[Modes]:
    """Have a terminal's modes as they were once the block is over."""
    modes = Modes(fd)
    try:
        yield modes
    finally:
        modes.close()


def _guard(fd: int) -> subprocess.Popen[bytes] | None:
    """Start who sets the modes back; None where this system has no stty."""
    try:
        asked = ["stty", "-g"]
        now = subprocess.run(asked, stdin=fd, capture_output=True, text=True, check=True)
        return subprocess.Popen(
            ["sh", "-c", _GUARD, "sh", now.stdout.strip()],
            bufsize=0,  # a signal may have its word to say in the midst of another one's
            stdin=subprocess.PIPE,
            stdout=fd,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
