"""``--watch`` in a real pseudo-terminal: what is drawn, how it is left, and what is left behind."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.stage import SPEC, Stage, a_stage, create, on_stage

NAME = SPEC.name
ALTERNATE, BACK, SHOWN = "\x1b[?1049h", "\x1b[?1049l", "\x1b[?25h"


class Terminal:
    """A pseudo-terminal with vmctl in it."""

    def __init__(self, folder: Path, *words: str, rows: int = 24, columns: int = 120) -> None:
        self.master, self.slave = pty.openpty()
        self.resize(rows, columns)
        self.modes = termios.tcgetattr(self.slave)
        self.heard = ""
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(Path.cwd()),
            "TERM": "xterm",
            "NO_COLOR": "1",
            "VMCTL_DB": str(folder / "state.db"),
            "VMCTL_INVENTORY": str(folder / "inventory.yaml"),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.run_on_fakes", str(folder), *words],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            env=environ,
            preexec_fn=self._own,  # noqa: PLW1509 - no thread of this process is at work
        )

    def _own(self) -> None:
        os.setsid()
        fcntl.ioctl(self.slave, termios.TIOCSCTTY, 0)

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self, seconds: float) -> bool:
        ready, _, _ = select.select([self.master], [], [], seconds)
        if ready:
            self.heard += os.read(self.master, 65536).decode(errors="replace")
        return bool(ready)

    def wait_for(self, wanted: str, seconds: float = 30) -> str:
        """Read until this is drawn, and give all that was drawn up to then."""
        end = time.monotonic() + seconds
        while not re.search(wanted, self.heard):
            assert time.monotonic() < end, (wanted, self.heard[-3000:])
            assert self.process.poll() is None or self.read(0.1), (wanted, self.heard)
            self.read(0.1)
        heard, self.heard = self.heard, ""
        return heard

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def end(self, seconds: float = 20) -> int:
        """Give the exit code, with all that was drawn until then read."""
        until = time.monotonic() + seconds
        while self.process.poll() is None:
            assert time.monotonic() < until, self.heard
            self.read(0.1)
        while self.read(0):
            pass
        return self.process.wait()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path)
    with on_stage(tmp_path) as opened:
        create(opened)
        yield opened


@pytest.fixture
def watching(stage: Stage) -> Iterator[Any]:
    opened = []

    def watch(*words: str, **size: int) -> Terminal:
        opened.append(Terminal(stage.folder, *words, **size))
        return opened[-1]

    yield watch
    for one in opened:
        one.close()


def test_what_is_done_by_hand_on_a_host_is_drawn(stage: Stage, watching: Any) -> None:
    terminal = watching("server", "list", "--watch", "0.2")
    first = terminal.wait_for("ACTIVE")
    stage.fleet.on(stage.hosts["kvm1"]).ensure_off(SPEC.id)

    terminal.wait_for("SHUTOFF")
    terminal.type("q")

    assert ALTERNATE in first
    assert terminal.end() == 0
    assert terminal.heard.index(BACK) < terminal.heard.rindex(NAME)  # what was last is left there
    assert SHOWN in terminal.heard
    assert termios.tcgetattr(terminal.slave) == terminal.modes


@pytest.mark.parametrize(
    ("ending", "code"),
    [("keys", 130), (signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=str,
)
def test_however_it_is_stopped_the_terminal_is_as_before(
    watching: Any, ending: Any, code: int
) -> None:
    terminal = watching("host", "list", "--watch", "0.2")
    terminal.wait_for("q leaves")

    if ending == "keys":
        terminal.type("\x03")
    else:
        terminal.process.send_signal(ending)

    assert terminal.end() == code
    assert BACK in terminal.heard
    assert SHOWN in terminal.heard
    assert termios.tcgetattr(terminal.slave) == terminal.modes


def test_a_host_that_does_not_answer_is_shown_and_holds_up_no_other(
    stage: Stage, watching: Any
) -> None:
    stage.fleet.set_down("kvm2", down=True)
    terminal = watching("host", "list", "--watch", "0.2")

    drawn = terminal.wait_for("kvm2 did not answer")
    stage.fleet.set_down("kvm2", down=False)
    terminal.wait_for(r"kvm2[^\r\n]* up ")

    assert re.search(r"kvm1[^\r\n]* up ", drawn)


def test_a_screen_that_is_small_says_how_much_it_leaves_out(watching: Any) -> None:
    terminal = watching("host", "list", "--watch", "0.2", rows=5)
    terminal.wait_for(r"… and \d more lines")

    terminal.resize(40, 120)
    drawn = terminal.wait_for(r"q leaves[^…]*kvm2[^…]*q leaves")

    assert "kvm1" in drawn
