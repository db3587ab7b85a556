"""A suspend that is stopped, or dies, while much memory is being written to the host's disk."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import libvirt
import pytest

from tests.lab import stock
from tests.lab.operator import libvirt_uri
from tests.lab.outside import Lab
from tests.lab.servers import Running, create, left, operator, owed, servers, until, wipe
from tests.lab.vmctl import Vmctl

HOST = "kvm2"
NAME = "large"
MEMORY, FILLED = 1024, 400
"""MiB of the guest, and of those that hold what is not to be lost."""

FILL = f"""
set -e
dd if=/dev/urandom of=/dev/shm/one bs=1M count=1 2>/dev/null
for turn in $(seq {FILLED}); do cat /dev/shm/one; done >/dev/shm/all
"""
LOOK = f"""
set -e
cat /proc/sys/kernel/random/boot_id
dd if=/dev/shm/all bs=1M skip={FILLED - 1} 2>/dev/null | cmp - /dev/shm/one
stat -c %s /dev/shm/all
"""


@dataclass(frozen=True)
class Large:
    """A guest with much memory, and what it says of it."""

    mine: Vmctl
    domain: libvirt.virDomain
    told: str

    @property
    def seen(self) -> tuple[object, str, bool]:
        """What it is on record, on its host, and whether anything of its memory is on disk."""
        state, _ = self.domain.state()
        words = {libvirt.VIR_DOMAIN_RUNNING: "running", libvirt.VIR_DOMAIN_SHUTOFF: "shut off"}
        saved = bool(self.domain.hasManagedSaveImage())
        return servers(self.mine)[NAME]["Status"], words.get(state, str(state)), saved

    @property
    def files(self) -> frozenset[str]:
        return left(self.mine.lab, HOST).files

    def says(self) -> str:
        """What is in its memory, and which boot it is in."""
        return self.mine.ok("server", "exec", NAME, "--", "sh", "-c", LOOK)

    def suspending(self) -> Running:
        """A suspend in the midst of its save."""
        run = Running(self.mine, "server", "suspend", NAME)
        while not self.saves():
            assert run.process.poll() is None, run.err
            time.sleep(0.01)
        return run

    def saves(self) -> bool:
        doing = self.domain.jobStats().get(libvirt.VIR_DOMAIN_JOB_OPERATION)
        return bool(doing == libvirt.VIR_DOMAIN_JOB_OPERATION_SAVE)


@pytest.fixture(scope="module")
def large(
    shared_lab: Lab, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Large]:
    mine = operator(shared_lab, tmp_path_factory.mktemp("large") / "home", model)
    try:
        with _large(mine) as found:
            yield found
    finally:
        wipe(shared_lab)


@contextmanager
def _large(mine: Vmctl) -> Iterator[Large]:
    mine.ok("flavor", "create", "large", "--ram", str(MEMORY), "--disk", "1")
    words = ("--network", "default", "--flavor", "large", "--key-name", stock.KEYPAIR)
    assert create(mine, NAME, *words, on=HOST).code == 0
    until(lambda: mine("server", "exec", NAME, "--", "true").code == 0, seconds=120)
    mine.ok("server", "exec", NAME, "--", "sh", "-c", FILL)
    connection = libvirt.open(libvirt_uri(mine.lab.plan, mine.lab.host(HOST)))
    found = Large(mine, connection.lookupByName(NAME), "")
    yield Large(mine, found.domain, found.says())
    connection.close()


@pytest.fixture(autouse=True)
def _as_ever(large: Large) -> Iterator[None]:
    """Have it end as it began: it runs, nothing of it is saved, and its memory is as it was."""
    files = large.files
    yield
    assert large.seen == ("ACTIVE", "running", False)
    assert (owed(large.mine), large.files) == ([], files)
    assert large.says() == large.told


def test_a_suspend_that_is_stopped_has_the_guest_run_on(large: Large) -> None:
    run = large.suspending()
    run.process.send_signal(signal.SIGINT)

    assert run.end().code == 130
    assert "undoing what was begun; once more to stop at once" in run.err


def test_a_suspend_that_was_killed_is_undone(large: Large) -> None:
    run = large.suspending()
    run.process.kill()
    assert run.end().code == -signal.SIGKILL
    (half,) = owed(large.mine)
    refused = large.mine("server", "stop", NAME)
    assert refused.code != 0
    assert "was left half done" in refused.err

    large.mine.ok("operation", "unwind", half["ID"])


def test_a_suspend_that_was_killed_is_brought_to_its_end(large: Large) -> None:
    run = large.suspending()
    run.process.kill()
    run.end()

    large.mine.ok("operation", "resume", "--all")

    assert large.seen == ("SUSPENDED", "shut off", True)
    assert owed(large.mine) == []
    large.mine.ok("server", "resume", NAME)
