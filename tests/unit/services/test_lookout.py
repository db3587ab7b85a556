"""Hosts asked again and again, each at its own pace."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest

from vmctl.domain.host import Host
from vmctl.errors import HostUnreachable
from vmctl.services.lookout import Lookout

KVM1, KVM2 = (Host(name=name, address=name) for name in ("kvm1", "kvm2"))


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_host_that_hangs_holds_up_no_other_and_is_not_asked_twice() -> None:
    asked: Counter[str] = Counter()
    answers = threading.Event()

    def ask(host: Host) -> None:
        asked[host.name] += 1
        if host is KVM1:
            answers.wait()

    with Lookout(ask, 0.01) as lookout:
        lookout.want([KVM1, KVM2])
        until(lambda: asked["kvm2"] >= 5)
        hung = asked["kvm1"]
        answers.set()
        until(lambda: asked["kvm1"] >= 3)

    assert hung == 1


def test_a_failure_is_told_until_the_host_answers_again() -> None:
    down = threading.Event()
    down.set()

    def ask(host: Host) -> None:
        if host is KVM2 and down.is_set():
            raise HostUnreachable("kvm2", "kvm2 did not answer")

    with Lookout(ask, 0.01) as lookout:
        lookout.want([KVM1, KVM2])
        until(lambda: lookout.failures == {"kvm2": "kvm2 did not answer"})
        down.clear()
        until(lambda: not lookout.failures)


def test_who_is_not_wanted_any_more_is_neither_asked_nor_told() -> None:
    asked: Counter[str] = Counter()

    def ask(host: Host) -> None:
        asked[host.name] += 1
        if host is KVM2:
            raise HostUnreachable("kvm2", "kvm2 did not answer")

    with Lookout(ask, 0.01) as lookout:
        lookout.want([KVM1, KVM2])
        until(lambda: lookout.failures)
        lookout.want([KVM1])
        until(lambda: asked["kvm1"] > 20)
        before = asked["kvm2"]
        until(lambda: asked["kvm1"] > 40)

    assert asked["kvm2"] == before


def test_no_more_than_so_many_are_asked_at_once() -> None:
    lock, most, now = threading.Lock(), 0, 0
    asked: Counter[str] = Counter()

    def ask(host: Host) -> None:
        nonlocal most, now
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.02)
        with lock:
            now -= 1
            asked[host.name] += 1

    hosts = [Host(name=f"kvm{number}", address="x") for number in range(9)]
    with Lookout(ask, 0.01, at_once=2) as lookout:
        lookout.want(hosts)
        until(lambda: len(asked) == len(hosts))

    assert most == 2


def test_a_bug_is_raised_where_somebody_hears_it() -> None:
    def ask(host: Host) -> None:
        raise KeyError(host.name)

    with Lookout(ask, 0.01) as lookout:
        lookout.want([KVM1])
        assert lookout.changed.wait(20)
        with pytest.raises(KeyError, match="kvm1"):
            lookout.want([KVM1])
