"""What admission gives away beside room, a name and addresses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.stores import (
    ACTOR,
    Clock,
    a_nic,
    a_wanted,
    admit,
    anything_fits,
    begin,
)
from vmctl.adapters.store import SqlStore
from vmctl.adapters.store.catalog import Catalog
from vmctl.domain.catalog import ServerGroup
from vmctl.domain.kept import PlacementTrace
from vmctl.domain.operation import Event, OperationState
from vmctl.domain.record import AttemptState, Change, NewServer, Power, ServerState
from vmctl.errors import (
    AddressTaken,
    ClaimLost,
    Conflict,
    NameTaken,
    NotFound,
    QuotaExceeded,
)
from vmctl.ports import Leases

FAILED = Change(state=ServerState.ERROR, fault="no disk")
RUNS = Change(state=ServerState.ACTIVE, power=Power.RUNNING, launched=True)
GONE = Change(state=ServerState.DELETED, deleted=True)
APART = ServerGroup(id="g", name="apart", project="", policy="anti-affinity")
SECRETS = {"user_data": "cGFzc3dvcmQ6IGh1bnRlcjI=", "files": {"/etc/h\u00e4": "eA=="}}


@pytest.fixture
def catalog(store: SqlStore) -> Catalog:
    return Catalog(store)


# Groups


def test_a_server_joins_its_group_when_it_is_admitted(
    store: SqlStore, catalog: Catalog, leases: Leases
) -> None:
    catalog.add_group(APART)

    admit(store, leases, "web", group="g")

    assert catalog.group("g").members == (store.server("web").id,)


def test_a_group_that_was_deleted_is_not_joined(store: SqlStore, leases: Leases) -> None:
    with pytest.raises(NotFound, match="the server group g is not there any more"):
        admit(store, leases, "web", group="g")

    assert store.servers() == ()


def test_the_company_is_counted_in_the_transaction_that_admits(
    store: SqlStore, catalog: Catalog, leases: Leases
) -> None:
    catalog.add_group(APART)
    catalog.add_group(replace(APART, id="h", name="others"))
    seen = []

    def company(others: object) -> None:
        seen.append(others)

    for name, host, group in (("a", "kvm1", "g"), ("b", "kvm1", "g"), ("c", "kvm2", "g")):
        admit(store, leases, name, a_wanted(host), group=group, company=company)
    admit(store, leases, "d", a_wanted("kvm1"), group="h", company=company)
    admit(store, leases, "e", a_wanted("kvm1"), company=company)

    assert seen == [{}, {"kvm1": 1}, {"kvm1": 2}, {}]


def test_a_server_that_its_group_refuses_is_not_admitted(
    store: SqlStore, catalog: Catalog, leases: Leases
) -> None:
    catalog.add_group(APART)
    admit(store, leases, "a", a_wanted("kvm1"), group="g")

    with pytest.raises(ClaimLost, match="group apart has 1 on kvm1, 1 allowed there"):
        admit(
            store,
            leases,
            "b",
            a_wanted("kvm1"),
            group="g",
            company=lambda others: APART.misfit("kvm1", others),
        )

    assert [server.name for server in store.servers()] == ["a"]
    assert len(catalog.group("g").members) == 1


def test_the_next_attempt_of_a_server_does_not_meet_itself(
    store: SqlStore, catalog: Catalog, leases: Leases
) -> None:
    catalog.add_group(APART)
    admit(store, leases, "a", a_wanted("kvm2"), group="g")
    token = admit(store, leases, "b", a_wanted("kvm1"), group="g")
    seen = []

    def company(others: object) -> str:
        seen.append(others)
        return "no"

    with pytest.raises(ClaimLost, match="cannot join its group there: no"):
        store.readmit(token, a_wanted("kvm3"), anything_fits, company=company)

    assert seen == [{"kvm2": 1}]
    assert store.server("b").attempt == 1


def test_a_deleted_member_is_no_company(store: SqlStore, catalog: Catalog, leases: Leases) -> None:
    catalog.add_group(APART)
    owed = admit(store, leases, "a", a_wanted("kvm1"), group="g")
    store.mark_attempt(owed, 1, AttemptState.OWED)
    store.finish(owed, OperationState.OWED, change=GONE)
    seen = []

    def company(others: object) -> None:
        seen.append(others)

    admit(store, leases, "b", a_wanted("kvm1"), group="g", company=company)

    assert seen == [{}]


@pytest.mark.parametrize(
    ("policy", "most", "others", "misfit"),
    [
        ("anti-affinity", 1, {}, None),
        ("anti-affinity", 1, {"kvm2": 9}, None),
        ("anti-affinity", 2, {"kvm1": 1}, None),
        ("anti-affinity", 2, {"kvm1": 2}, "has 2 on kvm1, 2 allowed there"),
        ("affinity", 1, {}, None),
        ("affinity", 1, {"kvm1": 1, "kvm2": 1}, None),
        ("affinity", 1, {"kvm3": 1, "kvm2": 1}, "keeps together, and it is on kvm2, kvm3"),
        ("soft-anti-affinity", 1, {"kvm1": 5}, None),
        ("soft-affinity", 1, {"kvm2": 5}, None),
    ],
)  # fmt: skip
def test_a_group_says_why_a_host_does_not_suit_it(
    policy: str, most: int, others: dict[str, int], misfit: str | None
) -> None:
    group = ServerGroup(id="g", name="web", project="", policy=policy, max_server_per_host=most)

    said = group.misfit("kvm1", others)
    assert said == (misfit if misfit is None else f"group web {misfit}")


# Quotas


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"instances": 1}, "Quota exceeded for instances: Requested 1, but already used 1 of 1"),
        ({"cores": 1}, "Quota exceeded for cores"),
        ({"ram": 1023}, "Quota exceeded for ram: Requested 512, but already used 512 of 1023"),
    ],
    ids=["instances", "cores", "ram"],
)
def test_a_project_gets_no_more_than_its_quota(
    store: SqlStore, catalog: Catalog, leases: Leases, limits: dict[str, int], said: str
) -> None:
    catalog.set_quota("p", limits)
    admit(store, leases, "a", project="p")

    with pytest.raises(QuotaExceeded, match=said):
        admit(store, leases, "b", project="p")

    assert [server.name for server in store.servers()] == ["a"]
    admit(store, leases, "b", project="other")


def test_a_quota_that_is_changed_holds_from_then_on(
    store: SqlStore, catalog: Catalog, leases: Leases
) -> None:
    for most in (1, 2, -1):
        catalog.set_quota("", {"instances": most})
        assert catalog.quota("").limits["instances"] == most
    for name in ("a", "b", "c"):
        admit(store, leases, name)


def test_a_server_that_makes_way_is_not_counted_against_its_successor(
    store: SqlStore, catalog: Catalog, leases: Leases
) -> None:
    catalog.set_quota("", {"instances": 1})
    store.finish(admit(store, leases), OperationState.UNWOUND, change=FAILED, release=[1])

    admit(store, leases)

    assert len(store.servers()) == 1


# No host at all


def test_a_server_without_a_host_is_on_record_with_its_fault(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    event = Event(actor=ACTOR, action="server-create", result="error", server="s")
    new = NewServer(
        id="s", name="web", project="p", spec={"a": 1}, trace={"why": []}, reservation="r"
    )

    store.admit_failed(new, "No valid host was found.", event=event)

    server = store.server("web")
    assert (server.state, server.fault) == (ServerState.ERROR, "No valid host was found.")
    assert (server.host, server.attempt, server.task) == (None, 0, None)
    assert (server.spec, server.reservation, server.project) == ({"a": 1}, "r", "p")
    assert not server.holds_name
    held = (store.attempts("s"), store.operations(), store.claims())
    assert not any(held)
    assert store.placement_of("s") == PlacementTrace(server="s", trace={"why": []}, at=clock.now)
    assert [each.server for each in store.events()] == ["s"]
    admit(store, leases, "web")
    assert store.server("s").deleted == clock.now


def test_a_failure_takes_no_name_from_a_live_server(store: SqlStore, leases: Leases) -> None:
    admit(store, leases, "web")

    with pytest.raises(NameTaken):
        store.admit_failed(NewServer(id="s", name="web"), "no host")

    assert len(store.servers(deleted=True)) == 1


# Another host, other addresses


def test_an_attempt_that_left_nothing_owes_nothing(store: SqlStore, leases: Leases) -> None:
    token = admit(store, leases, "web", a_wanted("kvm1"))
    store.mark_attempt(token, 1, AttemptState.RELEASED, "the pool was full")

    store.readmit(token, a_wanted("kvm2"), anything_fits)

    states = [attempt.state for attempt in store.attempts(store.server("web").id)]
    assert states == [AttemptState.RELEASED, AttemptState.HELD]


def test_an_attempt_swaps_its_addresses_and_plan_at_once(store: SqlStore, leases: Leases) -> None:
    nics = (a_nic("192.0.2.10", "52:54:00:aa:00:01"), a_nic("", "52:54:00:aa:00:02"))
    token = admit(store, leases, "web", a_wanted(nics=nics))
    other = (replace(nics[0], addresses=("192.0.2.11", "2001:DB8::1")), nics[1])

    store.readdress(token, 1, other, {"cards": ["192.0.2.11"]})

    (attempt,) = store.attempts(store.server("web").id)
    assert [nic.addresses for nic in attempt.nics] == [("192.0.2.11", "2001:db8::1"), ()]
    assert [nic.mac for nic in attempt.nics] == [nic.mac for nic in nics]
    assert attempt.plan == {"cards": ["192.0.2.11"]}
    assert attempt.claims == store.claims()
    assert store.addresses("lan") == {"192.0.2.11", "2001:db8::1"}


@pytest.mark.parametrize("taken", ["address", "mac"])
def test_an_attempt_that_gets_no_other_address_keeps_what_it_has(
    store: SqlStore, leases: Leases, taken: str
) -> None:
    held = a_nic("192.0.2.11", "52:54:00:aa:00:09")
    admit(store, leases, "other", a_wanted(nics=(held,)))
    nic = a_nic("192.0.2.10", "52:54:00:aa:00:01")
    token = admit(store, leases, "web", replace(a_wanted(nics=(nic,)), plan={"old": 1}))
    wrong = {"address": replace(nic, addresses=held.addresses), "mac": replace(nic, mac=held.mac)}

    with pytest.raises(AddressTaken):
        store.readdress(token, 1, (wrong[taken],), {"new": 1})

    (attempt,) = store.attempts(store.server("web").id)
    assert (attempt.nics, attempt.plan) == ((nic,), {"old": 1})


def test_only_an_attempt_that_holds_addresses_gets_others(store: SqlStore, leases: Leases) -> None:
    token = admit(store, leases, "web")
    with pytest.raises(Conflict, match="attempt 2"):
        store.readdress(token, 2, (a_nic(),), {})
    store.mark_attempt(token, 1, AttemptState.RELEASED)

    with pytest.raises(Conflict, match="holds no addresses any more"):
        store.readdress(token, 1, (a_nic(),), {})

    assert store.addresses("lan") == frozenset()


# Changing a server


def test_a_change_sets_and_clears_what_it_names(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    token = admit(store, leases, "web")
    store.change(token, replace(FAILED, locked="", protected=True, boot="b1", power=Power.RUNNING))
    server = store.server("web")
    assert (server.fault, server.locked, server.protected) == ("no disk", "", True)
    assert (server.boot, server.seen_at, server.host) == ("b1", clock.now, "kvm1")

    clock.tick()
    spec = {"tags": ["a"]}
    cleared = Change(
        state=ServerState.SHELVED_OFFLOADED,
        spec=spec,
        protected=False,
        clear=("fault", "host", "locked", "boot"),
    )
    store.finish(token, OperationState.DONE, change=cleared)

    server = store.server("web")
    assert (server.fault, server.host, server.locked, server.boot) == (None, None, None, None)
    assert (server.protected, server.spec) == (False, spec)
    assert server.seen_at == clock.now - 1
    begin(store, leases, "server-unshelve", server.id)
