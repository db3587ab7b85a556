"""What asks a command to stop, and what does not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from vmctl.cli.interrupts import interruptible
from vmctl.errors import Interrupted


@pytest.fixture
def nohup() -> Iterator[None]:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_of_them_is_told_and_asks_once(
    number: signal.Signals, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)

    with interruptible("undoing it") as check:
        check()
        os.kill(os.getpid(), number)
        with pytest.raises(Interrupted):
            check()

    assert capfd.readouterr().err == "undoing it; once more to stop at once\n"
    assert signal.getsignal(number) is before


@pytest.mark.usefixtures("nohup")
def test_what_we_were_started_to_ignore_asks_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with interruptible("undoing it") as check:
        os.kill(os.getpid(), signal.SIGHUP)
        check()

    assert capfd.readouterr().err == ""
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
