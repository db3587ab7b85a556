"""A guest's console on a real pseudo-terminal: what goes through, and what is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.support.children import started
from tests.support.tty import Tty, at_a_terminal
from vmctl.domain.console import ConsoleEnd

TALK = """
import sys, signal
from tests.support.fake_console import FakeConsole
from vmctl.adapters.terminal import talk
from vmctl.cli.interrupts import ended_by_signals
from vmctl.domain.console import ConsoleEnd
from vmctl.domain.window import Window
from vmctl.errors import Interrupted

class Guest(FakeConsole):
    # What ends it is typed: off, lost; boom is a bug of ours.
    def write(self, data):
        for word, how in ((b"off", ConsoleEnd.CLOSED), (b"lost", ConsoleEnd.LOST)):
            if word in data:
                self.cut(how)
        if b"boom" in data:
            raise ValueError("boom")
        return super().write(data)

console = Guest()
window = Window() if "resize" in sys.argv else None
try:
    with ended_by_signals():
        print("attached", flush=True)
        left = talk(console, escape=b"\\x1d", window=window)
except Interrupted as error:
    sys.exit(error.exit_code)
print("left" if left else console.end())
"""


@contextmanager
def talking(*words: str) -> Iterator[tuple[Tty, list[Any]]]:
    """A console on a terminal, raw by now, and the terminal's modes before."""
    with at_a_terminal([sys.executable, "-c", TALK, *words]) as tty:
        before = tty.modes
        tty.see("attached")
        tty.until(lambda: tty.is_raw)
        yield tty, before


def test_keys_go_through_as_they_are_and_one_lets_go() -> None:
    with talking() as (tty, before):
        tty.type("\x03\x1a\x04ls\r")
        tty.see("\x03\x1a\x04ls\r\n")
        tty.type("x\x1dy")
        tty.see("left")

        assert tty.end() == 0
        assert tty.modes == before


ENDS = {
    "the guest is off": ("off", 0, str(ConsoleEnd.CLOSED)),
    "the host is lost": ("lost", 0, str(ConsoleEnd.LOST)),
    "a bug": ("boom", 1, "ValueError: boom"),
}


@pytest.mark.parametrize(("typed", "code", "said"), ENDS.values(), ids=ENDS.keys())
def test_the_modes_are_as_before_when_it_ends(typed: str, code: int, said: str) -> None:
    with talking() as (tty, before):
        tty.type(typed)
        tty.see(said)

        assert tty.end() == code
        assert tty.modes == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_the_modes_are_as_before_when_a_signal_ends_it(number: signal.Signals) -> None:
    with talking() as (tty, before):
        tty.send(number)

        assert tty.end() == 128 + number
        assert tty.modes == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT, signal.SIGSEGV])
def test_the_modes_are_set_back_where_nobody_was_left_to_do_it(number: signal.Signals) -> None:
    with talking() as (tty, before):
        tty.send(number)

        assert tty.end() == -number
        tty.comes_back_to(before)


def test_the_whole_group_killed_leaves_the_modes_as_before() -> None:
    with talking() as (tty, before):
        os.killpg(tty.pid, signal.SIGKILL)

        assert tty.end() == -signal.SIGKILL
        tty.comes_back_to(before)


def test_the_modes_are_as_before_while_it_is_stopped_and_raw_after() -> None:
    with talking() as (tty, before):
        tty.send(signal.SIGTSTP)
        tty.state("stopped")
        stopped = tty.modes
        tty.send(signal.SIGCONT)
        tty.state("continued")
        tty.until(lambda: tty.is_raw)
        tty.type("still here\r")
        tty.see("still here\r\n")
        tty.type("\x1d")

        assert stopped == before
        assert tty.end() == 0
        assert tty.modes == before


def test_killed_while_it_was_stopped_it_leaves_the_modes_to_others() -> None:
    with talking() as (tty, before):
        tty.send(signal.SIGTSTP)
        tty.state("stopped")
        # Another program has the terminal meanwhile.
        subprocess.run(["stty", "-echo"], stdin=tty.line, check=True)
        others = tty.modes
        tty.send(signal.SIGKILL)
        tty.end()
        time.sleep(0.3)

        assert others != before
        assert tty.modes == others


def test_what_another_did_to_the_terminal_while_we_were_frozen_is_undone() -> None:
    with talking() as (tty, before):
        tty.send(signal.SIGSTOP)
        tty.state("stopped")
        subprocess.run(["stty", "sane"], stdin=tty.line, check=True)
        sane = tty.is_raw
        tty.send(signal.SIGCONT)
        tty.until(lambda: tty.is_raw)
        tty.type("\x1d")

        assert not sane
        assert tty.end() == 0
        assert tty.modes == before


def test_a_size_is_told_at_a_prompt_and_again_when_it_changes() -> None:
    with talking("resize") as (tty, _):
        tty.type("login: ")
        tty.see("login: ")
        tty.type("\rroot@web:~# ")
        told = tty.see("stty rows 24 cols 80\r\n")
        tty.resize(50, 132)
        tty.type("vi\r")
        tty.see("vi\r\n")
        tty.type("$ ")
        again = tty.see("stty rows 50 cols 132\r\n")

        assert told == "\r\nroot@web:~#  stty rows 24 cols 80\r\n"
        assert again == "$  stty rows 50 cols 132\r\n"


def test_without_being_asked_nothing_is_typed() -> None:
    with talking() as (tty, _):
        tty.type("root@web:~# ")
        tty.see("root@web:~# ")
        tty.resize(50, 132)
        tty.type("\x1d")
        tty.see("left")

        assert "stty" not in tty.seen.decode()


def test_a_pipe_goes_through_whole_and_its_end_is_no_end() -> None:
    words = [sys.executable, "-c", TALK]
    with started(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"ls\n\x1dmore")
        child.stdin.flush()
        # What ends the console comes once all before it is through, however busy the machine is.
        said = child.stdout.read(len(b"attached\nls\n\x1dmore"))
        child.stdin.write(b"off")
        child.stdin.close()
        rest = child.stdout.read()

    assert (said, rest) == (b"attached\nls\n\x1dmore", b"closed\n")
    assert child.returncode == 0


def test_a_screen_that_nobody_reads_ends_it() -> None:
    script = '(sleep 1; echo x; sleep 1; echo y; sleep 5) | {} -c "$0" | head -c 9; :'
    done = subprocess.run(
        ["sh", "-c", script.format(sys.executable), TALK],
        capture_output=True,
        timeout=30,
        check=False,
    )

    assert b"BrokenPipeError" in done.stderr
