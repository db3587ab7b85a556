"""One pass of what has to be looked after, on hosts that are folders and a real database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support import by_hand
from tests.support.changed import TELLING, change, on_host, spec
from tests.support.fake_parts import FakeCache
from tests.support.looked import HOSTS
from tests.support.servers import DIGEST
from tests.support.stage import CREATION, SPEC, Stage, a_stage, create, on_stage
from tests.support.stood import THEIRS, a_card, identity, stand
from vmctl.domain.build import READY_SUFFIX
from vmctl.domain.fleet_record import FleetRecord, room_of
from vmctl.domain.host import Host
from vmctl.domain.inventory import Inventory
from vmctl.domain.operation import OperationState
from vmctl.domain.record import AttemptState, ServerState
from vmctl.domain.resources import Resources
from vmctl.domain.sample import BASE_IMAGE_PREFIX
from vmctl.domain.server_line import line_of
from vmctl.domain.sight import Sight
from vmctl.errors import AtWork, Conflict
from vmctl.sagas import CREATE
from vmctl.services.delete import delete_server
from vmctl.services.fleet import fleet_of
from vmctl.services.hosts import views
from vmctl.services.reaping import reap
from vmctl.services.syncing import LEASE, Finding, Sync


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as opened:
        opened.fleet.sleep(time.time() + 60)  # what is seen is newer than what is on record
        yield opened


def sync(stage: Stage, **more: Any) -> list[Finding]:
    stage.fleet.sleep(1)
    return Sync(
        recovery=stage.recovery,
        cache=FakeCache(stage.fleet),
        lines=lambda: map(line_of, stage.sql.servers()),
        **more,
    ).run()


def said(found: list[Finding]) -> list[tuple[str, str, str | None]]:
    return [(one.task, one.result, one.host) for one in found]


def pictures(stage: Stage) -> dict[str, Any]:
    return {name: stage.fleet.picture(name) for name in HOSTS}


def die(_: object) -> None:
    raise KeyboardInterrupt


def test_where_all_is_well_nothing_is_found_and_nothing_is_written_down(stage: Stage) -> None:
    create(stage)
    before, events = pictures(stage), stage.sql.events()

    assert sync(stage, fix=True) == []

    assert (pictures(stage), stage.sql.events()) == (before, events)
    assert stage.sql.host("kvm3").seen is not None


def test_the_record_follows_and_what_turned_is_told(stage: Stage) -> None:
    create(stage)
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)

    (found,) = sync(stage)

    assert said([found]) == [("servers", "done", "kvm1")]
    assert found.turn is not None
    assert found.turn.after == "stopped"
    assert stage.sql.events()[-1].action == "sync"
    assert sync(stage) == []


def test_what_stands_on_two_hosts_is_left(stage: Stage) -> None:
    create(stage)
    by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id)

    assert [one.result for one in sync(stage, fix=True)] == ["done", "left"]
    assert [one.result for one in sync(stage, fix=True)] == ["left"]


def test_what_is_owed_is_paid_where_the_host_answers(stage: Stage) -> None:
    create(stage)
    stage.fleet.set_down("kvm1", down=True)
    delete_server(stage.recovery, stage.sql.server(SPEC.id))

    silent = sync(stage)
    stage.fleet.set_down("kvm1", down=False)
    paid = sync(stage)

    assert said(silent) == [("hosts", "failed", "kvm1"), ("owed", "left", "kvm1")]
    assert said(paid) == [("owed", "done", "kvm1")]
    assert stage.sql.claims() == ()
    assert SPEC.id not in stage.fleet.picture("kvm1")["machines"]


def test_a_host_that_answers_again_is_told_what_it_is_owed_to_know(stage: Stage) -> None:
    create(stage)
    stage.fleet.set_down("kvm1", down=True)
    assert change(stage, TELLING).owed == "kvm1"

    silent = sync(stage)
    stage.fleet.set_down("kvm1", down=False)
    told = sync(stage)

    assert said(silent) == [("hosts", "failed", "kvm1"), ("owed", "left", "kvm1")]
    assert said(told) == [("owed", "done", "kvm1")]
    assert on_host(stage).spec == spec(stage)
    assert sync(stage) == []


def killed(stage: Stage) -> None:
    steps = tuple(
        replace(one, do=die) if one.name == CREATE.steps[2].name else one for one in CREATE.steps
    )
    with pytest.raises(KeyboardInterrupt):
        create(stage, saga=replace(CREATE, steps=steps))


def test_what_the_dead_left_half_done_is_told_and_ended_on_request(stage: Stage) -> None:
    killed(stage)

    told = sync(stage)
    assert said(told) == [("operations", "left", "kvm1")]
    assert f"vmctl operation resume {CREATION}" in told[0].words
    assert stage.sql.operation(CREATION).state is OperationState.RUNNING
    fixed = sync(stage, fix=True)

    assert said(fixed) == [("operations", "done", "kvm1")]
    assert stage.sql.operation(CREATION).state is OperationState.DONE
    assert stage.sql.server(SPEC.id).state is ServerState.ACTIVE


def test_what_a_living_owner_is_at_is_left_to_it(stage: Stage) -> None:
    killed(stage)

    with stage.world.leases.hold(CREATION):
        assert sync(stage, fix=True) == []


def test_an_owner_that_lives_and_is_long_at_it_is_told_and_left_to_it(stage: Stage) -> None:
    killed(stage)
    before = stage.sql.operation(CREATION)

    with stage.world.leases.hold(CREATION):
        stage.fleet.sleep(7200)
        assert sync(stage, hung=9000) == []
        (found,) = sync(stage, fix=True, hung=3600)

    assert said([found]) == [("operations", "left", "kvm1")]
    assert f"{before.owner} has been at it for 2 h" in found.words
    assert stage.sql.operation(CREATION) == before


def test_a_server_that_was_given_more_by_hand_is_told_and_counts_as_it_is(stage: Stage) -> None:
    create(stage)
    host = stage.hosts["kvm1"]
    before = used(stage, host)
    with by_hand.machine(stage.fleet, "kvm1", SPEC.id) as found:
        for size, other in (("<vcpu>2<", "<vcpu>6<"), (f">{512 * 1024}<", f">{3584 * 1024}<")):
            assert size in found["xml"]
            found["xml"] = found["xml"].replace(size, other)

    (grown,) = sync(stage)

    assert said([grown]) == [("servers", "left", "kvm1")]
    assert "6 vCPUs and 3584 MiB" in grown.words
    assert "2 and 512" in grown.words
    assert "server reboot --hard" in grown.words
    after = used(stage, host)
    assert (after.vcpus - before.vcpus, after.memory - before.memory) == (4, 3072)
    assert after.disk == before.disk


def used(stage: Stage, host: Host) -> Resources:
    """What is taken of a host, by its record and by what is placed on it."""
    record = stage.sql.host(host.name)
    claims = stage.sql.claims(host.name)
    claimed = {host.name: {one.server for one in claims}}
    (view,) = views([host], {host.name: record}, claimed, stage.world.clock())
    rooms = tuple(map(room_of, claims))
    fleet = FleetRecord(hosts={host.name: record}, claims=rooms)
    (state,) = fleet_of(
        Inventory(path="", hosts={host.name: host}), fleet, stage.world.clock()
    ).hosts
    assert state.taken == view.usage.taken
    return state.taken


def test_what_was_kept_to_be_looked_at_is_kept(stage: Stage) -> None:
    def fail(_: object) -> None:
        raise AtWork("no")

    steps = tuple(
        replace(one, do=fail) if one.name == CREATE.steps[2].name else one for one in CREATE.steps
    )
    create(stage, saga=replace(CREATE, steps=steps), keep=True)
    before = pictures(stage)

    (found,) = sync(stage, fix=True)

    assert (found.task, found.result) == ("operations", "left")
    assert f"vmctl operation unwind {CREATION}" in found.words
    assert pictures(stage) == before


def test_a_deleted_server_that_is_there_is_told_and_reaped_on_request(stage: Stage) -> None:
    before = pictures(stage)
    create(stage)
    was = stage.fleet.picture("kvm1")
    delete_server(stage.recovery, stage.sql.server(SPEC.id))
    with stage.fleet.state("kvm1") as state:
        state.update(was)

    assert said(sync(stage)) == [("domains", "left", "kvm1")]
    assert SPEC.id in stage.fleet.picture("kvm1")["machines"]
    (fixed,) = sync(stage, fix=True)

    assert (fixed.task, fixed.result, fixed.server) == ("domains", "done", SPEC.name)
    after = pictures(stage)
    for kind in ("machines", "filters", "networks"):
        assert after["kvm1"][kind] == before["kvm1"][kind], kind
    assert all(SPEC.id not in one for one in after["kvm1"]["pools"]["default"]["volumes"])
    assert [one.action for one in stage.sql.events(server=SPEC.id)][-1] == "server-reap"
    assert sync(stage, fix=True) == []


@pytest.mark.parametrize("how", ["another's", "on record", "torn"])
def test_what_is_not_what_it_was_taken_for_is_not_reaped(stage: Stage, how: str) -> None:
    create(stage)
    was = stage.fleet.picture("kvm1")
    if how != "on record":
        delete_server(stage.recovery, stage.sql.server(SPEC.id))
        with stage.fleet.state("kvm1") as state:
            state.update(was)
    machine = stage.fleet.on(stage.hosts["kvm1"]).machine(SPEC.id)
    assert machine is not None
    sight = Sight(host="kvm1", at=stage.fleet.now(), machine=machine)
    if how == "another's":
        with by_hand.machine(stage.fleet, "kvm1", SPEC.id) as found:
            found["xml"] = found["xml"].replace(stage.sql.uuid(), THEIRS)
    elif how == "torn":
        sight = replace(sight, machine=replace(machine, record="<torn/>"))
    before = pictures(stage)

    with pytest.raises(Conflict, match="kvm1"):
        reap(stage.recovery, sight)

    assert pictures(stage) == before
    assert "server-reap" not in [one.action for one in stage.sql.events()]


def test_nobody_elses_domain_is_taken_away(stage: Stage) -> None:
    stand(stage.fleet, stage.hosts["kvm2"], "theirs", a_card(1), owner=THEIRS)
    stand(stage.fleet, stage.hosts["kvm2"], "unknown", a_card(2), owner=stage.sql.uuid())
    before = pictures(stage)

    found = sync(stage, fix=True)

    assert {(one.task, one.result, one.server) for one in found} == {
        ("domains", "left", "unknown"),
        ("domains", "told", None),
    }
    assert pictures(stage) == before
    assert identity("theirs") in stage.fleet.picture("kvm2")["machines"]


def base(stage: Stage, host: str, digest: str, since: float) -> None:
    with stage.fleet.state(host) as state:
        name = f"{BASE_IMAGE_PREFIX}{digest}"
        volumes = state["pools"]["default"]["volumes"]
        volumes[name] = {"size": 1, "format": "raw", "since": since}
        volumes[name + READY_SUFFIX] = {"size": 0, "format": "raw"}


def test_a_base_image_that_nothing_has_needed_for_long_goes_on_request(stage: Stage) -> None:
    now = stage.fleet.now()
    base(stage, "kvm2", "ab" * 32, now - 90_000)
    base(stage, "kvm2", "cd" * 32, now - 80_000)

    told = sync(stage)
    assert said(told) == [("images", "left", "kvm2")]
    assert "ab" * 32 in told[0].words
    fixed = sync(stage, fix=True)

    assert said(fixed) == [("images", "done", "kvm2")]
    left = stage.fleet.picture("kvm2")["pools"]["default"]["volumes"]
    assert f"{BASE_IMAGE_PREFIX}{'ab' * 32}" not in left
    assert f"{BASE_IMAGE_PREFIX}{'cd' * 32}" in left
    assert said(sync(stage, fix=True, older=60)) == [("images", "done", "kvm2")]


def test_an_old_base_image_stays_as_long_as_it_was_needed_of_late(stage: Stage) -> None:
    create(stage)
    name = f"{BASE_IMAGE_PREFIX}{DIGEST}"
    with stage.fleet.state("kvm1") as state:
        state["pools"]["default"]["volumes"][name]["since"] = 5.0
    assert sync(stage, fix=True) == []
    delete_server(stage.recovery, stage.sql.server(SPEC.id))
    (attempt,) = stage.sql.attempts(SPEC.id)
    assert attempt.state is AttemptState.RELEASED

    assert sync(stage, fix=True) == []
    stage.fleet.sleep(90_000)

    assert said(sync(stage, fix=True)) == [("images", "done", "kvm1")]


def test_a_dead_host_is_told_and_does_not_keep_the_others_from_being_looked_after(
    stage: Stage,
) -> None:
    base(stage, "kvm2", "ab" * 32, 0.0)
    base(stage, "kvm3", "ab" * 32, 0.0)
    stage.fleet.set_down("kvm2", down=True)

    found = said(sync(stage, fix=True))

    assert found == [("hosts", "failed", "kvm2"), ("images", "done", "kvm3")]


def test_two_at_once_do_not_collide(stage: Stage) -> None:
    create(stage)
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)

    with (
        stage.world.leases.hold(LEASE, owner="eve@desk (process 7)"),
        pytest.raises(AtWork, match=r"eve@desk \(process 7\) is at it just now") as raised,
    ):
        sync(stage)

    assert raised.value.exit_code == 17
    assert stage.sql.server(SPEC.id).state is ServerState.ACTIVE
    assert said(sync(stage)) == [("servers", "done", "kvm1")]
