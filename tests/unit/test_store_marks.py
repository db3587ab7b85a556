from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.stores import ACTOR, Clock, a_new, admit, begin
from vmctl.domain.operation import Event, OperationState
from vmctl.domain.record import Change, Power, ServerState
from vmctl.errors import Busy, Conflict, Locked, NotFound

if TYPE_CHECKING:
    from vmctl.adapters.store import SqlStore
    from vmctl.ports import Leases

RUNS = Change(state=ServerState.ACTIVE, power=Power.RUNNING, launched=True)
FAILED = Change(state=ServerState.ERROR, fault="no disk")
GONE = Change(state=ServerState.DELETED, deleted=True)


def running(store: SqlStore, leases: Leases, name: str = "web") -> str:
    store.finish(admit(store, leases, name), OperationState.DONE, change=RUNS)
    return store.server(name).id


def told(server: str) -> Event:
    return Event(actor=ACTOR, action="server-mark", result="done", server=server)


def marks(store: SqlStore, server: str) -> int:
    return sum(one.action == "server-mark" for one in store.events(server=server))


def test_a_lock_has_a_reason_until_it_is_taken_away(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    server = running(store, leases)
    at = clock.tick()

    assert store.lock(server, "", event=told(server))
    assert (store.server("web").locked, store.server("web").updated) == ("", at)
    assert store.lock(server, "audit", event=told(server))
    assert store.server("web").locked == "audit"
    assert store.lock(server, None, event=told(server))
    assert store.server("web").locked is None
    assert marks(store, server) == 3


def test_what_is_no_news_is_no_event(store: SqlStore, leases: Leases) -> None:
    server = running(store, leases)

    assert not store.lock(server, None, event=told(server))
    assert not store.protect(server, on=False, event=told(server))
    assert not store.reset(server, ServerState.ACTIVE, event=told(server))
    assert marks(store, server) == 0


def test_nothing_is_begun_at_a_locked_server_but_what_is_under_way_goes_on(
    store: SqlStore, leases: Leases
) -> None:
    server = running(store, leases)
    token = begin(store, leases, "server-stop", server)
    store.lock(server, "audit", event=told(server))

    store.finish(token, OperationState.DONE, change=Change(state=ServerState.STOPPED))
    with pytest.raises(Locked, match="web is locked: audit") as caught:
        begin(store, leases, "server-start", server)
    assert caught.value.hint == "vmctl server unlock web"
    assert store.server("web").state is ServerState.STOPPED
    with leases.hold("op-despite") as lease:
        store.begin(lease, a_new("server-retire", server), despite=True)

    assert [one.kind for one in store.operations(server=server, unfinished=True)] == [
        "server-retire"
    ]


def test_a_server_is_protected_and_then_not(store: SqlStore, leases: Leases) -> None:
    server = running(store, leases)

    assert store.protect(server, on=True, event=told(server))
    assert store.server("web").protected
    assert store.protect(server, on=False, event=told(server))
    assert not store.server("web").protected


def test_a_state_set_by_hand_clears_or_leaves_a_fault(store: SqlStore, leases: Leases) -> None:
    server = running(store, leases)

    assert store.reset(server, ServerState.ERROR, event=told(server))
    held = store.server("web")
    assert (held.state, held.fault) == (ServerState.ERROR, "reset by hand")
    assert store.reset(server, ServerState.ACTIVE, event=told(server))
    held = store.server("web")
    assert (held.state, held.fault, held.task) == (ServerState.ACTIVE, None, None)


def test_no_state_is_set_past_an_operation(store: SqlStore, leases: Leases) -> None:
    server = running(store, leases)
    token = begin(store, leases, "server-stop", server)

    with pytest.raises(Busy, match="server-stop") as caught:
        store.reset(server, ServerState.ERROR, event=told(server))

    assert token.operation in str(caught.value.hint)


def test_what_never_ran_cannot_be_made_active_by_hand(store: SqlStore, leases: Leases) -> None:
    store.finish(admit(store, leases), OperationState.UNWOUND, change=FAILED, release=[1])

    server = store.server("web").id
    with pytest.raises(Conflict, match="web never ran"):
        store.reset(server, ServerState.ACTIVE, event=told(server))
    assert store.lock(server, "look at it", event=told(server))


def test_a_deleted_server_and_nobody_are_not_marked(store: SqlStore, leases: Leases) -> None:
    server = running(store, leases)
    store.finish(begin(store, leases, "server-delete", server), OperationState.DONE, change=GONE)

    with pytest.raises(Conflict, match="web is deleted"):
        store.lock(server, "", event=told(server))
    with pytest.raises(Conflict, match="web is deleted"):
        store.reset(server, ServerState.ERROR, event=told(server))
    with pytest.raises(NotFound):
        store.protect("nobody", on=True, event=told(server))
