from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.owner import OPERATION
from vmctl.domain.operation import Mark, OperationState
from vmctl.domain.record import ServerState
from vmctl.errors import Busy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.adapters.store import SqlStore
    from vmctl.ports import Leases

ROOT = Path(__file__).parents[2]


class Owner:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        operation, child = self.hear().split()
        assert operation == OPERATION
        self.child = int(child)

    def hear(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, deed: str) -> str:
        assert self.process.stdin is not None
        self.process.stdin.write(deed + "\n")
        self.process.stdin.flush()
        return self.hear()


@contextmanager
def owner(db: str) -> Iterator[Owner]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.owner", db],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        it = Owner(process)
        try:
            yield it
        finally:
            process.kill()
            os.kill(it.child, signal.SIGKILL)


def wait_for_death(leases: Leases) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if leases.is_dead(OPERATION):
            return True
        time.sleep(0.02)
    return False


def test_a_living_owner_is_not_dead_and_keeps_others_out(
    store: SqlStore, leases: Leases, db: str
) -> None:
    with owner(db) as first:
        assert not leases.is_dead(OPERATION)
        with pytest.raises(Busy), leases.hold(OPERATION):
            pass
        assert first.tell("check") == first.tell("journal") == "done"

    assert [entry.mark for entry in store.journal_of(OPERATION)] == [Mark.STARTED]


def test_a_killed_owner_is_dead_though_its_child_lives_on(
    store: SqlStore, leases: Leases, db: str
) -> None:
    with owner(db) as first:
        first.process.kill()
        first.process.wait()

        assert wait_for_death(leases)

        os.kill(first.child, 0)
        with leases.hold(OPERATION) as lease:
            token = store.adopt(lease, "second")
        store.finish(token, OperationState.UNWOUND, release=[1])
    assert store.claims() == ()


def lose_lease(store: SqlStore, db: str, leases: Leases) -> None:
    if db.startswith("postgresql"):
        with store.writing() as tx:
            tx.connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks "
                "WHERE locktype = 'advisory' AND granted"
            )
    else:
        shutil.rmtree(Path(db).parent / "leases")
    assert leases.is_dead(OPERATION)


def test_an_owner_who_lost_its_lease_writes_nothing_any_more(
    store: SqlStore, leases: Leases, db: str
) -> None:
    with owner(db) as first:
        assert first.tell("journal") == "done"
        lose_lease(store, db, leases)
        with leases.hold(OPERATION) as lease:
            store.adopt(lease, "second")
            before = (store.journal_of(OPERATION), store.server("web"), store.claims())

            outcomes = [first.tell(deed) for deed in ("check", "journal", "finish")]

            lease.check()
        assert outcomes == ["OwnershipLost"] * 3
        assert (store.journal_of(OPERATION), store.server("web"), store.claims()) == before
        assert store.server("web").state is ServerState.BUILDING


@pytest.mark.parametrize("what", ["make", "upgrade"])
def test_a_database_is_made_and_upgraded_whole_or_not_at_all(db: str, what: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed", what, db],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.stderr == ""
    assert int(done.stdout) >= 6
