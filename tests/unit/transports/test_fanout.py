"""Many at once: order, limit, failures as values, and nothing waited for in vain."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass

import pytest

from vmctl.adapters.limited import Late, limited
from vmctl.errors import HostUnreachable, TimedOut
from vmctl.services.fanout import Failed, Ok, fanout
from vmctl.trace import current_operation, operation


@dataclass(frozen=True)
class Thing:
    name: str


THINGS = [Thing(f"h{number}") for number in range(40)]


def test_the_order_is_that_of_the_things_whoever_ends_first() -> None:
    def work(thing: Thing) -> str:
        time.sleep(0.02 if thing.name == "h0" else 0)
        return thing.name.upper()

    done = fanout(work, THINGS)

    assert list(done) == [thing.name for thing in THINGS]
    assert done["h0"] == Ok("H0")


def test_no_more_than_the_limit_work_at_once() -> None:
    lock, now, most = threading.Lock(), [0], [0]

    def work(_: Thing) -> None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.005)
        with lock:
            now[0] -= 1

    fanout(work, THINGS, limit=5)

    assert most[0] == 5


def test_a_signal_that_a_call_took_is_answered_while_it_goes_on() -> None:
    answered = threading.Event()

    def work(_: Thing) -> bool:
        time.sleep(0.2)  # the caller waits by now
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        return answered.wait(10)

    before = signal.signal(signal.SIGUSR1, lambda _number, _frame: answered.set())
    try:
        done = fanout(work, THINGS[:1])
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert done["h0"] == Ok(value=True)


def test_a_failure_is_a_value_and_spares_the_others() -> None:
    def work(thing: Thing) -> str:
        if thing.name == "h3":
            raise HostUnreachable("h3", "h3 is down")
        return "fine"

    done = fanout(work, THINGS)

    failed = done["h3"]
    assert isinstance(failed, Failed)
    assert isinstance(failed.error, HostUnreachable)
    assert sum(isinstance(outcome, Ok) for outcome in done.values()) == 39


def test_after_the_deadline_what_hangs_is_a_failure() -> None:
    began = time.monotonic()

    done = fanout(
        lambda thing: time.sleep(30 if thing.name == "h1" else 0), THINGS[:3], deadline=0.3
    )

    assert time.monotonic() - began < 1
    hung = done["h1"]
    assert isinstance(hung, Failed)
    assert isinstance(hung.error, TimedOut)
    assert isinstance(done["h2"], Ok)


def test_nothing_is_begun_after_the_deadline() -> None:
    begun: list[str] = []

    def work(thing: Thing) -> None:
        begun.append(thing.name)
        time.sleep(0.2)

    fanout(work, THINGS, limit=2, deadline=0.05)
    time.sleep(0.3)

    assert len(begun) == 2


def test_no_things_are_no_threads() -> None:
    assert fanout(lambda _: None, list[Thing]()) == {}


def test_threads_know_the_operation_that_they_work_for() -> None:
    with operation("op-1"):
        done = fanout(lambda _: current_operation(), THINGS[:2])

    assert done == {"h0": Ok("op-1"), "h1": Ok("op-1")}


def test_a_hung_thread_does_not_hold_up_the_exit() -> None:
    program = (
        "import time\n"
        "from types import SimpleNamespace as T\n"
        "from vmctl.services.fanout import fanout\n"
        "fanout(lambda _: time.sleep(60), [T(name='h')], deadline=0.1)\n"
    )
    began = time.monotonic()

    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)

    assert time.monotonic() - began < 10


def test_a_limited_call_returns_raises_or_is_late() -> None:
    assert limited(lambda: 7, 5, discard=lambda _: None) == 7
    with pytest.raises(ZeroDivisionError):
        limited(lambda: 1 // 0, 5, discard=lambda _: None)
    with pytest.raises(Late):
        limited(lambda: time.sleep(5), 0.05, discard=lambda _: None)


def test_what_comes_back_too_late_is_discarded() -> None:
    thrown: list[str] = []
    gone = threading.Event()

    def work() -> str:
        time.sleep(0.2)
        return "connection"

    def discard(value: str) -> None:
        thrown.append(value)
        gone.set()

    with pytest.raises(Late):
        limited(work, 0.05, discard=discard)

    assert gone.wait(2)
    assert thrown == ["connection"]
