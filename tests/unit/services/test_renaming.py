"""Hosts that the inventory calls otherwise than before, on hosts that are folders."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import by_hand
from tests.support.changed import TELLING, change
from tests.support.deeds_done import FORCED
from tests.support.fake_app import on_fakes
from tests.support.looked import HOSTS
from tests.support.stage import CREATION, SPEC, Stage, a_build, a_stage, create, on_stage, wanted
from tests.support.stood import identity
from tests.support.stores import ACTOR, a_new, anything_fits
from tests.support.tables import Killed, dying, failing, stubborn
from vmctl.domain.build import Build
from vmctl.domain.host import Host
from vmctl.domain.operation import OperationState
from vmctl.domain.plain import from_plain, to_plain
from vmctl.domain.record import AttemptState, NewServer
from vmctl.domain.server_line import line_of
from vmctl.errors import Conflict, NotFound
from vmctl.sagas import CREATE
from vmctl.services import hosts
from vmctl.services.believing import now, seen_by
from vmctl.services.delete import delete_server
from vmctl.services.observing import Outlook, Watch
from vmctl.services.recovery import resume
from vmctl.services.retiring import refuse_alive
from vmctl.services.seeking import Eyes

EVERY_UNDO = [one.name for one in CREATE.steps if one.undo]
SAID = "the host kvm1 is called box in the inventory now: on record, too, and its 1 server follows"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as opened:
        opened.fleet.sleep(time.time() + 60)
        for name in opened.hosts:
            with opened.fleet.state(name) as state:
                state.update(identity=f"machine of {name}", boot="first")
        ask(opened)
        yield opened


def ask(stage: Stage) -> None:
    """Look at the hosts."""
    stage.fleet.sleep(1)
    store, world = stage.sql, stage.world
    records = {one.name: one for one in store.hosts()}
    hosts.look(list(stage.hosts.values()), world.prober, records, lambda: store, world.clock)


def call(stage: Stage, before: str, after: str) -> None:
    """Have the inventory call a host otherwise."""
    folder = stage.folder / "hosts"
    (folder / before).rename(folder / after)
    stage.hosts = {
        name: Host(name=name, address=name)
        for name in (after if one == before else one for one in stage.hosts)
    }


def refresh(stage: Stage) -> Outlook:
    stage.fleet.sleep(1)
    watch = Watch(hosts=stage.hosts, eyes=Eyes.of(stage.world), event=seen_by(ACTOR))
    return watch.observe(map(line_of, stage.sql.servers()))


def where(stage: Stage) -> tuple[str | None, str, set[str], frozenset[str], list[str]]:
    """Say where a server, its attempt, claims and addresses are, and of which hosts is a record."""
    attempt = stage.sql.attempts(SPEC.id)[-1]
    return (
        stage.sql.server(SPEC.id).host,
        attempt.host,
        {one.host for one in stage.sql.claims()},
        frozenset(one.scope for one in attempt.nics),
        [one.name for one in stage.sql.hosts()],
    )


BEFORE = ("kvm1", "kvm1", {"kvm1"}, frozenset({"nat@kvm1", "lan"}), ["kvm1", "kvm2", "kvm3"])
AFTER = ("box", "box", {"box"}, frozenset({"nat@box", "lan"}), ["box", "kvm2", "kvm3"])


def test_a_host_with_another_name_has_all_of_its_record_from_the_next_deed_on(
    stage: Stage,
) -> None:
    create(stage)
    call(stage, "kvm1", "box")
    said: list[str] = []

    server = now(replace(stage.recovery, tell=said.append), stage.sql.server(SPEC.id))

    assert (server.host, said) == ("box", [SAID])
    assert where(stage) == AFTER
    held = stage.sql.attempts(SPEC.id)[-1]
    plan = from_plain(Build, held.plan)
    assert plan == a_build(1, "box")
    assert stage.sql.addresses("nat@box") == frozenset(held.nics[0].addresses)
    assert stage.sql.addresses("nat@kvm1") == frozenset()
    (event,) = (one for one in stage.sql.events(host="box") if one.action == "host-rename")
    assert event.detail == {"before": "kvm1", "after": "box", "servers": [SPEC.id]}
    told = [one.detail for one in stage.sql.events(server=SPEC.id) if one.detail.get("what")]
    assert told == [{"what": "host name", "before": "kvm1", "after": "box"}]

    FORCED(stage)
    assert not stage.fleet.picture("box")["machines"][SPEC.id]["on"]
    delete_server(stage.recovery, stage.sql.server(SPEC.id))
    assert SPEC.id not in stage.fleet.picture("box")["machines"]
    assert stage.sql.claims() == ()


def test_any_look_at_its_servers_finds_it(stage: Stage) -> None:
    create(stage)
    call(stage, "kvm1", "box")
    by_hand.switch_off(stage.fleet, "box", SPEC.id)

    seen = refresh(stage)

    assert [one.words for one in seen.turns] == [
        f"{SPEC.name}: its host kvm1 is called box now",
        f"{SPEC.name} on box: ACTIVE -> SHUTOFF",
    ]
    assert seen.notes == (SAID,)
    assert where(stage) == AFTER
    assert refresh(stage).notes == ()


def test_asking_the_hosts_finds_it(stage: Stage) -> None:
    create(stage)
    stage.sql.disable("kvm1", "a new disk", actor=ACTOR)
    call(stage, "kvm1", "box")
    vmctl = on_fakes(stage)

    ran = vmctl.run("host", "list", "--refresh", "-f", "value", "-c", "Host Name")

    assert (ran.out.split(), ran.err.splitlines()) == (["box", "kvm2", "kvm3"], [SAID])
    assert where(stage) == AFTER
    assert (stage.sql.host("box").enabled, stage.sql.host("box").reason) == (False, "a new disk")
    shown = vmctl.data("server", "show", SPEC.name)
    assert (shown["status"], shown["vmctl:host"]) == ("ACTIVE", "box")


@pytest.mark.parametrize("how", ["another machine", "a copy of its disk", "never identified"])
def test_what_is_not_known_to_be_the_same_machine_is_not_followed(stage: Stage, how: str) -> None:
    if how == "never identified":
        with stage.fleet.state("kvm1") as state:
            del state["identity"]
        ask(stage)
    create(stage)
    call(stage, "kvm1", "box")
    with stage.fleet.state("box") as state:
        if how == "another machine":
            state["identity"] = "another"
        elif how == "a copy of its disk":
            del state["machines"][SPEC.id]

    with pytest.raises(NotFound, match="stands on kvm1, which is not in the inventory") as told:
        now(stage.recovery, stage.sql.server(SPEC.id))

    assert "vmctl host list --refresh" in (told.value.hint or "")
    assert where(stage)[:4] == BEFORE[:4]
    assert "kvm1" in {one.name for one in stage.sql.hosts()}


def test_while_somebody_is_at_work_there_its_record_waits_and_what_died_goes_on(
    stage: Stage,
) -> None:
    with suppress(Killed):
        create(stage, saga=dying(CREATE, "seed"))
    call(stage, "kvm1", "box")
    (one,) = stage.sql.operations(unfinished=True)
    assert one.state is OperationState.RUNNING
    with stage.world.leases.hold(CREATION), pytest.raises(Conflict, match="is at work"):
        resume(stage.recovery, one)
    assert where(stage) == (*BEFORE[:4], ["box", *BEFORE[4]])

    resume(stage.recovery, one)

    assert where(stage) == AFTER
    assert stage.sql.server(SPEC.id).state == "active"
    assert stage.sql.operation(one.id).state is OperationState.DONE


def test_what_is_owed_to_it_is_paid_under_its_new_name(stage: Stage) -> None:
    create(stage, saga=stubborn(failing(CREATE, "start", acts=False), EVERY_UNDO))
    held = next(one for one in stage.sql.attempts(SPEC.id) if one.host == "kvm1")
    assert held.state is AttemptState.OWED
    call(stage, "kvm1", "box")
    (one,) = stage.sql.operations(unfinished=True)

    resume(stage.recovery, one)

    assert SPEC.id not in stage.fleet.picture("box")["machines"]
    assert stage.sql.claims("box") == stage.sql.claims("kvm1") == ()
    assert stage.sql.server(SPEC.id).host == "kvm2"


def test_news_that_it_is_owed_reach_it_under_its_new_name(stage: Stage) -> None:
    create(stage)
    stage.fleet.set_down("kvm1", down=True)
    change(stage, TELLING)
    stage.fleet.set_down("kvm1", down=False)
    call(stage, "kvm1", "box")
    (one,) = stage.sql.operations(unfinished=True)
    assert (one.state, one.host) == (OperationState.OWED, "kvm1")

    resume(stage.recovery, one)

    assert stage.sql.operations(unfinished=True) == ()
    machine = stage.fleet.on(stage.hosts["box"]).machine(SPEC.id)
    assert machine is not None
    assert "the shop" in (machine.record or "")


def test_an_address_that_is_held_under_both_names_is_told_and_nothing_is_changed(
    stage: Stage,
) -> None:
    create(stage)
    (address,) = stage.sql.attempts(SPEC.id)[-1].nics[0].addresses
    call(stage, "kvm1", "box")
    other = replace(SPEC, id=identity("other"), name="other")
    build = a_build(2, "box", other)
    card = replace(build.cards[0], addresses=(address,))
    with stage.world.leases.hold("another") as lease:
        new = NewServer(id=other.id, name=other.name, spec=to_plain(other))
        asked = wanted(replace(build, number=1, cards=(card,)))
        token = stage.sql.admit(lease, a_new(), new, asked, anything_fits)
    stage.sql.finish(token, OperationState.DONE)

    seen = refresh(stage)

    assert seen.turns == ()
    (note,) = seen.notes
    assert note == (
        "the host kvm1 is called box in the inventory now, and the record cannot follow: the"
        f" address {address} is held on nat@kvm1 by one server, and on nat@box by another"
    )
    assert stage.sql.server(SPEC.id).host == "kvm1"


def test_one_that_goes_by_another_name_is_not_retired(stage: Stage) -> None:
    create(stage)
    call(stage, "kvm1", "box")
    ask(stage)

    with pytest.raises(Conflict, match="that the inventory calls box now") as told:
        refuse_alive("kvm1", stage.hosts, stage.world.prober, stage.sql)

    assert "vmctl host list --refresh" in (told.value.hint or "")
