"""A lease that the servers of one command hold together, each asking whether it is held."""

from __future__ import annotations

import random
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor

import pytest

from vmctl.adapters.host_lease import Held
from vmctl.errors import LeaseLost


class Cat:
    """What holds a lease on a host: it answers every line with itself, in their order."""

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()

    def write(self, data: bytes) -> None:
        self._lines.append(data.rstrip(b"\n"))

    def read_line(self, timeout: float) -> bytes | None:
        del timeout
        time.sleep(random.random() / 200)
        return self._lines.popleft()

    def close(self) -> None:
        self._lines.clear()


def test_of_many_who_ask_at_once_each_gets_its_own_answer() -> None:
    lease = Held("kvm1", Cat(), time.monotonic() + 60)

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(lease.check) for _ in range(64)]

    assert [one.exception() for one in asked] == [None] * 64


def test_once_it_is_lost_it_is_lost_for_all_of_them() -> None:
    cat = Cat()
    lease = Held("kvm1", cat, time.monotonic() + 60)
    cat.write(b"a word of nobody's\n")

    for _ in range(2):
        with pytest.raises(LeaseLost, match="kvm1: the lease on the host is lost"):
            lease.check()
