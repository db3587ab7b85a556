from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.stores import ACTOR, Clock, a_nic, a_wanted, admit
from vmctl.adapters.store import SqlStore
from vmctl.adapters.store.catalog import Catalog
from vmctl.domain.catalog import ServerGroup
from vmctl.domain.kept import FoundServer
from vmctl.domain.machine import SeenAddress
from vmctl.domain.operation import Event
from vmctl.domain.record import AttemptState, NewServer, Nic, Power, ServerState
from vmctl.errors import Conflict
from vmctl.ports import Leases

NIC = Nic(network="lan", scope="lan", mac="52:54:00:aa:00:01", addresses=("192.0.2.10",))
SEEN = SeenAddress(mac=NIC.mac, address="192.0.2.10", source="lease")
WEB = FoundServer(
    server=NewServer(id="s", name="web", project="p", spec={"tags": ["a"]}, reservation="r"),
    wanted=replace(a_wanted("kvm1", 768, (NIC,)), pool="fast", plan={"number": 3}),
    number=3,
    state=ServerState.ACTIVE,
    power=Power.RUNNING,
    created=1_700_000_000.5,
    boot="b1",
    seen=(SEEN,),
)


def test_a_server_is_brought_back_with_all_that_it_holds(store: SqlStore, clock: Clock) -> None:
    event = Event(actor=ACTOR, action="db-rebuild", result="done", server="s")

    assert store.import_server(WEB, event=event)

    server = store.server("web")
    (attempt,) = store.attempts("s")
    (claim,) = store.claims("kvm1")
    assert (server.id, server.project, server.host, server.attempt) == ("s", "p", "kvm1", 3)
    assert (server.state, server.power, server.task) == (
        ServerState.ACTIVE,
        Power.RUNNING,
        None,
    )
    assert (server.created, server.launched, server.updated) == (
        WEB.created,
        WEB.created,
        clock.now,
    )
    assert (server.spec, server.reservation) == ({"tags": ["a"]}, "r")
    assert (server.boot, server.seen, server.seen_at) == ("b1", (SEEN,), clock.now)
    assert (attempt.number, attempt.state, attempt.plan) == (
        3,
        AttemptState.BEGUN,
        {"number": 3},
    )
    assert (claim.memory, claim.pool, claim.number) == (768, "fast", 3)
    assert server.nics == attempt.nics == (NIC,)
    assert store.addresses("lan") == {"192.0.2.10"}
    assert len(store.events(server="s")) == 1


def test_a_server_that_is_on_record_as_found_is_left_as_it_is(
    store: SqlStore, clock: Clock
) -> None:
    store.import_server(WEB)
    held = store.server("web")
    clock.tick()
    event = Event(actor=ACTOR, action="db-rebuild", result="done", server="s")

    again = replace(WEB, power=Power.SHUTDOWN, state=ServerState.STOPPED, seen=())
    assert not store.import_server(again, event=event)

    assert store.server("web") == held
    assert store.events() == ()


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (replace(WEB, server=replace(WEB.server, name="www")), "its name on record is web"),
        (replace(WEB, wanted=replace(WEB.wanted, host="kvm2")), "its host on record is kvm1"),
        (replace(WEB, number=4), "its attempt on record is 3"),
        (replace(WEB, server=replace(WEB.server, spec={})), "with another specification"),
    ],
    ids=["name", "host", "attempt", "spec"],
)
def test_another_server_with_its_id_is_a_conflict(
    store: SqlStore, other: FoundServer, said: str
) -> None:
    store.import_server(WEB)
    before = store.server("s"), store.claims()

    with pytest.raises(Conflict, match=said):
        store.import_server(other)

    assert (store.server("s"), store.claims()) == before


@pytest.mark.parametrize("launched", [True, False])
def test_all_that_is_held_by_others_is_said_at_once(
    store: SqlStore, leases: Leases, *, launched: bool
) -> None:
    admit(store, leases, "web", a_wanted("kvm2"))
    admit(store, leases, "db", a_wanted("kvm2", nics=(a_nic("192.0.2.10"),)))
    admit(store, leases, "mq", a_wanted("kvm2", nics=(a_nic("", NIC.mac),)))
    ids = {name: store.server(name).id for name in ("web", "db", "mq")}
    found = WEB if launched else replace(WEB, state=ServerState.ERROR)

    with pytest.raises(Conflict) as caught:
        store.import_server(found)

    name = f"its name is held by {ids['web']}"
    assert (name in str(caught.value)) is launched
    assert f"the MAC {NIC.mac} is held by {ids['mq']}" in str(caught.value)
    assert f"the address 192.0.2.10 on lan is held by {ids['db']}" in str(caught.value)
    assert len(store.servers()) == 3
    assert store.claims("kvm1") == ()


def test_a_server_without_a_known_age_was_made_just_now(store: SqlStore, clock: Clock) -> None:
    store.import_server(replace(WEB, created=None, state=ServerState.ERROR))

    server = store.server("web")
    assert (server.created, server.launched) == (clock.now, None)


def test_what_is_wrong_with_it_is_on_record(store: SqlStore) -> None:
    store.import_server(replace(WEB, state=ServerState.ERROR, fault="no root disk"))

    assert store.server("web").fault == "no root disk"


def test_whether_it_is_on_record_is_told_without_writing_it(
    store: SqlStore, leases: Leases
) -> None:
    assert not store.is_on_record(WEB)
    assert store.servers() == ()
    store.import_server(WEB)
    assert store.is_on_record(WEB)
    admit(store, leases, "mq")

    with pytest.raises(Conflict, match="its name is held by"):
        store.is_on_record(replace(WEB, server=NewServer(id="other", name="mq")))


@pytest.mark.parametrize(
    ("there", "here", "same"),
    [("https://u:p@h/i", None, True), ("https://h/i", "https://h/j", False)],
    ids=["untold", "another"],
)
def test_an_address_that_no_domain_tells_is_no_difference(
    store: SqlStore, *, there: str, here: str | None, same: bool
) -> None:
    def told(url: str | None) -> FoundServer:
        spec = {"image": {"name": "mini", "url": url}}
        return replace(WEB, server=replace(WEB.server, spec=spec))

    store.import_server(told(there))

    if same:
        assert store.is_on_record(told(here))
    else:
        with pytest.raises(Conflict, match="another specification"):
            store.is_on_record(told(here))


def test_a_group_that_is_not_on_record_again_is_left_out(store: SqlStore) -> None:
    catalog = Catalog(store)
    catalog.add_group(ServerGroup(id="g", name="apart", project="", policy="affinity"))
    for number, group in enumerate(("g", "lost")):
        mac = f"52:54:00:aa:00:1{number}"
        store.import_server(
            replace(
                WEB,
                server=replace(WEB.server, id=str(number), name=f"web-{number}", group=group),
                wanted=a_wanted("kvm1", nics=(a_nic("", mac),)),
            )
        )

    assert catalog.group("g").members == ("0",)
    assert len(store.servers()) == 2


def test_a_new_database_can_be_the_owner_that_domains_name(store: SqlStore, leases: Leases) -> None:
    store.assume("5c0ff1ce-0000-4000-8000-000000000001")
    assert store.uuid() == "5c0ff1ce-0000-4000-8000-000000000001"

    admit(store, leases)
    with pytest.raises(Conflict, match="servers of its own"):
        store.assume("another")

    assert store.uuid() == "5c0ff1ce-0000-4000-8000-000000000001"
