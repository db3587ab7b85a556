"""A program in the foreground of a real pseudo-terminal, as a shell with job control starts it.

This module is also the leader of that terminal's session: what it starts is in a group of its own,
can be stopped and goes on, and each change is told to the test.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
LIMIT = 30.0


@dataclass
class Tty:
    """A terminal with a program in its foreground, and the test at its keys and screen."""

    keys: int
    line: int  # the program's end, which a test may ask for its modes
    told: int
    leader: subprocess.Popen[bytes]
    pid: int = 0
    seen: bytes = b""
    states: list[str] = field(default_factory=list)
    _unread: bytes = b""

    @property
    def modes(self) -> list[Any]:
        return termios.tcgetattr(self.line)

    @property
    def is_raw(self) -> bool:
        return not self.modes[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def type(self, text: str) -> None:
        os.write(self.keys, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.keys, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def see(self, wanted: str, seconds: float = LIMIT) -> str:
        """Wait until this is on the screen, and give what came up to it; what was seen is gone."""
        found = wanted.encode()
        self._until(lambda: found in self.seen, seconds, f"{wanted!r} was not seen")
        upto, _, self.seen = self.seen.partition(found)
        return (upto + found).decode(errors="replace")

    def until(self, what: Callable[[], object], seconds: float = LIMIT) -> None:
        """Wait until something is so, while the screen is read."""
        self._until(what, seconds, "it did not come to be")

    def sees(self, what: Callable[[], object], seconds: float) -> bool:
        """Say whether something comes to be in time, while the screen is read."""
        with contextlib.suppress(AssertionError):
            self._until(what, seconds, "")
        return bool(what())

    def comes_back_to(self, modes: list[Any]) -> None:
        """Wait until the modes are these, though nobody is left to set them."""
        self._until(lambda: self.modes == modes, 5, f"{self.modes} are not {modes}")

    def state(self, wanted: str, seconds: float = LIMIT) -> None:
        """Wait until the program has come into a state: stopped, continued, ended."""
        self._until(lambda: wanted in self.states, seconds, f"not {wanted}")
        self.states.clear()

    def end(self, seconds: float = LIMIT) -> int:
        """Wait for the program's end: its exit code, negative for a signal."""
        self._until(lambda: self._code() is not None, seconds, "it did not end")
        code = self._code()
        assert code is not None
        return code

    def _code(self) -> int | None:
        ends = [one.split()[1] for one in self.states if one.startswith("ended")]
        return int(ends[0]) if ends else None

    def _until(self, what: Callable[[], object], seconds: float, why: str) -> None:
        end = time.monotonic() + seconds
        while not what():
            left = end - time.monotonic()
            assert left > 0, f"{why}; {self.states}; on the screen: {self.seen[-2000:]!r}"
            ready, _, _ = select.select([self.keys, self.told], [], [], min(left, 0.05))
            if self.keys in ready:
                self.seen += os.read(self.keys, 65536)
            if self.told in ready:
                self._hear()

    def _hear(self) -> None:
        self._unread += os.read(self.told, 4096)
        *lines, self._unread = self._unread.split(b"\n")
        for line in lines:
            word, value = json.loads(line)
            if word == "pid":
                self.pid = value
            else:
                self.states.append(f"{word} {value}" if word == "ended" else word)


@contextlib.contextmanager
def at_a_terminal(
    words: Sequence[str], environ: Mapping[str, str] | None = None, cwd: Path | None = None
) -> Iterator[Tty]:
    """Start a program on a terminal of 24 rows and 80 columns."""
    keys, line = pty.openpty()
    told, tell = os.pipe()
    leader = subprocess.Popen(
        [sys.executable, "-m", "tests.support.tty", str(tell), str(cwd or "."), *words],
        stdin=line,
        stdout=line,
        stderr=line,
        pass_fds=[tell],
        start_new_session=True,
        cwd=CHECKOUT,
        env={**os.environ, **(environ or {}), "TERM": "xterm"},
    )
    os.close(tell)
    tty = Tty(keys=keys, line=line, told=told, leader=leader)
    try:
        tty.resize(24, 80)
        tty.until(lambda: tty.pid)
        yield tty
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(tty.pid or leader.pid, signal.SIGKILL)
        leader.kill()
        leader.wait()
        for fd in (keys, line, told):
            os.close(fd)


def lead(tell: int, cwd: str, words: list[str]) -> None:
    """Start the program and tell what becomes of it."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)

    def say(word: str, value: int = 0) -> None:
        os.write(tell, json.dumps([word, value]).encode() + b"\n")

    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.close(tell)
        os.chdir(cwd)
        os.execvp(words[0], words)  # noqa: S606 - no shell is wanted
    say("pid", child)
    while True:
        _, status = os.waitpid(child, os.WUNTRACED | os.WCONTINUED)
        if os.WIFSTOPPED(status):
            say("stopped")
        elif os.WIFCONTINUED(status):
            say("continued")
        else:
            say("ended", os.waitstatus_to_exitcode(status))
            break
    # The session goes on for as long as the test looks at its terminal.
    while True:
        signal.pause()


if __name__ == "__main__":
    lead(int(sys.argv[1]), sys.argv[2], sys.argv[3:])
