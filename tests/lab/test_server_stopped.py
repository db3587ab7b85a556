"""A create that somebody stops: at a terminal, by a signal, once or twice."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import termios
import time

import pytest

from tests.lab.outside import Lab
from tests.lab.servers import (
    Running,
    assert_clean,
    create_words,
    left,
    owed,
    servers,
    show,
    until,
)
from tests.lab.vmctl import Vmctl, argv

NET = ("--network", "default")


class Terminal:
    """A run at a terminal of its own, in its foreground."""

    def __init__(self, mine: Vmctl, *words: str) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (40, 120))
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *argv(*words)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=mine.environ | {"TERM": "xterm"},
            cwd=mine.home,
        )
        os.close(slave)
        self.seen = ""

    def read(self, wanted: str = "", seconds: float = 120) -> str:
        """Read until this is on the screen, or to the end."""
        until = time.monotonic() + seconds
        while not wanted or wanted not in self.seen:
            assert time.monotonic() < until, f"no {wanted!r} in {self.seen}"
            if not select.select([self.master], [], [], 1)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:  # the other side has closed it
                break
            self.seen += data.decode(errors="replace")
        assert wanted in self.seen
        return self.seen

    def interrupt(self) -> None:
        os.write(self.master, b"\x03")

    def end(self) -> int:
        self.read()
        os.close(self.master)
        return self.process.wait(60)


def test_one_interrupt_at_a_terminal_has_all_undone(shared_lab: Lab, maker: Vmctl) -> None:
    run = Terminal(maker, *create_words("web", *NET, on="kvm3"))
    run.read("network")
    run.interrupt()

    assert run.end() == 130
    assert "undoing what was begun; once more to stop at once" in run.seen
    assert servers(maker)["web"]["Status"] == "ERROR"
    assert show(maker, "web")["fault"]["message"] == "interrupted"
    assert owed(maker) == []
    assert_clean(shared_lab)


def test_a_second_interrupt_stops_at_once_and_the_journal_tells(
    shared_lab: Lab, maker: Vmctl
) -> None:
    run = Terminal(maker, *create_words("web", *NET, on="kvm2"))
    run.read("network")
    # Or all is undone sooner than anybody asks for the second time.
    shared_lab.do("hang-libvirt", "kvm2")
    try:
        run.interrupt()
        run.read("undoing what was begun")
        run.interrupt()
        code = run.end()
    finally:
        shared_lab.do("hang-libvirt-undo", "kvm2")

    assert code == 130
    assert "stopped at once" in run.seen
    assert run.seen.rindex("\x1b[?25h") > run.seen.rindex("\x1b[?25l")
    assert left(shared_lab, "kvm2").domains == {"web"}
    (orphan,) = owed(maker)
    assert orphan["Server"] == "web"
    gone = maker("server", "delete", "web")
    assert (gone.code, gone.out) == (0, "")
    assert owed(maker) == []
    assert_clean(shared_lab)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_a_signal_has_all_undone(shared_lab: Lab, maker: Vmctl, number: signal.Signals) -> None:
    run = Running(maker, *create_words("web", *NET, on="kvm1"))
    run.says("web: disks")
    run.process.send_signal(number)

    assert run.end().code == 130
    assert "undoing what was begun" in run.err
    assert owed(maker) == []
    assert_clean(shared_lab, "kvm1")


def test_of_a_batch_that_is_stopped_nothing_is_begun_any_more(
    shared_lab: Lab, maker: Vmctl
) -> None:
    run = Running(maker, *create_words("web", "--min", "10", *NET))
    run.says("web-1: define")
    run.process.send_signal(signal.SIGINT)

    assert run.end().code == 130
    found = servers(maker)
    assert {one["Status"] for one in found.values()} <= {"ERROR", "ACTIVE"}
    up = [name for name, one in found.items() if one["Status"] == "ACTIVE"]
    assert owed(maker) == []
    if up:
        assert maker("server", "delete", *up).code == 0
    assert_clean(shared_lab)


def test_a_delete_that_is_stopped_ends_what_it_began(shared_lab: Lab, maker: Vmctl) -> None:
    assert Running(maker, *create_words("web", *NET, on="kvm1")).end().code == 0

    run = Running(maker, "server", "delete", "web")
    until(lambda: owed(maker))
    run.process.send_signal(signal.SIGTERM)

    assert run.end().code == 0
    assert "ending what was begun, for there is no way back" in run.err
    assert servers(maker) == {}
    assert owed(maker) == []
    assert_clean(shared_lab, "kvm1")
