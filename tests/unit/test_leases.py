from __future__ import annotations

import os
import stat
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from vmctl.adapters.leases import FlockLeases, open_leases
from vmctl.errors import Busy, OwnershipLost, StateError

if TYPE_CHECKING:
    from pathlib import Path

    from vmctl.adapters.store import SqlStore
    from vmctl.ports import Leases


def test_a_lease_is_held_once_until_it_is_let_go(store: SqlStore, leases: Leases) -> None:
    others = open_leases(store.location)
    assert leases.is_dead("op")

    with leases.hold("op") as lease:
        for anyone in (leases, others):
            assert not anyone.is_dead("op")
            with pytest.raises(Busy), anyone.hold("op"):
                pass
        with others.hold("another") as another:
            another.check()
        lease.check()
        assert lease.operation == "op"

    assert leases.is_dead("op")
    assert others.is_dead("op")
    with others.hold("op"):
        pass


def test_whoever_says_who_they_are_is_named_as_long_as_they_hold_it(
    store: SqlStore, leases: Leases
) -> None:
    others = open_leases(store.location)
    with leases.hold("sync", owner="bob@desk (process 1)"):
        assert others.holder("sync") == leases.holder("sync") == "bob@desk (process 1)"
        assert others.holder("another") is None
    assert others.holder("sync") is None
    with leases.hold("sync", owner="b\u00f6b" + "x" * 99):
        assert (others.holder("sync") or "").startswith("b")
    with leases.hold("sync"), pytest.raises(Busy), others.hold("sync", owner="eve"):
        pass


def test_what_was_let_go_is_held_no_more(leases: Leases) -> None:
    with leases.hold("kept"):
        with leases.hold("op") as lease:
            pass

        with pytest.raises(OwnershipLost):
            lease.check()


def test_an_error_inside_lets_go_as_well(leases: Leases) -> None:
    with pytest.raises(StateError), leases.hold("op"):
        raise StateError("no more")

    assert leases.is_dead("op")


def test_of_many_threads_one_holds(leases: Leases) -> None:
    ready = threading.Barrier(8)
    done = threading.Barrier(8)
    outcomes = []

    def want() -> None:
        ready.wait()
        try:
            with leases.hold("op"):
                outcomes.append("held")
                done.wait()
        except Busy:
            outcomes.append("busy")
            done.wait()

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["busy"] * 7 + ["held"]


def test_threads_that_take_turns_never_overlap(leases: Leases) -> None:
    inside = threading.Semaphore(1)
    turns = 0
    overlaps = 0

    def work() -> None:
        nonlocal turns, overlaps
        for _ in range(25):
            try:
                with leases.hold("op"):
                    if not inside.acquire(blocking=False):
                        overlaps += 1
                        continue
                    turns += 1
                    inside.release()
            except Busy:
                pass

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert overlaps == 0
    assert turns > 0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "leases"


@pytest.fixture
def flocks(tmp_path: Path) -> FlockLeases:
    return FlockLeases(tmp_path / "state.db")


def test_nothing_is_left_and_nobody_else_can_read_it(flocks: FlockLeases, folder: Path) -> None:
    with flocks.hold("op"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "op.lock").stat().st_mode) == 0o600

    assert list(folder.iterdir()) == []


def test_a_file_that_a_killed_owner_left_is_taken_over(flocks: FlockLeases, folder: Path) -> None:
    folder.mkdir()
    (folder / "op.lock").touch()
    assert flocks.is_dead("op")

    with flocks.hold("op") as lease:
        lease.check()

    assert list(folder.iterdir()) == []


def test_a_taker_who_opened_the_file_too_early_takes_the_new_one(
    flocks: FlockLeases, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = ExitStack()
    first.enter_context(flocks.hold("op"))
    real = os.open

    def late(path: str, flags: int, mode: int = 0o777) -> int:
        handle = real(path, flags, mode)
        first.close()  # before anything is locked
        return handle

    monkeypatch.setattr(os, "open", late)
    with flocks.hold("op") as lease:
        monkeypatch.undo()

        lease.check()
        assert (folder / "op.lock").exists()
        assert not flocks.is_dead("op")


def test_a_folder_cleared_by_hand_is_noticed_and_the_next_holder_kept(
    flocks: FlockLeases, folder: Path
) -> None:
    with flocks.hold("op") as first:
        (folder / "op.lock").unlink()
        with flocks.hold("op") as second:
            with pytest.raises(OwnershipLost):
                first.check()
            second.check()
            assert not flocks.is_dead("op")


def test_a_cleared_folder_does_not_cost_the_next_holder_its_file(
    flocks: FlockLeases, folder: Path
) -> None:
    first = ExitStack()
    first.enter_context(flocks.hold("op"))
    (folder / "op.lock").unlink()
    with flocks.hold("op") as second:
        first.close()

        second.check()
        assert not flocks.is_dead("op")


def test_no_lease_passes_to_a_child(flocks: FlockLeases) -> None:
    with flocks.hold("op") as lease:
        handle = lease.handle
        assert handle is not None
        assert not os.get_inheritable(handle)


def test_what_cannot_be_asked_is_not_called_dead(flocks: FlockLeases, folder: Path) -> None:
    folder.write_text("in the way")

    with pytest.raises(StateError):
        flocks.is_dead("op")
    with pytest.raises(StateError), flocks.hold("op"):
        pass
