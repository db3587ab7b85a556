"""CPUs of servers' own on record: held from admission to release, each by one server only."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.stores import a_wanted, admit
from vmctl.adapters.store import SqlStore
from vmctl.adapters.store.picture import fleet_record
from vmctl.domain.fleet_record import room_of
from vmctl.domain.record import AttemptState, Wanted
from vmctl.errors import ClaimLost, CpusTaken, OwnershipLost
from vmctl.ports import Leases


def wanting(*cpus: int, host: str = "kvm1") -> Wanted:
    return replace(a_wanted(host), vcpus=len(cpus), cpus=cpus, plan={"cpus": list(cpus)})


def held(store: SqlStore, name: str) -> list[tuple[int, ...]]:
    (attempt,) = store.attempts(store.server(name).id)
    return [one.cpus for one in attempt.claims]


def test_one_cpu_is_not_given_to_two_servers(store: SqlStore, leases: Leases) -> None:
    admit(store, leases, "web", wanting(2, 3))

    with pytest.raises(
        CpusTaken, match=r"kvm1 cannot take the server: another one has its CPUs 3$"
    ):
        admit(store, leases, "db", wanting(3, 4))
    admit(store, leases, "db", wanting(4, 5))
    admit(store, leases, "far", wanting(2, 3, host="kvm2"))

    assert [held(store, one) for one in ("web", "db", "far")] == [[(2, 3)], [(4, 5)], [(2, 3)]]


def test_room_is_asked_for_first(store: SqlStore, leases: Leases) -> None:
    admit(store, leases, "web", wanting(2))

    with pytest.raises(ClaimLost) as caught:
        admit(store, leases, "db", wanting(2), judge=lambda *_: "full")

    assert not isinstance(caught.value, CpusTaken)


def test_who_is_released_gives_them_back(store: SqlStore, leases: Leases) -> None:
    token = admit(store, leases, "web", wanting(2))
    store.mark_attempt(token, 1, AttemptState.RELEASED)

    admit(store, leases, "db", wanting(2))

    assert held(store, "db") == [(2,)]


def test_what_is_owed_holds_them_still(store: SqlStore, leases: Leases) -> None:
    token = admit(store, leases, "web", wanting(2))
    store.readmit(token, wanting(2, host="kvm2"), lambda *_: None)

    with pytest.raises(CpusTaken):
        admit(store, leases, "db", wanting(2))
    with pytest.raises(CpusTaken):
        admit(store, leases, "db", wanting(2, host="kvm2"))


def test_others_are_held_instead_with_the_plan_that_goes_with_them(
    store: SqlStore, leases: Leases
) -> None:
    token = admit(store, leases, "web", wanting(2, 3))
    admit(store, leases, "db", wanting(4))

    store.repin(token, 1, (3, 5), {"cpus": [3, 5]})
    with pytest.raises(CpusTaken):
        store.repin(token, 1, (4, 6), {"cpus": [4, 6]})

    (attempt,) = store.attempts(store.server("web").id)
    assert (held(store, "web"), attempt.plan) == ([(3, 5)], {"cpus": [3, 5]})


def test_nobody_but_its_owner_chooses_others(store: SqlStore, leases: Leases) -> None:
    token = admit(store, leases, "web", wanting(2))
    with leases.hold(token.operation) as lease:
        store.adopt(lease, "b")

    with pytest.raises(OwnershipLost):
        store.repin(token, 1, (3,), {})

    assert held(store, "web") == [(2,)]


def test_lists_sum_them_up_and_placing_sees_each(store: SqlStore, leases: Leases) -> None:
    admit(store, leases, "web", wanting(2, 3, 4))
    admit(store, leases, "db", wanting(7))
    admit(store, leases, "app", a_wanted("kvm1"))
    admit(store, leases, "far", a_wanted("kvm2"))

    used = {one.name: one.used for one in store.hosts()}
    rooms = {one.server: one.cpus for one in fleet_record(store).claims}

    assert used["kvm1"].vcpus == 5
    assert used["kvm1"].cpus == {2, 3, 4, 7}
    assert used["kvm2"].cpus == frozenset()
    assert store.host("kvm1").used == used["kvm1"]
    names = ("web", "db", "app")
    assert [rooms[store.server(one).id] for one in names] == ["2-4", "7", ""]
    assert sorted(map(room_of, store.claims())) == sorted(fleet_record(store).claims)
