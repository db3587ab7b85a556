from __future__ import annotations

from tests.support.stores import a_nic, a_wanted, admit, anything_fits, begin
from vmctl.adapters.store import SqlStore
from vmctl.domain.operation import OperationState
from vmctl.domain.record import AttemptState, Change, Power, ServerState
from vmctl.ports import Leases

RUNS = Change(state=ServerState.ACTIVE, power=Power.RUNNING, launched=True)
GONE = Change(state=ServerState.DELETED, deleted=True)


def test_an_attempt_that_was_given_up_is_owed_until_it_is_paid(
    store: SqlStore, leases: Leases
) -> None:
    lost = a_wanted("kvm1", nics=(a_nic("192.0.2.10"),))
    token = admit(store, leases, "web", lost)
    store.readmit(token, a_wanted("kvm2"), anything_fits)
    server = store.server("web").id
    (running,) = store.owed()
    assert running.operations == ()

    store.finish(token, OperationState.OWED, change=RUNS)

    (debt,) = store.owed()
    assert (debt.attempt, *debt.operations) == (store.attempts(server)[0], token.operation)
    assert debt.attempt.nics[0].addresses == ("192.0.2.10",)
    assert store.owed("kvm1") == (debt,)
    assert store.owed("kvm2") == ()
    with leases.hold(token.operation) as lease:
        paying = store.adopt(lease, "b")
    store.finish(paying, OperationState.DONE, release=[1])
    assert store.owed() == ()
    assert [claim.host for claim in store.claims()] == ["kvm2"]
    assert store.server("web").state is ServerState.ACTIVE


def test_whatever_a_deleted_server_still_holds_is_owed(store: SqlStore, leases: Leases) -> None:
    create = admit(store, leases, "web", a_wanted("kvm1"))
    store.readmit(create, a_wanted("kvm2"), anything_fits)
    store.mark_attempt(create, 2, AttemptState.BEGUN)
    store.finish(create, OperationState.OWED, change=RUNS)
    assert len(store.owed()) == 1
    server = store.server("web").id

    delete = begin(store, leases, "server-delete", server)
    store.finish(delete, OperationState.OWED, change=GONE)

    first, second = store.owed()
    assert [debt.attempt.host for debt in (first, second)] == ["kvm1", "kvm2"]
    assert set(first.operations) == {create.operation, delete.operation}
    assert first.operations == second.operations
    assert [o.id for o in store.operations(unfinished=True)] == list(first.operations)


def test_a_server_that_lives_owes_nothing(store: SqlStore, leases: Leases) -> None:
    admit(store, leases, "building")
    store.finish(admit(store, leases, "web"), OperationState.DONE, change=RUNS)
    gone = admit(store, leases, "gone")
    store.finish(gone, OperationState.DONE, change=GONE, release=[1])

    assert store.owed() == ()
