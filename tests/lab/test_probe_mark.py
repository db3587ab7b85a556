"""What a quick look holds on to, and that nothing done by hand on a host escapes it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from tests.lab.outside import Lab
from tests.lab.reach import EVERY_LOGIN, Reach
from vmctl.adapters.probe import LIBVIRT_LIMITS
from vmctl.adapters.prober import ShellProber
from vmctl.domain.completed import Completed
from vmctl.domain.host import Host
from vmctl.domain.sample import Guest, HostSample

SETTLE = 8.0
GUEST = (
    "<domain type='qemu'><name>by-hand</name><memory>65536</memory>"
    "<os><type>hvm</type></os></domain>"
)


@dataclass(kw_only=True)
class Listening:
    """The shells of an operator, of whom we hear what the hosts answered."""

    reach: Reach
    heard: list[str] = field(default_factory=list)

    def shell(self, host: Host) -> Listening:
        self.host = host
        return self

    def run(
        self,
        script: str,
        *,
        stdin: bytes | None = None,
        timeout: float = 60,
        become: bool | None = None,
    ) -> Completed:
        shell = self.reach.shells.shell(self.host)
        done = shell.run(script, stdin=stdin, timeout=timeout, become=become)
        self.heard.append(done.text)
        return done


@dataclass(kw_only=True)
class Looker:
    """Looks at one host again and again, as `host list --refresh` does."""

    lab: Lab
    shells: Listening
    name: str
    last: HostSample | None = None

    def look(self) -> HostSample:
        prober = ShellProber(self.shells, time.time)  # type: ignore[arg-type]  # only run is used
        host = self.shells.reach.host(self.name)
        self.last = prober.look(host, depth="quick", before=self.last)
        return self.last

    @property
    def held(self) -> bool:
        """Whether the last answer held on to what libvirt had said before."""
        return any(line.endswith(" same") for line in self.shells.heard[-1].split("\n"))

    def settle(self) -> HostSample:
        """Look until a look holds on to the one before."""
        until = time.monotonic() + SETTLE
        while time.monotonic() < until:
            seen = self.look()
            if self.held:
                return seen
            time.sleep(0.2)
        pytest.fail(f"{self.name} never settled: {self.shells.heard[-1]}")

    def virsh(self, *words: str) -> None:
        self.lab.do("inside", self.name, "virsh", "-q", *words)

    def after(self, *words: str) -> HostSample:
        """See the host right after a command of virsh's that was given there by hand."""
        self.settle()
        self.virsh(*words)
        seen = self.look()
        assert not self.held
        assert seen.libvirt_mark is None, "what changed just now may change again unseen"
        return seen

    def guest(self, *words: str) -> Guest:
        return next(one for one in self.after(*words).guests if one.name.startswith("by-hand"))


def looker(lab: Lab, reach: Reach, name: str) -> Looker:
    return Looker(lab=lab, shells=Listening(reach=reach), name=name)


@contextmanager
def file_in(lab: Lab, host: str, text: str) -> Iterator[str]:
    path = "/etc/libvirt/by-hand.xml"
    lab.do("inside", host, "sh", "-c", f'echo "{text}" >{path}')
    yield path
    lab.do("inside", host, "rm", path)


@pytest.mark.parametrize("host", EVERY_LOGIN)
def test_a_host_where_nothing_happened_is_seen_as_by_virsh(
    lab: Lab, reach: Reach, host: str
) -> None:
    mine = looker(lab, reach, host)
    held = mine.settle()
    mine.last = None
    asked = mine.look()

    assert not mine.held
    assert (held.guests, held.networks) == (asked.guests, asked.networks)
    assert [pool.name for pool in held.pools] == [pool.name for pool in asked.pools]
    assert [(pool.active, pool.capacity) for pool in held.pools] == [
        (pool.active, pool.capacity) for pool in asked.pools
    ]
    assert (held.cpus, held.sockets, held.threads) == (asked.cpus, asked.sockets, asked.threads)
    assert (held.problems, held.libvirt_error) == ((), None)


def test_a_machine_that_someone_changes_by_hand_is_seen_at_the_next_look(
    lab: Lab, reach: Reach
) -> None:
    mine = looker(lab, reach, "kvm1")
    with file_in(lab, "kvm1", GUEST) as path:
        assert mine.guest("define", path).state == "off"
    assert mine.guest("start", "by-hand").state == "running"
    assert mine.guest("suspend", "by-hand").state == "paused"
    assert mine.guest("destroy", "by-hand").state == "off"
    assert mine.guest("domrename", "by-hand", "by-hand-2").name == "by-hand-2"
    assert mine.guest("autostart", "by-hand-2").autostart is True
    gone = mine.after("undefine", "by-hand-2")
    assert {one.name for one in gone.guests} == {"legacy-db", "old-build"}


def test_pools_and_networks_that_someone_stops_are_seen_at_the_next_look(
    lab: Lab, reach: Reach
) -> None:
    mine = looker(lab, reach, "kvm1")
    try:
        pool = mine.after("pool-destroy", "default").pool("default")
        network = mine.after("net-destroy", "storage-net").network("storage-net")
    finally:
        mine.virsh("pool-start default; net-start storage-net")
    mine.look()
    started = mine.settle()

    assert pool is not None
    assert (pool.active, pool.capacity) == (False, None)
    assert network is not None
    assert network.active is False
    assert [one.active for one in started.pools] == [True, True]
    assert [one.active for one in started.networks] == [True, True]

    autostarts = mine.after("pool-autostart", "default", "--disable").pool("default")
    mine.virsh("pool-autostart", "default")
    assert autostarts is not None
    assert autostarts.autostart is False


def test_room_that_fills_up_is_seen_without_asking_libvirt(lab: Lab, reach: Reach) -> None:
    mine = looker(lab, reach, "kvm1")
    mine.settle()
    lab.do("pool-full", "kvm1")

    pool = mine.look().pool("default")

    assert mine.held
    assert pool is not None
    assert pool.available == 0


def test_a_libvirtd_that_hangs_is_told_and_costs_its_limit(lab: Lab, reach: Reach) -> None:
    mine = looker(lab, reach, "kvm2")
    before = mine.settle()
    lab.do("hang-libvirt", "kvm2")

    begun = time.monotonic()
    seen = mine.look()

    assert 5 <= time.monotonic() - begun < 7
    assert LIBVIRT_LIMITS["quick"] == 5
    assert seen.libvirt_error == "libvirt did not answer within 5 s"
    assert seen.guests == before.guests
    assert seen.libvirt_mark is None


def test_a_libvirtd_that_is_gone_is_told_in_virshs_words(lab: Lab, reach: Reach) -> None:
    mine = looker(lab, reach, "kvm2")
    mine.settle()
    socket = "/run/libvirt/libvirt-sock"
    lab.do("inside", "kvm2", "mv", socket, f"{socket}.away")
    try:
        seen = mine.look()
    finally:
        lab.do("inside", "kvm2", "mv", f"{socket}.away", socket)

    assert not mine.held
    assert "Failed to connect" in (seen.libvirt_error or "")
