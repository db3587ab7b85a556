"""A program in the foreground: its exit code is ours, and the signals that are meant for it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from vmctl.adapters.foreground import run
from vmctl.errors import UsageError

OURS = "import sys; from vmctl.adapters.foreground import run; sys.exit(run(sys.argv[1:]))"


def start(script: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, "-c", OURS, "sh", "-c", script],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.mark.parametrize(("script", "code"), [("exit 7", 7), ("kill -KILL $$", 137)])
def test_the_exit_code_is_the_programs_own(script: str, code: int) -> None:
    assert run(["sh", "-c", script]) == code


def test_a_program_that_is_not_there_is_told_of() -> None:
    with pytest.raises(UsageError, match="no-such-program: No such file"):
        run(["no-such-program"])


def test_the_signals_are_as_they_were_afterwards() -> None:
    before = signal.getsignal(signal.SIGINT)

    run(["true"])

    assert signal.getsignal(signal.SIGINT) is before


def test_what_ends_us_ends_the_program() -> None:
    with start("trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done") as child:
        child.terminate()

        assert child.wait(timeout=10) == 9


def test_the_keyboards_signal_is_the_programs_to_judge() -> None:
    with start("trap 'exit 5' INT; echo ready; while :; do sleep 0.05; done") as child:
        os.killpg(child.pid, signal.SIGINT)

        assert child.wait(timeout=10) == 5


def test_what_we_were_started_to_ignore_is_ignored_there_too() -> None:
    script = "kill -HUP $PPID; kill -HUP $$; exit 7"
    ours = ["trap '' HUP; exec \"$@\"", "sh", sys.executable, "-c", OURS, "sh", "-c", script]

    done = subprocess.run(["sh", "-c", *ours], check=False, timeout=10)

    assert done.returncode == 7
