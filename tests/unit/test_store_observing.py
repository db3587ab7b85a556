from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.support.stores import Clock, a_new, a_wanted, admit, begin
from vmctl.adapters.store import SqlStore
from vmctl.domain.machine import SeenAddress
from vmctl.domain.observation import Observation, Turn
from vmctl.domain.operation import OperationState
from vmctl.domain.record import Change, Power, ServerState
from vmctl.errors import Conflict
from vmctl.ports import Leases

RUNS = Change(state=ServerState.ACTIVE, power=Power.RUNNING, launched=True, boot="b1")
GONE = Change(state=ServerState.DELETED, deleted=True)
SEEN = (
    SeenAddress(mac="52:54:00:00:00:01", address="192.0.2.10", source="lease"),
    SeenAddress(mac="52:54:00:00:00:01", address="fe80::1", source="agent h\u00e4"),
)


def running(store: SqlStore, leases: Leases, name: str = "web", host: str = "kvm1") -> str:
    """Have a server that runs, and give its id."""
    store.finish(admit(store, leases, name, a_wanted(host)), OperationState.DONE, change=RUNS)
    return store.server(name).id


def test_what_is_seen_stands_on_record(store: SqlStore, leases: Leases, clock: Clock) -> None:
    server = running(store, leases)
    updated = store.server("web").updated
    at = clock.tick(10)

    turns = store.observe(
        [Observation(server=server, host="kvm1", at=at, power=Power.RUNNING, boot="b2", seen=SEEN)]
    )

    held = store.server("web")
    assert turns == ()
    assert (held.state, held.power, held.seen_at) == (ServerState.ACTIVE, Power.RUNNING, at)
    assert (held.boot, held.seen, held.updated) == ("b2", SEEN, updated)


def test_what_nobody_looked_for_stays(store: SqlStore, leases: Leases, clock: Clock) -> None:
    server = running(store, leases)
    at = clock.tick()
    store.observe([Observation(server=server, host="kvm1", at=at, power=Power.RUNNING, seen=SEEN)])

    store.observe([Observation(server=server, host="kvm1", at=at + 1, power=Power.RUNNING)])

    held = store.server("web")
    assert (held.seen, held.boot, held.seen_at) == (SEEN, "b1", at + 1)
    store.observe(
        [Observation(server=server, host="kvm1", at=at + 2, power=Power.RUNNING, seen=())]
    )
    assert store.server("web").seen == ()


RUNNING, OFF = {"power": Power.RUNNING}, {"power": Power.SHUTDOWN}


@pytest.mark.parametrize(
    ("looks", "kept"),
    [
        ((OFF, RUNNING), ()),
        (({**OFF, "saved": True}, RUNNING), SEEN),
        (({"power": Power.PAUSED}, RUNNING), SEEN),
        (({**RUNNING, "boot": "b2"},), ()),
        ((RUNNING, OFF), SEEN),
    ],
    ids=["started", "resumed", "unpaused", "host-booted", "ended"],
)
def test_what_was_seen_of_a_machine_is_not_told_of_the_next(
    store: SqlStore, leases: Leases, clock: Clock, looks: Any, kept: Any
) -> None:
    server = running(store, leases)

    for look in ({**RUNNING, "boot": "b1", "seen": SEEN}, *looks):
        store.observe([Observation(server=server, host="kvm1", at=clock.tick(), **look)])

    assert store.server("web").seen == kept


def test_a_state_that_turned_is_said(store: SqlStore, leases: Leases, clock: Clock) -> None:
    web, db = running(store, leases, "web"), running(store, leases, "db", "kvm2")
    at = clock.tick()

    turns = store.observe(
        [
            Observation(server=web, host="kvm1", at=at, power=Power.SHUTDOWN),
            Observation(server=db, host="kvm2", at=at, power=Power.RUNNING),
        ]
    )

    stopped = Turn(server=web, name="web", before="active", after="stopped", host="kvm1")
    assert turns == (stopped,)
    held = store.server("web")
    assert (held.state, held.power, held.updated) == (ServerState.STOPPED, Power.SHUTDOWN, at)
    assert held.launched is not None
    assert store.server("db").state is ServerState.ACTIVE


@pytest.mark.parametrize("state", [OperationState.RUNNING, OperationState.STUCK])
def test_a_server_that_somebody_is_at_is_left_alone(
    store: SqlStore, leases: Leases, clock: Clock, state: OperationState
) -> None:
    server = running(store, leases)
    token = begin(store, leases, "server-stop", server)
    if state is OperationState.STUCK:
        store.finish(token, state)
    before = store.server("web")

    turns = store.observe(
        [Observation(server=server, host="kvm1", at=clock.tick(), power=Power.SHUTDOWN, boot="x")]
    )

    assert turns == ()
    assert store.server("web") == before


def test_owed_cleanup_elsewhere_keeps_nobody_from_looking(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    store.finish(admit(store, leases), OperationState.OWED, change=RUNS)
    server = store.server("web").id

    turns = store.observe(
        [Observation(server=server, host="kvm1", at=clock.tick(), power=Power.PAUSED)]
    )

    assert [turn.after for turn in turns] == [ServerState.PAUSED]


def test_an_older_look_changes_nothing(store: SqlStore, leases: Leases, clock: Clock) -> None:
    server = running(store, leases)
    at = clock.tick(10)
    newer = Observation(server=server, host="kvm1", at=at, power=Power.RUNNING)
    older = Observation(server=server, host="kvm1", at=at - 1, power=Power.SHUTDOWN, boot="old")
    store.observe([newer])

    assert store.observe([older]) == ()
    assert store.observe([newer, older]) == ()

    held = store.server("web")
    assert (held.power, held.boot, held.seen_at) == (Power.RUNNING, "b1", at)


def test_a_look_at_another_host_or_at_nothing_of_ours_changes_nothing(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    server = running(store, leases)
    gone = running(store, leases, "gone")
    store.finish(begin(store, leases, "server-delete", gone), OperationState.DONE, change=GONE)
    every = store.servers(deleted=True)
    at = clock.tick()

    turns = store.observe(
        [
            Observation(server=server, host="kvm2", at=at, power=Power.SHUTDOWN),
            Observation(server=gone, host="kvm1", at=at, power=Power.SHUTDOWN),
            Observation(server=str(uuid.uuid4()), host="kvm1", at=at, power=Power.SHUTDOWN),
        ]
    )

    assert turns == store.observe([]) == ()
    assert store.servers(deleted=True) == every


def test_a_look_and_an_operation_that_begins_do_not_cross(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    server = running(store, leases)
    store.observe([Observation(server=server, host="kvm1", at=clock.tick(), power=Power.SHUTDOWN)])

    with leases.hold("op") as lease, pytest.raises(Conflict, match="is stopped"):
        store.begin(lease, a_new("server-stop", server), expect={ServerState.ACTIVE})
