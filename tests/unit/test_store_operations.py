from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.stores import (
    Clock,
    a_new,
    a_wanted,
    admit,
    anything_fits,
    begin,
)
from vmctl.domain.operation import Mark, OperationState
from vmctl.domain.record import (
    AttemptState,
    Change,
    Power,
    ServerState,
)
from vmctl.errors import (
    Busy,
    Conflict,
    NotFound,
    OwnershipLost,
)

if TYPE_CHECKING:
    from vmctl.adapters.store import SqlStore
    from vmctl.ports import Leases

FAILED = Change(state=ServerState.ERROR, fault="no disk")
RUNS = Change(state=ServerState.ACTIVE, power=Power.RUNNING, launched=True)


def test_one_operation_at_a_time_on_a_server(store: SqlStore, leases: Leases) -> None:
    first = admit(store, leases, "web")
    server = store.server("web").id

    with pytest.raises(Busy) as caught:
        begin(store, leases, "server-delete", server)
    assert first.operation in str(caught.value.hint)
    store.finish(first, OperationState.STUCK)
    with pytest.raises(Busy):
        begin(store, leases, "server-delete", server)
    with leases.hold(first.operation) as lease:
        adopted = store.adopt(lease, "b")
    store.finish(adopted, OperationState.DONE, change=RUNS)

    begin(store, leases, "server-delete", server)

    kinds = [operation.kind for operation in store.operations(server=server)]
    assert sorted(kinds) == ["server-create", "server-delete"]


def test_an_operation_begins_only_in_an_expected_state(store: SqlStore, leases: Leases) -> None:
    store.finish(admit(store, leases, "web"), OperationState.DONE, change=RUNS)
    server = store.server("web").id

    with leases.hold("op-1") as lease, pytest.raises(Conflict, match="web is active"):
        store.begin(lease, a_new("server-start", server), expect={ServerState.STOPPED})
    assert store.server("web").task is None
    with leases.hold("op-1") as lease:
        new = a_new("server-stop", server)
        store.begin(lease, new, expect={ServerState.ACTIVE}, task="powering-off")

    assert store.server("web").task == "powering-off"


def test_an_operation_may_be_about_no_server(store: SqlStore, leases: Leases) -> None:
    for _ in range(2):
        begin(store, leases, "image-push", None)

    assert len(store.operations(unfinished=True)) == 2
    with pytest.raises(NotFound):
        begin(store, leases, "server-stop", "no-such-id")


def test_a_journal_is_read_as_it_was_written(store: SqlStore, leases: Leases, clock: Clock) -> None:
    token = admit(store, leases, "web")
    written = []
    for step, mark in (("define", Mark.STARTED), ("define", Mark.FAILED), ("disk", Mark.UNDONE)):
        clock.tick()
        written.append(store.journal(token, step, mark, "nul \0 and \udcff"))

    read = store.journal_of(token.operation)

    assert [(e.seq, e.step, e.mark, e.at) for e in read] == [
        (e.seq, e.step, e.mark, e.at) for e in written
    ]
    assert [e.seq for e in read] == [1, 2, 3]
    assert read[0].detail == "nul \ufffd and ?"


def test_a_void_token_writes_nothing(store: SqlStore, leases: Leases) -> None:
    old = admit(store, leases, "web")
    server = store.server("web")
    with leases.hold(old.operation) as lease:
        new = store.adopt(lease, "b")
    writes = (
        lambda: store.journal(old, "define", Mark.STARTED),
        lambda: store.change(old, RUNS),
        lambda: store.mark_attempt(old, 1, AttemptState.RELEASED),
        lambda: store.readmit(old, a_wanted("kvm2"), anything_fits),
        lambda: store.finish(old, OperationState.DONE, change=RUNS, release=[1]),
    )

    for write in writes:
        with pytest.raises(OwnershipLost):
            write()

    assert store.journal_of(old.operation) == ()
    assert store.server("web") == server
    assert len(store.claims()) == 1
    store.journal(new, "define", Mark.STARTED)
    assert len(store.journal_of(old.operation)) == 1
    assert store.operation(old.operation).owner == "b"


@pytest.mark.parametrize("state", [OperationState.STUCK, OperationState.OWED])
def test_a_token_ends_with_the_work(store: SqlStore, leases: Leases, state: OperationState) -> None:
    token = admit(store, leases, "web")
    store.finish(token, state)

    with pytest.raises(OwnershipLost):
        store.journal(token, "define", Mark.STARTED)


def test_what_is_over_is_not_adopted(store: SqlStore, leases: Leases) -> None:
    token = admit(store, leases, "web")
    store.finish(token, OperationState.DONE, change=RUNS)

    with leases.hold(token.operation) as lease, pytest.raises(Conflict, match="done already"):
        store.adopt(lease, "b")
    with leases.hold("nothing") as lease, pytest.raises(NotFound):
        store.adopt(lease, "b")


def test_owed_work_waits_for_whoever_is_at_its_server(store: SqlStore, leases: Leases) -> None:
    owed = admit(store, leases, "web")
    store.finish(owed, OperationState.OWED, change=RUNS)
    other = begin(store, leases, "server-stop", store.server("web").id)

    with leases.hold(owed.operation) as lease:
        with pytest.raises(Busy):
            store.adopt(lease, "b")
        assert store.operation(owed.operation).state is OperationState.OWED
        store.finish(other, OperationState.DONE)
        store.finish(store.adopt(lease, "b"), OperationState.DONE, release=[1])

    assert store.claims() == ()


def test_neither_admission_nor_adoption_goes_without_the_lease(
    store: SqlStore, leases: Leases
) -> None:
    token = admit(store, leases, "web")
    with leases.hold(token.operation) as lease:
        pass

    with pytest.raises(OwnershipLost):
        store.adopt(lease, "b")
    with pytest.raises(OwnershipLost):
        store.begin(lease, a_new("server-stop"))

    assert store.operation(token.operation).owner == "a"


def test_an_operation_is_found_by_the_beginning_of_its_id(store: SqlStore, leases: Leases) -> None:
    for operation in ("abc-1", "abc-2", "abc", "a%c-3"):
        with leases.hold(operation) as lease:
            store.begin(lease, a_new("image-push"))

    assert store.operation("abc").id == "abc"
    assert store.operation("abc-2").id == "abc-2"
    assert store.operation("a%").id == "a%c-3"
    with pytest.raises(Conflict, match="3 operations"):
        store.operation("ab")
    with pytest.raises(NotFound):
        store.operation("x")
