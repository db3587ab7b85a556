from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from vmctl.ports import HostLease
from vmctl.services.rounds import Rounds


class Lease:
    def __init__(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds

    @property
    def remaining(self) -> float:
        return self.until - time.monotonic()

    def check(self, need: float = 5) -> None:
        assert self.remaining > need


class Gate:
    """Gives leases that last so long, and counts who has one."""

    def __init__(self, seconds: float = 45) -> None:
        self.seconds = seconds
        self.taken = 0
        self.held = 0
        self.most = 0

    @contextmanager
    def hold(self) -> Iterator[HostLease]:
        self.taken += 1
        self.held += 1
        self.most = max(self.most, self.held)
        try:
            yield Lease(self.seconds)
        finally:
            self.held -= 1


def together(rounds: Rounds[int], gate: Gate, count: int) -> list[int]:
    seen: list[int] = []
    inside = threading.Barrier(count, timeout=5)

    def work() -> None:
        with rounds.join("kvm1", gate.hold, lambda: gate.taken) as found:
            seen.append(found.seen)
            inside.wait()

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return seen


def test_all_at_hand_share_one_lease_and_one_look() -> None:
    gate = Gate()

    seen = together(Rounds(), gate, 8)

    assert seen == [1] * 8
    assert gate.held == 0


def test_the_last_one_out_gives_the_lease_back_and_the_next_takes_a_new_one() -> None:
    rounds: Rounds[int] = Rounds()
    gate = Gate()

    for expected in (1, 2):
        with rounds.join("kvm1", gate.hold, lambda: gate.taken) as found:
            assert found.seen == expected
            assert gate.held == 1
        assert gate.held == 0


def test_nobody_joins_a_lease_with_little_time_left() -> None:
    rounds: Rounds[int] = Rounds()
    gate = Gate(seconds=1)
    order: list[int] = []

    def work() -> None:
        with rounds.join("kvm1", gate.hold, lambda: gate.taken) as found:
            order.append(found.seen)
            time.sleep(0.05)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert sorted(order) == [1, 2, 3, 4]
    assert gate.most == 1


def test_a_look_that_fails_gives_the_lease_back_and_keeps_nobody_out() -> None:
    rounds: Rounds[int] = Rounds()
    gate = Gate()

    def fail() -> int:
        raise ValueError("no answer")

    with pytest.raises(ValueError, match="no answer"), rounds.join("kvm1", gate.hold, fail):
        pytest.fail("there is no round to be in")

    assert gate.held == 0
    with rounds.join("kvm1", gate.hold, lambda: 7) as found:
        assert found.seen == 7


def test_hosts_do_not_wait_for_each_other() -> None:
    rounds: Rounds[int] = Rounds()
    gate = Gate()

    with (
        rounds.join("kvm1", gate.hold, lambda: 1),
        rounds.join("kvm2", gate.hold, lambda: 2) as other,
    ):
        assert other.seen == 2
        assert gate.most == 2
