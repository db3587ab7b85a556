"""Servers that were moved, doubled or renamed past vmctl, on hosts that are folders."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import by_hand
from tests.support.looked import HOSTS, look, on_record, status, told
from tests.support.stage import SPEC, Stage, a_build, a_stage, create, on_stage, wanted
from tests.support.stood import a_card, identity, stand
from tests.support.stores import ACTOR, a_new, anything_fits, begin
from vmctl.adapters.server_record import find_record
from vmctl.domain.observation import Observation
from vmctl.domain.operation import OperationState
from vmctl.domain.plain import to_plain
from vmctl.domain.record import AttemptState, NewServer, Power, ServerState
from vmctl.domain.server_line import UNKNOWN
from vmctl.errors import Conflict, HostError
from vmctl.services.acting import standing
from vmctl.services.believing import now, refuse_doubled
from vmctl.services.delete import delete_server


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as opened:
        opened.fleet.sleep(time.time() + 60)  # what is seen is newer than what is on record
        create(opened)
        yield opened


def test_one_that_was_moved_is_on_its_new_host_with_all_that_it_holds(stage: Stage) -> None:
    (before,) = stage.sql.attempts(SPEC.id)
    by_hand.move(stage.fleet, "kvm1", "kvm2", SPEC.id)

    look(stage)

    assert on_record(stage) == (SPEC.name, "kvm2", ServerState.ACTIVE, Power.RUNNING)
    attempt, left = stage.sql.attempts(SPEC.id)
    assert (attempt.number, attempt.host, attempt.state) == (1, "kvm2", AttemptState.BEGUN)
    assert (left.number, left.host, left.state) == (2, "kvm1", AttemptState.OWED)
    assert [(one.host, one.memory, one.disk) for one in attempt.claims] == [
        ("kvm2", one.memory, one.disk) for one in before.claims
    ]
    assert [len(stage.sql.claims(host)) for host in ("kvm1", "kvm2")] == [1, 1]
    assert [one.mac for one in attempt.nics] == [one.mac for one in before.nics]
    assert [one.scope for one in attempt.nics] == ["nat@kvm2", "lan"]
    assert stage.sql.addresses("nat@kvm1") == frozenset(before.nics[0].addresses)
    assert stage.sql.addresses("nat@kvm2") == frozenset(before.nics[0].addresses)
    assert told(stage) == [("host", "kvm1", "kvm2")]


def test_one_that_was_moved_can_be_deleted_where_it_is(stage: Stage) -> None:
    by_hand.move(stage.fleet, "kvm1", "kvm2", SPEC.id)

    delete_server(stage.recovery, look(stage))

    assert SPEC.id not in stage.fleet.picture("kvm2")["machines"]
    assert stage.sql.claims("kvm2") == ()


def test_one_on_two_hosts_is_not_deleted(stage: Stage) -> None:
    by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id)
    server = stage.sql.server(SPEC.id)
    at = stage.fleet.now()
    stage.sql.observe([Observation(server=SPEC.id, host="kvm1", at=at, also=("kvm2",))])

    with pytest.raises(Conflict, match="stands on kvm1 and on kvm2"):
        delete_server(stage.recovery, server)
    stage.fleet.set_down("kvm1", down=True)
    with pytest.raises(Conflict, match="stands on kvm1 and on kvm2"):
        delete_server(stage.recovery, server)

    assert stage.sql.server(SPEC.id).deleted is None


def test_one_that_was_moved_back_is_where_it_was(stage: Stage) -> None:
    before = stage.sql.attempts(SPEC.id)
    by_hand.move(stage.fleet, "kvm1", "kvm2", SPEC.id)
    look(stage)
    by_hand.move(stage.fleet, "kvm2", "kvm1", SPEC.id)

    look(stage)

    after = stage.sql.attempts(SPEC.id)
    assert [(one.host, one.nics, one.plan) for one in after[:1]] == [
        (one.host, one.nics, one.plan) for one in before
    ]
    # What it had left there is its own again, and what it left on kvm2 is owed now.
    assert [(one.host, one.state) for one in after[1:]] == [
        ("kvm1", AttemptState.RELEASED),
        ("kvm2", AttemptState.OWED),
    ]
    assert [one.host for one in stage.sql.operations(unfinished=True)] == ["kvm2"]


def test_an_address_that_another_has_on_the_new_host_is_not_taken_from_it(stage: Stage) -> None:
    (before,) = stage.sql.attempts(SPEC.id)
    (address,) = before.nics[0].addresses
    other = replace(SPEC, id=identity("other"), name="other")
    build = a_build(2, "kvm2", other)
    card = replace(build.cards[0], scope="nat@kvm2", addresses=(address,))
    with stage.world.leases.hold("another") as lease:
        new = NewServer(id=other.id, name=other.name, spec=to_plain(other))
        asked = wanted(replace(build, cards=(card,)))
        token = stage.sql.admit(lease, a_new(), new, asked, anything_fits)
    stage.sql.finish(token, OperationState.DONE)
    by_hand.move(stage.fleet, "kvm1", "kvm2", SPEC.id)
    said: list[str] = []

    now(replace(stage.recovery, tell=said.append), stage.sql.server(SPEC.id))

    attempt, _ = stage.sql.attempts(SPEC.id)
    assert [one.addresses for one in attempt.nics] == [(), before.nics[1].addresses]
    assert said == [f"{SPEC.name}: its address {address} is another server's on kvm2"]


def test_one_that_nobody_can_say_is_nowhere_is_not_acted_on(stage: Stage) -> None:
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    was = by_hand.undefine(stage.fleet, "kvm1", SPEC.id)
    stage.fleet.set_down("kvm3", down=True)

    with pytest.raises(HostError, match="may be on kvm3") as raised:
        look(stage)

    assert "kvm3 did not answer" in raised.value.message
    assert stage.sql.server(SPEC.id).state is ServerState.ACTIVE
    assert status(stage) == UNKNOWN
    stage.fleet.set_down("kvm3", down=False)
    by_hand.define(stage.fleet, "kvm3", SPEC.id, was)
    assert look(stage).host == "kvm3"
    assert status(stage) == "SHUTOFF"


@pytest.mark.parametrize("on", [True, False], ids=["running", "defined"])
def test_one_that_is_on_two_hosts_is_refused_until_it_is_on_one(stage: Stage, on: bool) -> None:
    by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id, on=on)
    was = by_hand.undefine(stage.fleet, "kvm1", SPEC.id)
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    with stage.fleet.state("kvm1") as state:
        del state["machines"][SPEC.id]
    by_hand.copy_to(stage.fleet, "kvm2", "kvm3", SPEC.id, on=on)

    with pytest.raises(Conflict, match="stands on kvm2 and on kvm3"):
        look(stage)

    assert stage.sql.server(SPEC.id).also == ("kvm2", "kvm3")
    by_hand.define(stage.fleet, "kvm1", SPEC.id, was, persistent=True, on=on)
    with pytest.raises(Conflict, match="stands on kvm1 and on kvm2 and on kvm3"):
        look(stage)
    for host in ("kvm3", "kvm2"):
        with pytest.raises(Conflict, match=host):
            look(stage)
        by_hand.switch_off(stage.fleet, host, SPEC.id)
        by_hand.undefine(stage.fleet, host, SPEC.id)
    assert (look(stage).host, look(stage).also) == ("kvm1", ())
    assert told(stage)[-1] == ("also on", "kvm2", "none")
    refuse_doubled(stage.sql.server(SPEC.id))


def test_a_second_host_that_falls_silent_keeps_the_server_refused(stage: Stage) -> None:
    by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id)
    with stage.fleet.state("kvm1") as state:
        was = state["machines"].pop(SPEC.id)
    by_hand.copy_to(stage.fleet, "kvm2", "kvm3", SPEC.id)
    with pytest.raises(Conflict):
        look(stage)
    with stage.fleet.state("kvm1") as state:
        state["machines"][SPEC.id] = was
    with stage.fleet.state("kvm3") as state:
        del state["machines"][SPEC.id]
    stage.fleet.set_down("kvm2", down=True)

    with pytest.raises(Conflict, match="stands on kvm1 and on kvm2:"):
        look(stage)


def test_what_a_given_up_attempt_left_elsewhere_is_no_second_place(tmp_path: Path) -> None:
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as stage:
        stage.fleet.sleep(time.time() + 60)
        fall_silent = {
            "kvm1 define after": lambda: stage.fleet.set_down("kvm1", down=True),
        }
        stage.fleet.on_effect = lambda call: fall_silent.get(call, lambda: None)()
        create(stage)
        stage.fleet.set_down("kvm1", down=False)
        assert SPEC.id in stage.fleet.picture("kvm1")["machines"]
        assert (look(stage).host, look(stage).also) == ("kvm2", ())
        with stage.fleet.state("kvm2") as state:
            del state["machines"][SPEC.id]

        lost = look(stage)

        assert (lost.host, lost.state, lost.also) == ("kvm2", ServerState.ERROR, ())


def test_a_domain_that_bears_its_id_and_is_not_it_is_not_followed(stage: Stage) -> None:
    by_hand.move(stage.fleet, "kvm1", "kvm2", SPEC.id)
    with by_hand.machine(stage.fleet, "kvm2", SPEC.id) as found:
        found["xml"] = found["xml"].replace(find_record(found["xml"]), "")

    with pytest.raises(Conflict, match="on kvm2 does not say that it is this server"):
        look(stage)

    assert stage.sql.server(SPEC.id).host == "kvm1"
    assert status(stage) == UNKNOWN


def test_what_another_database_took_over_is_not_ours_to_act_on(stage: Stage) -> None:
    with by_hand.machine(stage.fleet, "kvm1", SPEC.id) as found:
        found["xml"] = found["xml"].replace(stage.sql.uuid(), "another")

    with pytest.raises(Conflict, match="names another"):
        look(stage)


def test_one_that_was_renamed_is_called_so(stage: Stage) -> None:
    by_hand.rename(stage.fleet, "kvm1", SPEC.id, "db")

    server = look(stage)

    assert (server.name, server.spec["name"]) == ("db", "db")
    assert stage.sql.attempts(SPEC.id)[-1].plan["name"] == "db"
    assert told(stage) == [("name", SPEC.name, "db")]
    by_hand.rename(stage.fleet, "kvm1", SPEC.id, SPEC.name)
    assert look(stage).name == SPEC.name


def test_one_whose_domain_is_to_follow_is_not_called_back(stage: Stage) -> None:
    token = begin(stage.sql, stage.world.leases, "some-rename", SPEC.id)
    stage.sql.finish(token, OperationState.DONE)
    with stage.sql.writing() as tx:
        tx.connection.exec_driver_sql("UPDATE servers SET name = 'new'")

    assert look(stage).name == "new"
    assert told(stage) == []


@pytest.mark.parametrize(
    ("name", "said"),
    [("other", "another server's name"), ("no name", "is no server name")],
)
def test_a_name_that_it_cannot_have_is_told(stage: Stage, name: str, said: str) -> None:
    other = replace(SPEC, id=identity("other"), name="other")
    with stage.world.leases.hold("another") as lease:
        new = NewServer(id=other.id, name=other.name)
        asked = wanted(replace(a_build(9, "kvm3", other), cards=()))
        stage.sql.admit(lease, a_new(), new, asked, anything_fits)
    by_hand.rename(stage.fleet, "kvm1", SPEC.id, name)
    words: list[str] = []

    now(replace(stage.recovery, tell=words.append), stage.sql.server(SPEC.id))

    assert stage.sql.server(SPEC.id).name == SPEC.name
    assert [said in one for one in words] == [True]


def test_the_way_on_goes_from_where_it_is_now(stage: Stage) -> None:
    by_hand.move(stage.fleet, "kvm1", "kvm2", SPEC.id)

    attempt, host = standing(stage.recovery, look(stage))

    assert (attempt.host, host.name) == ("kvm2", "kvm2")
    assert stage.sql.events(server=SPEC.id)[-1].actor == ACTOR
    stand(stage.fleet, stage.hosts["kvm3"], "bystander", a_card(7))
    assert look(stage).host == "kvm2"
