"""Records that go after what was found on hosts, on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.stores import ACTOR, Clock, a_wanted, admit, begin
from vmctl.adapters.store import SqlStore
from vmctl.domain.observation import Observation, Turn
from vmctl.domain.operation import Event, OperationState
from vmctl.domain.record import AttemptState, Change, Nic, Power, Server, ServerState
from vmctl.errors import AddressTaken
from vmctl.ports import Leases

RUNS = Change(state=ServerState.ACTIVE, power=Power.RUNNING, launched=True)
LOOK = Event(actor=ACTOR, action="server-refresh", result="done")
NEWER = {"volumes": [{"role": "root", "name": "g2-root"}]}


def running(
    store: SqlStore, leases: Leases, name: str, number: int = 1, host: str = "kvm1"
) -> Server:
    """Have a server with a card on its host's own network."""
    mac, address = f"52:54:00:00:00:{number:02x}", f"192.0.2.{number}"
    nic = Nic(network="nat", scope=f"nat@{host}", mac=mac, addresses=(address,))
    card = {"network": "nat", "scope": f"nat@{host}", "mac": mac}
    plan = {"host": host, "cards": [card], "volumes": [{"role": "root", "name": "root"}]}
    token = admit(store, leases, name, replace(a_wanted(host), nics=(nic,), plan=plan))
    store.mark_attempt(token, 1, AttemptState.BEGUN, boot="b1")
    store.finish(token, OperationState.DONE, change=RUNS)
    return store.server(name)


def test_the_boot_that_a_start_is_done_in_is_on_record(store: SqlStore, leases: Leases) -> None:
    assert running(store, leases, "web").boot == "b1"


def test_a_later_system_is_on_record_with_what_changed_of_the_spec(
    store: SqlStore, leases: Leases
) -> None:
    web = running(store, leases, "web")

    turn = store.renew(web, NEWER, {"hostname": "shop"}, event=LOOK)

    assert turn == Turn(
        server=web.id, name="web", what="disk", before="root", after="g2-root", host="kvm1"
    )
    assert store.attempts(web.id)[0].plan == NEWER
    assert store.server("web").spec == {**web.spec, "hostname": "shop"}
    assert store.events(server=web.id)[-1].detail == turn.detail


def test_a_server_that_somebody_is_at_or_that_is_another_than_it_was_is_left(
    store: SqlStore, leases: Leases
) -> None:
    web = running(store, leases, "web")
    assert store.renew(replace(web, host="kvm2"), NEWER, {}, event=LOOK) is None
    begin(store, leases, "stop", web.id)

    assert store.renew(web, NEWER, {}, event=LOOK) is None
    assert store.attempts(web.id)[0].plan != NEWER


def test_a_host_takes_all_that_is_on_record_of_it_along(
    store: SqlStore, leases: Leases, clock: Clock
) -> None:
    web, other = running(store, leases, "web"), running(store, leases, "other", 2, "kvm2")
    look = Observation(server=other.id, host="kvm2", at=clock.tick(), also=("kvm1", "kvm3"))
    store.observe([look])
    store.disable("kvm1", "a new disk", actor=ACTOR)
    stuck = begin(store, leases, "stop", web.id)
    store.finish(stuck, OperationState.STUCK)

    turns = store.rename_host("kvm1", "box", (), event=LOOK)

    assert turns == (
        Turn(server=web.id, name="web", what="host name", before="kvm1", after="box", host="box"),
    )
    assert store.server("web").host == "box"
    assert store.server("other").also == ("box", "kvm3")
    (attempt,) = store.attempts(web.id)
    assert (attempt.host, attempt.plan["host"]) == ("box", "box")
    assert [one.scope for one in attempt.nics] == ["nat@box"]
    assert attempt.plan["cards"] == [
        {"network": "nat", "scope": "nat@box", "mac": "52:54:00:00:00:01"}
    ]
    assert store.addresses("nat@kvm1") == frozenset()
    assert store.addresses("nat@box") == {"192.0.2.1"}
    assert {one.host for one in store.claims()} == {"box", "kvm2"}
    assert [one.name for one in store.hosts()] == ["box", "kvm2"]
    assert (store.host("box").enabled, store.host("box").reason) == (False, "a new disk")


def test_a_host_at_which_somebody_is_at_work_keeps_its_name(
    store: SqlStore, leases: Leases
) -> None:
    web = running(store, leases, "web")
    token = begin(store, leases, "stop", web.id)

    assert store.rename_host("kvm1", "box", (), event=LOOK) is None
    assert store.server("web").host == "kvm1"
    assert store.rename_host("kvm1", "box", (token.operation,), event=LOOK) is not None
    assert store.server("web").host == "box"


def test_an_address_that_is_held_by_both_names_keeps_them_apart(
    store: SqlStore, leases: Leases
) -> None:
    web = running(store, leases, "web")
    plan: dict[str, object] = {"cards": []}
    nic = Nic(network="nat", scope="nat@box", mac="52:54:00:00:00:09", addresses=("192.0.2.1",))
    admit(store, leases, "other", replace(a_wanted("box"), nics=(nic,), plan=plan))

    with pytest.raises(AddressTaken, match=r"192\.0\.2\.1 is held on nat@kvm1 by one server"):
        store.rename_host("kvm1", "box", (), event=LOOK)

    assert store.server("web") == web
