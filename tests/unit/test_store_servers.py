from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.stores import (
    ACTOR,
    Clock,
    a_new,
    a_nic,
    a_wanted,
    admit,
    anything_fits,
    begin,
    room_for,
)
from vmctl.domain.host_record import HostRecord, Used
from vmctl.domain.operation import Event, OperationState, Token
from vmctl.domain.record import AttemptState, Change, Claim, Power, ServerState, address_scope
from vmctl.errors import (
    AddressTaken,
    ClaimLost,
    Conflict,
    NameTaken,
    NotFound,
)

if TYPE_CHECKING:
    from vmctl.adapters.store import SqlStore
    from vmctl.ports import Leases

FAILED = Change(state=ServerState.ERROR, fault="no disk")
RUNS = Change(state=ServerState.ACTIVE, power=Power.RUNNING, launched=True)


def nothing_was_written(store: SqlStore) -> bool:
    return not (store.servers(deleted=True) or store.operations() or store.claims())


def test_admission_writes_server_attempt_claim_addresses_and_operation(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    second = replace(a_nic("2001:DB8::0010", "52:54:00:AA:00:02"), addresses=("2001:DB8::0010",))
    nics = (a_nic("192.0.2.10", "52:54:00:aa:00:09"), second)

    token = admit(store, leases, "web", a_wanted(nics=nics))

    operation = store.operation(token.operation)
    server = store.server("web")
    (attempt,) = store.attempts(server.id)
    assert token == Token(operation=operation.id, number=1)
    assert (operation.server, operation.host) == (server.id, "kvm1")
    assert (operation.state, operation.params) == (OperationState.RUNNING, a_new().params)
    assert (server.state, server.task, server.host) == (
        ServerState.BUILDING,
        "scheduling",
        "kvm1",
    )
    assert (server.created, server.launched, server.deleted) == (clock.now, None, None)
    assert server.spec == {"flavor": {"name": "m1.tiny"}}
    assert [nic.addresses for nic in server.nics] == [("192.0.2.10",), ("2001:db8::10",)]
    assert [nic.mac for nic in server.nics] == ["52:54:00:aa:00:09", "52:54:00:aa:00:02"]
    assert attempt.nics == server.nics
    assert (attempt.number, attempt.state) == (1, AttemptState.HELD)
    assert attempt.claims == store.claims("kvm1") == store.claims()
    assert store.host("kvm1").used == Used(servers=1, vcpus=1, memory=512, disk=1024)
    assert store.addresses("lan") == {"192.0.2.10", "2001:db8::10"}


def test_every_attempt_keeps_its_own_plan(store: SqlStore, leases: Leases) -> None:
    first = {"number": 1, "volumes": [{"name": "web-root", "size": 1 << 40}], "base": None}
    token = admit(store, leases, "web", replace(a_wanted("kvm1"), plan=first))

    store.readmit(token, replace(a_wanted("kvm2"), plan={"number": 2}), anything_fits)

    plans = [attempt.plan for attempt in store.attempts(store.server("web").id)]
    assert plans == [first, {"number": 2}]


def test_the_judge_sees_the_hosts_record_and_all_its_live_claims(
    store: SqlStore, leases: Leases
) -> None:
    store.disable("kvm1", "new disks", actor=ACTOR)
    for name, host in (("a", "kvm1"), ("b", "kvm1"), ("c", "kvm2")):
        admit(store, leases, name, a_wanted(host))
    seen: list[tuple[HostRecord, tuple[Claim, ...]]] = []

    def judge(host: HostRecord, claims: tuple[Claim, ...]) -> str:
        seen.append((host, claims))
        return "is watched"

    with pytest.raises(ClaimLost, match="host kvm1 cannot take the server: is watched"):
        admit(store, leases, "d", judge=judge)

    ((record, claims),) = seen
    assert (record.enabled, record.reason, record.used.servers) == (False, "new disks", 2)
    assert {claim.host for claim in claims} == {"kvm1"}
    assert len(claims) == 2


def test_a_refused_claim_leaves_nothing_behind(store: SqlStore, leases: Leases) -> None:
    with pytest.raises(ClaimLost, match="needs 512 MiB, 511 free on kvm1"):
        admit(store, leases, judge=room_for(511, need=512))

    assert nothing_was_written(store)


def test_a_live_name_is_not_given_twice(store: SqlStore, leases: Leases) -> None:
    admit(store, leases, "web", a_wanted("kvm1"))

    with pytest.raises(NameTaken) as caught:
        admit(store, leases, "web", a_wanted("kvm2"))

    assert store.server("web").id in str(caught.value)
    assert len(store.operations()) == 1


@pytest.mark.parametrize(
    ("nic", "what"),
    [
        (a_nic("192.0.2.10"), "192.0.2.10"),
        (a_nic("2001:DB8:0::10"), "2001:db8::10"),
        (a_nic("", "52:54:00:AA:00:01"), "52:54:00:aa:00:01"),
    ],
    ids=["address", "the same address otherwise written", "mac"],
)
def test_an_address_or_mac_is_not_given_twice(
    store: SqlStore, leases: Leases, nic: object, what: str
) -> None:
    taken = replace(
        a_nic("192.0.2.10", "52:54:00:aa:00:01"), addresses=("192.0.2.10", "2001:db8::10")
    )
    admit(store, leases, "web", a_wanted("kvm1", nics=(taken,)))

    with pytest.raises(AddressTaken, match=what):
        admit(store, leases, "other", a_wanted("kvm2", nics=(nic,)))  # type: ignore[arg-type] # parametrize

    assert [server.name for server in store.servers()] == ["web"]
    assert [claim.host for claim in store.claims()] == ["kvm1"]


def test_one_address_serves_on_each_hosts_own_nat(store: SqlStore, leases: Leases) -> None:
    for host in ("kvm1", "kvm2"):
        nic = a_nic("192.168.122.5", scope=address_scope("default", host))
        admit(store, leases, f"on-{host}", a_wanted(host, nics=(nic,)))

    assert store.addresses("default@kvm1") == store.addresses("default@kvm2") == {"192.168.122.5"}


def test_a_server_that_failed_before_it_ran_makes_way_for_its_name(
    store: SqlStore, leases: Leases
) -> None:
    first = admit(store, leases, "web")
    old = store.server("web")
    store.finish(first, OperationState.UNWOUND, change=FAILED, release=[1])
    assert not store.server("web").holds_name

    admit(store, leases, "web")

    new = store.server("web")
    assert new.id != old.id
    assert [server.id for server in store.servers()] == [new.id]
    assert store.server(old.id).deleted is not None


def test_a_failed_server_with_something_left_to_do_stays_in_sight(
    store: SqlStore, leases: Leases
) -> None:
    first = admit(store, leases, "web")
    old = store.server("web")
    store.change(first, FAILED)
    store.finish(first, OperationState.STUCK, fault="the volume is busy")

    admit(store, leases, "web")

    assert store.server("web").id != old.id
    assert old.id in {server.id for server in store.servers()}
    assert store.server(old.id).deleted is None


def test_a_server_that_ran_keeps_its_name_in_error(store: SqlStore, leases: Leases) -> None:
    first = admit(store, leases, "web")
    store.finish(first, OperationState.DONE, change=RUNS)
    again = begin(store, leases, "server-rebuild", store.server("web").id)
    store.finish(again, OperationState.UNWOUND, change=FAILED)

    with pytest.raises(NameTaken):
        admit(store, leases, "web")


def test_a_deleted_server_frees_its_name_and_can_be_shown_by_id(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    token = admit(store, leases, "web")
    old = store.server("web")
    gone = Change(state=ServerState.DELETED, deleted=True)
    store.finish(token, OperationState.DONE, change=gone, release=[1])
    died = clock.now

    clock.tick()
    admit(store, leases, "web")

    assert store.server(old.id).deleted == died
    assert store.server("web").id != old.id
    assert len(store.servers()) == 1
    assert len(store.servers(deleted=True)) == 2
    with pytest.raises(NotFound):
        store.server("nobody")


def test_a_name_borne_by_two_failed_servers_asks_for_the_id(
    store: SqlStore, leases: Leases
) -> None:
    ids = set()
    for _ in range(2):
        token = admit(store, leases, "web")
        ids.add(store.operation(token.operation).server)
        store.change(token, FAILED)
        store.finish(token, OperationState.STUCK)

    with pytest.raises(Conflict) as caught:
        store.server("web")

    assert all(str(server) in str(caught.value) for server in ids)


def test_an_outcome_changes_operation_server_claim_and_event_together(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    token = admit(store, leases, "web", a_wanted(nics=(a_nic(),)))
    clock.tick()

    event = Event(actor=ACTOR, action="server-create", result="error", detail={"why": "no disk"})
    store.finish(
        token, OperationState.UNWOUND, change=FAILED, release=[1], fault="no disk", event=event
    )

    server = store.server("web")
    operation = store.operation(token.operation)
    (attempt,) = store.attempts(server.id)
    assert (server.state, server.task, server.fault) == (ServerState.ERROR, None, "no disk")
    assert (operation.state, operation.fault) == (OperationState.UNWOUND, "no disk")
    assert operation.finished == server.updated == clock.now
    assert (attempt.state, attempt.claims, attempt.nics) == (AttemptState.RELEASED, (), ())
    assert store.claims() == ()
    assert store.addresses("lan") == frozenset()
    assert [(e.operation, e.at) for e in store.events()] == [(token.operation, clock.now)]


@pytest.mark.parametrize("state", [OperationState.STUCK, OperationState.OWED])
def test_what_is_not_proven_gone_keeps_claim_and_address(
    store: SqlStore, leases: Leases, state: OperationState
) -> None:
    token = admit(store, leases, "web", a_wanted(nics=(a_nic(),)))

    store.finish(token, state, change=FAILED)

    assert len(store.claims("kvm1")) == 1
    assert store.addresses("lan") == {"192.0.2.10"}
    assert store.operation(token.operation).finished is None
    assert [o.id for o in store.operations(unfinished=True)] == [token.operation]


def test_the_next_attempt_holds_its_own_room_while_the_last_is_owed(
    store: SqlStore, leases: Leases
) -> None:
    token = admit(store, leases, "web", a_wanted("kvm1", nics=(a_nic("192.0.2.10"),)))
    server = store.server("web").id
    store.mark_attempt(token, 1, AttemptState.BEGUN, "it hung")

    number = store.readmit(token, a_wanted("kvm2", nics=(a_nic("192.0.2.11"),)), anything_fits)

    attempts = store.attempts(server)
    assert number == store.server("web").attempt == 2
    assert [a.state for a in attempts] == [AttemptState.OWED, AttemptState.HELD]
    assert [a.fault for a in attempts] == ["it hung", None]
    assert [claim.host for claim in store.claims()] == ["kvm1", "kvm2"]
    assert store.server("web").host == "kvm2"
    assert [nic.addresses for nic in store.server("web").nics] == [("192.0.2.11",)]
    assert store.addresses("lan") == {"192.0.2.10", "192.0.2.11"}
    store.mark_attempt(token, 1, AttemptState.RELEASED)
    assert store.addresses("lan") == {"192.0.2.11"}


def test_a_lost_next_attempt_leaves_the_present_one_as_it_is(
    store: SqlStore, leases: Leases
) -> None:
    token = admit(store, leases, "web")

    with pytest.raises(ClaimLost):
        store.readmit(token, a_wanted("kvm2"), room_for(1, need=2))

    assert store.server("web").attempt == 1
    assert [a.state for a in store.attempts(store.server("web").id)] == [AttemptState.HELD]


def test_lists_are_sorted_alike_on_every_database(store: SqlStore, leases: Leases) -> None:
    names = ["b", "B", "a-1", "a1", "a.2", "A", "ä", "Z"]
    for name in names:
        admit(store, leases, name, a_wanted(name))

    assert [server.name for server in store.servers()] == sorted(names)
    assert [host.name for host in store.hosts()] == sorted(names)
