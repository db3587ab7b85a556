"""The record made anew from hosts that are folders, into a real database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import by_hand
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.stood import OURS, THEIRS, a_card, identity, stand
from tests.support.stores import ACTOR
from tests.support.verdict import judge
from vmctl.adapters.server_record import find_record
from vmctl.domain.record import AttemptState, Power, ServerState
from vmctl.domain.server_record import from_xml
from vmctl.errors import Conflict, NotFound
from vmctl.services.believing import now
from vmctl.services.delete import delete_server
from vmctl.services.rebuilding import Fate, Rebuilt, rebuild


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path)
    with on_stage(tmp_path) as opened:
        yield opened


def run(stage: Stage, *adopt: str, dry_run: bool = False) -> Rebuilt:
    hosts = list(stage.hosts.values())
    return rebuild(hosts, stage.world, actor=ACTOR, adopt=adopt, dry_run=dry_run)


def fates(done: Rebuilt) -> dict[tuple[str, str], Fate]:
    return {(one.standing.machine.name, one.standing.host.name): one.fate for one in done.told}


def owner_of(stage: Stage, name: str, host: str) -> str:
    xml = stage.fleet.picture(host)["machines"][identity(name)]["xml"]
    return from_xml(find_record(xml) or "").owner


def lose(stage: Stage) -> None:
    """Lose the database, as if its disk had died."""
    stage.sql.close()
    for file in stage.folder.glob("state.db*"):
        file.unlink()


def at_rest(stage: Stage) -> dict[str, Any]:
    return {host: stage.fleet.picture(host) for host in stage.hosts}


def test_a_lost_database_is_as_it_was_and_can_delete_its_servers(tmp_path: Path) -> None:
    a_stage(tmp_path)
    with on_stage(tmp_path) as stage:
        pristine = at_rest(stage)
        create(stage)
        (server,) = stage.sql.servers()
        attempts, uuid = stage.sql.attempts(server.id), stage.sql.uuid()
        lose(stage)

    with on_stage(tmp_path) as stage:
        done = run(stage)
        (again,) = stage.sql.servers()
        assert (done.owner, done.assumed, done.whole) == (uuid, True, True)
        assert stage.sql.uuid() == uuid
        for one in ("id", "name", "host", "attempt", "state", "power", "spec", "nics"):
            assert getattr(again, one) == getattr(server, one), one
        (attempt,) = stage.sql.attempts(server.id)
        assert attempt.state is AttemptState.BEGUN
        assert attempt.plan == attempts[0].plan
        held = [(claim.host, claim.memory, claim.disk) for claim in stage.sql.claims()]
        assert held == [(one.host, one.memory, one.disk) for one in attempts[0].claims]

        delete_server(stage.recovery, again)
        assert judge(stage, pristine) == "gone"


def test_one_that_was_renamed_by_hand_comes_back_as_it_is_called(stage: Stage) -> None:
    create(stage)
    by_hand.rename(stage.fleet, "kvm1", SPEC.id, "db")
    stage.fleet.sleep(time.time() + 60)  # what is seen is newer than what is on record
    now(stage.recovery, stage.sql.server(SPEC.id))

    assert [one.fate for one in run(stage, dry_run=True).told] == [Fate.THERE]
    lose(stage)
    with on_stage(stage.folder) as again:
        run(again)
        (server,) = again.sql.servers()
        assert (server.name, server.spec["name"]) == ("db", "db")
        assert again.sql.attempts(SPEC.id)[0].plan["name"] == "db"


def test_a_second_run_leaves_what_is_on_record_and_finds_what_did_not_answer(
    stage: Stage,
) -> None:
    kvm1, kvm2 = stage.hosts.values()
    stand(stage.fleet, kvm1, "web", a_card(1))
    stand(stage.fleet, kvm2, "db", a_card(2))
    stage.fleet.set_down("kvm2", down=True)

    first = run(stage)
    web = stage.sql.server("web")
    stage.fleet.set_down("kvm2", down=False)
    second = run(stage)

    assert fates(first) == {("web", "kvm1"): Fate.BACK}
    assert (list(first.failures), first.whole) == (["kvm2"], False)
    assert fates(second) == {("web", "kvm1"): Fate.THERE, ("db", "kvm2"): Fate.BACK}
    assert second.whole
    assert stage.sql.server("web") == web
    assert [one.action for one in stage.sql.events(server="db")] == ["db-rebuild"]


def test_a_dry_run_tells_the_same_and_writes_nothing(stage: Stage) -> None:
    stand(stage.fleet, stage.hosts["kvm1"], "web", a_card(1))
    before = stage.sql.uuid()

    dry = run(stage, dry_run=True)

    assert (stage.sql.servers(), stage.sql.claims(), stage.sql.events()) == ((), (), ())
    assert (stage.sql.uuid(), dry.owner) == (before, OURS)
    assert [(one.fate, one.reason) for one in dry.told] == [
        (one.fate, one.reason) for one in run(stage).told
    ]


@pytest.mark.parametrize(
    ("name", "mac", "address", "said"),
    [
        ("web", 2, 2, "its name web is that of"),
        ("db", 1, 2, "the MAC 52:54:00:00:00:01 is that of"),
        ("db", 2, 1, "the address 198.51.100.1 on lan is that of"),
    ],
    ids=["name", "mac", "address"],
)
def test_what_two_servers_have_in_common_is_told_of_both_and_neither_is_chosen(
    stage: Stage, name: str, mac: int, address: int, said: str
) -> None:
    kvm1, kvm2 = stage.hosts.values()
    card = replace(a_card(mac), addresses=a_card(address).addresses)
    stand(stage.fleet, kvm1, "web", a_card(1))
    stand(stage.fleet, kvm2, name, card, id=identity("other"))
    stand(stage.fleet, stage.hosts["kvm1"], "bystander", a_card(9))

    done = run(stage)

    conflicts = [one for one in done.told if one.fate is Fate.CONFLICT]
    assert len(conflicts) == 2
    for one in conflicts:
        assert said in (one.reason or "")
        other = "kvm2" if one.standing.host.name == "kvm1" else "kvm1"
        assert f"on {other}" in (one.reason or "")
    assert [one.name for one in stage.sql.servers()] == ["bystander"]
    assert not done.whole


def test_a_server_that_stands_on_two_hosts_is_on_neither(stage: Stage) -> None:
    kvm1, kvm2 = stage.hosts.values()
    stand(stage.fleet, kvm1, "web", a_card(1), on=False)
    stand(stage.fleet, kvm2, "web", a_card(2), number=2)

    done = run(stage)

    where = "it stands on kvm1 (attempt 1, shutdown) and on kvm2 (attempt 2, running)"
    assert [(one.fate, one.reason) for one in done.told] == [(Fate.CONFLICT, where)] * 2
    assert stage.sql.servers() == ()


def test_a_server_that_is_on_record_stays_so_whatever_else_bears_its_id(stage: Stage) -> None:
    kvm1, kvm2 = stage.hosts.values()
    stand(stage.fleet, kvm1, "web", a_card(1))
    run(stage)
    stand(stage.fleet, kvm2, "web", a_card(2), number=2)

    done = run(stage)

    assert fates(done) == {("web", "kvm1"): Fate.THERE, ("web", "kvm2"): Fate.CONFLICT}
    assert "its host on record is kvm1" in str([one.reason for one in done.told])


def test_what_is_on_record_as_deleted_is_told(stage: Stage) -> None:
    create(stage)
    server = stage.sql.server("web-1")
    kept = stage.fleet.picture("kvm1")["machines"][server.id]
    delete_server(stage.recovery, server)
    with stage.fleet.state("kvm1") as state:
        state["machines"][server.id] = kept

    (told,) = run(stage).told

    assert told.fate is Fate.CONFLICT
    assert "it is on record as deleted" in (told.reason or "")


def test_databases_that_are_both_named_are_not_guessed_between(stage: Stage) -> None:
    kvm1, kvm2 = stage.hosts.values()
    stand(stage.fleet, kvm1, "web", a_card(1))
    stand(stage.fleet, kvm2, "db", a_card(2), owner=THEIRS)
    before = stage.sql.uuid()

    with pytest.raises(Conflict, match=f"2 databases.*{OURS} \\(1\\), {THEIRS} \\(1\\)") as told:
        run(stage)
    dry = run(stage, dry_run=True)

    assert "--adopt-owner" in (told.value.hint or "")
    assert set(fates(dry).values()) == {Fate.ANOTHERS}
    assert (stage.sql.uuid(), stage.sql.servers()) == (before, ())


def test_the_one_that_is_said_to_be_ours_is_taken_and_the_others_stay_theirs(
    stage: Stage,
) -> None:
    kvm1, kvm2 = stage.hosts.values()
    stand(stage.fleet, kvm1, "web", a_card(1))
    stand(stage.fleet, kvm2, "db", a_card(2), owner=THEIRS)

    done = run(stage, OURS)
    again = run(stage)

    assert stage.sql.uuid() == OURS
    assert fates(done) == {("web", "kvm1"): Fate.BACK, ("db", "kvm2"): Fate.ANOTHERS}
    assert fates(again) == {("web", "kvm1"): Fate.THERE, ("db", "kvm2"): Fate.ANOTHERS}
    assert done.whole
    assert owner_of(stage, "db", "kvm2") == THEIRS


def test_an_owner_that_nobody_names_is_not_taken(stage: Stage) -> None:
    stand(stage.fleet, stage.hosts["kvm1"], "web", a_card(1))
    before = stage.sql.uuid()

    with pytest.raises(NotFound):
        run(stage, THEIRS)

    assert stage.sql.uuid() == before


def test_a_database_with_servers_never_becomes_another_one(stage: Stage) -> None:
    create(stage)
    before = stage.sql.uuid()
    stand(stage.fleet, stage.hosts["kvm2"], "db", a_card(2), owner=THEIRS)
    stage.fleet.set_down("kvm1", down=True)

    done = run(stage)

    assert (stage.sql.uuid(), done.assumed) == (before, False)
    assert fates(done) == {("db", "kvm2"): Fate.ANOTHERS}


def test_adopted_servers_name_this_database_and_can_be_deleted(stage: Stage) -> None:
    create(stage)
    before = at_rest(stage)
    stand(stage.fleet, stage.hosts["kvm2"], "db", a_card(2), owner=THEIRS)

    done = run(stage, THEIRS)
    again = run(stage, THEIRS)

    assert fates(done)["db", "kvm2"] is Fate.BACK
    assert set(fates(again).values()) == {Fate.THERE}
    assert owner_of(stage, "db", "kvm2") == stage.sql.uuid()
    delete_server(stage.recovery, stage.sql.server("db"))
    assert at_rest(stage)["kvm2"]["machines"] == before["kvm2"]["machines"]


def test_an_adoption_that_was_cut_short_is_told_and_ended_by_the_next(stage: Stage) -> None:
    create(stage)
    stand(stage.fleet, stage.hosts["kvm2"], "db", a_card(2), owner=THEIRS)
    stage.fleet.lose = lambda call: "late" if call == "kvm2 record" else ""
    cut = run(stage, THEIRS)
    stage.fleet.lose = lambda _: ""

    without = run(stage)
    ended = run(stage, THEIRS)

    assert fates(cut)["db", "kvm2"] is Fate.CONFLICT
    assert fates(without)["db", "kvm2"] is Fate.CONFLICT
    assert f"names the database {THEIRS}" in str([one.reason for one in without.told])
    assert fates(ended)["db", "kvm2"] is Fate.THERE
    assert owner_of(stage, "db", "kvm2") == stage.sql.uuid()


def test_a_domain_that_became_another_in_the_meantime_is_not_taken_over(stage: Stage) -> None:
    create(stage)
    kvm2 = stage.hosts["kvm2"]
    stand(stage.fleet, kvm2, "db", a_card(2), owner=THEIRS)

    def meanwhile(moment: str) -> None:
        if moment == "kvm2 lease taken":
            stage.fleet.on_effect = lambda _: None
            stand(stage.fleet, kvm2, "db", a_card(2), owner=THEIRS, number=2, disks=False)

    stage.fleet.on_effect = meanwhile
    done = run(stage, THEIRS)

    assert fates(done)["db", "kvm2"] is Fate.CONFLICT
    assert owner_of(stage, "db", "kvm2") == THEIRS


def test_a_record_that_is_no_record_is_told_and_never_brought_back(stage: Stage) -> None:
    kvm1 = stage.hosts["kvm1"]
    stand(stage.fleet, kvm1, "web", a_card(1))
    stand(stage.fleet, kvm1, "junk", replace(a_card(2), addresses=("nowhere",)))
    spec = stand(stage.fleet, kvm1, "newer", a_card(3))
    with stage.fleet.state("kvm1") as state:
        newer = state["machines"][spec.id]
        newer["xml"] = newer["xml"].replace('version="1"', 'version="99"')
        copy = state["machines"][identity("web")] | {"name": "copy"}
        state["machines"][identity("copy")] = copy

    done = run(stage)

    told = {one.standing.machine.name: one for one in done.told}
    assert {name: one.fate for name, one in told.items()} == {
        "web": Fate.BACK,
        "junk": Fate.UNREADABLE,
        "newer": Fate.UNREADABLE,
        "copy": Fate.UNREADABLE,
    }
    assert "version 99" in (told["newer"].reason or "")
    assert f"has the record of server {identity('web')}" in (told["copy"].reason or "")


@pytest.mark.parametrize(
    ("on", "disks", "state", "fault"),
    [
        (True, True, ServerState.ACTIVE, False),
        (False, True, ServerState.STOPPED, False),
        (False, False, ServerState.ERROR, True),
    ],
    ids=["runs", "off", "never made"],
)
def test_its_state_follows_from_its_power_and_its_disks(
    stage: Stage, *, on: bool, disks: bool, state: ServerState, fault: bool
) -> None:
    stand(stage.fleet, stage.hosts["kvm1"], "web", a_card(1), on=on, disks=disks)

    (told,) = run(stage).told

    server = stage.sql.server("web")
    assert (server.state, bool(server.fault)) == (state, fault)
    assert server.power is (Power.RUNNING if on else Power.SHUTDOWN)
    assert ("-root" in (told.reason or "")) is fault
    assert server.launched == (None if fault else server.created)


def test_a_host_that_is_called_otherwise_now_is_where_its_servers_stand(stage: Stage) -> None:
    kvm1 = stage.hosts["kvm1"]
    card = a_card(1, network="nat", kind="network", source="default", scope="nat@old")
    spec = stand(stage.fleet, replace(kvm1, name="kvm1"), "web", card)
    with stage.fleet.state("kvm1") as state:
        machine = state["machines"][spec.id]
        machine["xml"] = machine["xml"].replace('"host":"kvm1"', '"host":"old"')
        assert '"host":"old"' in machine["xml"]

    run(stage)

    server = stage.sql.server("web")
    assert server.host == "kvm1"
    assert [nic.scope for nic in server.nics] == ["nat@kvm1"]
    assert [claim.host for claim in stage.sql.claims()] == ["kvm1"]
    assert delete_server(stage.recovery, server).owed is None


def test_an_address_of_an_image_that_no_domain_tells_makes_no_conflict(stage: Stage) -> None:
    secret = "https://images.example/mini?token=x"  # noqa: S105 - stands for one
    image = replace(stand(stage.fleet, stage.hosts["kvm2"], "x", on=False).image, url=secret)
    stage.fleet.on(stage.hosts["kvm2"]).ensure_undefined(identity("x"))
    create(stage, spec=replace(SPEC, image=image))

    (told,) = run(stage).told

    assert (told.fate, told.reason) == (Fate.THERE, None)
