"""The lease on a host: one holder whoever they are, and none who is gone or does not know it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.outside import Lab
from tests.lab.plan import CHECKOUT
from tests.lab.reach import EVERY_LOGIN, Reach, ends_within, operator
from tests.lab.servers import until
from tests.support.children import started
from vmctl.domain.host import Host
from vmctl.errors import LeaseLost, TimedOut
from vmctl.services.fanout import Failed, fanout

SOON = 20
"""Seconds: far below those after which a lease ends by itself, and far above a busy machine."""
FREE = "flock -n /var/lib/libvirt true"


def is_free(lab: Lab, name: str) -> bool:
    """Look at the keyboard of the host, so to speak: no ssh, no network."""
    script = f"{FREE} && echo free || echo held"
    return lab.do("inside", name, "sh", "-c", script).strip() == "free"


def wait_until_free(lab: Lab, name: str, seconds: float) -> float:
    began = time.monotonic()
    while not is_free(lab, name):
        assert time.monotonic() - began < seconds, f"still held after {seconds:g} s"
        time.sleep(0.2)
    return time.monotonic() - began


def two_logins(reach: Reach, name: str) -> tuple[Host, Host]:
    """Two ways into one host that are two Unix users there."""
    if name == "kvm3":
        return reach.host("kvm3"), reach.host("kvm3", name="other", become="none")
    return reach.host(name), reach.host(
        name, name="other", user="root" if name == "kvm2" else "ops"
    )


@pytest.mark.usefixtures("protected_regular")
@pytest.mark.parametrize("name", ["kvm1", "kvm2", "kvm3"])
def test_two_users_exclude_each_other(reach: Reach, name: str) -> None:
    one, other = two_logins(reach, name)
    who = [reach.shells.shell(host).run("id -un").text for host in (one, other)]
    assert who[0] != who[1]

    for first, second in ((one, other), (other, one)):
        with reach.leases.hold(first) as held:
            error = ends_within(4, lambda host=second: _take(reach, host, wait=0.5))  # type: ignore[misc]  # a default argument binds the loop's value
            held.check()
        assert isinstance(error, TimedOut)
        wait_until_free(reach.lab, name, SOON)
        _take(reach, second, wait=5)


def _take(reach: Reach, host: Host, *, wait: float) -> None:
    with reach.leases.hold(host, wait=wait) as held:
        held.check()


def test_who_waits_gets_it_when_it_is_given_back(reach: Reach, tmp_path: Path) -> None:
    host = reach.host("kvm2")
    took: list[float] = []
    with operator(reach.lab, tmp_path) as second:

        def wait() -> None:
            began = time.monotonic()
            with second.leases.hold(host, wait=20) as held:
                took.append(time.monotonic() - began)
                held.check(need=40)

        thread = threading.Thread(target=wait)
        with reach.leases.hold(host):
            thread.start()
            time.sleep(1)
            assert not took
        thread.join()

    assert took
    assert 0.8 < took[0] < 3


def test_of_many_at_once_each_holds_it_alone(shared_lab: Lab, tmp_path: Path) -> None:
    inside, most = [0], [0]
    lock = threading.Lock()

    def work(number: int) -> None:
        with (
            operator(shared_lab, tmp_path / str(number)) as mine,
            mine.leases.hold(mine.host("kvm1")),
        ):
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.05)
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert most[0] == 1


@pytest.mark.usefixtures("lab")
def test_a_holder_whose_lease_ended_over_there_learns_it(reach: Reach) -> None:
    with reach.leases.hold(reach.host("kvm2")) as held:
        held.check()
        reach.lab.do("inside", "kvm2", "pkill", "-x", "cat")

        error = ends_within(6, held.check)
        again = ends_within(1, held.check)

    assert isinstance(error, LeaseLost)
    assert isinstance(again, LeaseLost)
    assert held.remaining == 0


def test_a_lease_with_too_little_left_is_no_lease(reach: Reach) -> None:
    with reach.leases.hold(reach.host("kvm2")) as held:
        assert 40 < held.remaining <= 45
        held.check(need=30)
        assert isinstance(ends_within(1, lambda: held.check(need=46)), LeaseLost)


HOLDER = """
import sys, time
from pathlib import Path
from tests.lab.outside import Lab
from tests.lab.reach import operator
lab = Lab(root=Path(sys.argv[1]))
with operator(lab, Path(sys.argv[2])) as mine, mine.leases.hold(mine.host(sys.argv[3])) as held:
    print("held", flush=True)
    time.sleep(600)
"""


@contextlib.contextmanager
def holder(lab: Lab, folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lab.root), str(folder), name],
        stdout=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


@pytest.mark.parametrize("name", ["kvm2", "kvm3"])
def test_a_killed_holder_gives_it_back_at_once(shared_lab: Lab, tmp_path: Path, name: str) -> None:
    with holder(shared_lab, tmp_path, name) as process:
        assert not is_free(shared_lab, name)

        process.send_signal(signal.SIGKILL)

        wait_until_free(shared_lab, name, SOON)


@pytest.mark.parametrize("name", EVERY_LOGIN)
def test_an_arbiters_networks_are_leased_apart_from_its_room(reach: Reach, name: str) -> None:
    host = reach.host(name)

    with reach.leases.hold(host, of="networks"), reach.leases.hold(host) as room:
        room.check()
        with (
            pytest.raises(TimedOut, match="another operator"),
            reach.leases.hold(host, wait=1, of="networks"),
        ):
            pytest.fail("two cannot have it")


@pytest.mark.usefixtures("lab")
def test_a_holder_whose_link_went_down_learns_it_before_it_acts(reach: Reach) -> None:
    hosts = [reach.host("kvm2"), reach.host("kvm3")]
    with contextlib.ExitStack() as stack:
        held = {h.name: stack.enter_context(reach.leases.hold(h)) for h in hosts}
        for host in hosts:
            reach.lab.do("cut-off", host.name)
        began = time.monotonic()

        done = fanout(lambda host: held[host.name].check(), hosts)

        assert time.monotonic() - began < 6
        for name, outcome in done.items():
            assert isinstance(outcome, Failed)
            assert isinstance(outcome.error, LeaseLost)
            # Nobody else may take it yet: until its time is over it is still held there.
            assert not is_free(reach.lab, name)


@pytest.mark.slow
def test_a_holder_or_a_waiter_whose_link_went_down_loses_it_within_a_minute(
    lab: Lab, reach: Reach
) -> None:
    with contextlib.ExitStack() as stack:
        held = {
            name: stack.enter_context(reach.leases.hold(reach.host(name)))
            for name in ("kvm2", "kvm3")
        }
        with started(lab.command("inside", "kvm1", *HELD_BY_ANOTHER)) as other:
            until(lambda: not is_free(lab, "kvm1"))
            waiter = threading.Thread(target=_wait_in_vain, args=(lab, "kvm1"), daemon=True)
            waiter.start()
            time.sleep(1.5)
            for name in ("kvm2", "kvm3", "kvm1"):
                lab.do("cut-off", name)
            cut = time.monotonic()
        assert other.returncode == 0

        # What another held falls to the waiter, which is out of reach, and its time ends as well.
        assert [name for name in EVERY_LOGIN if is_free(lab, name)] == []

        # Their processes hang as well: nothing on this side ends the connections.
        for name, lease in held.items():
            wait_until_free(lab, name, 60)
            assert time.monotonic() - cut > 30
            assert isinstance(ends_within(1, lease.check), LeaseLost)
        wait_until_free(lab, "kvm1", 60)
        assert time.monotonic() - cut < 60


HELD_BY_ANOTHER = ("flock", "/var/lib/libvirt", "sleep", "5")


def _wait_in_vain(lab: Lab, name: str) -> None:
    folder = Path("/nonexistent")
    with (
        contextlib.suppress(Exception),
        operator(lab, folder) as other,
        other.leases.hold(other.host(name), wait=30),
    ):
        time.sleep(60)
