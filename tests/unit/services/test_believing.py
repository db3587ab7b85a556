"""What a server is found to be before anything is done to it, on hosts that are folders."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import by_hand
from tests.support.looked import HOSTS, look, on_record, status, told
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.stood import identity
from tests.support.stores import a_new, begin
from tests.support.torture_rebuild import rescuing
from vmctl.domain.host_record import Sighting
from vmctl.domain.operation import OperationState
from vmctl.domain.record import Change, NewServer, Power, ServerState
from vmctl.domain.server_line import UNKNOWN
from vmctl.errors import Busy, HostUnreachable, NotFound
from vmctl.services.believing import now
from vmctl.services.hosts import sighting


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as opened:
        opened.fleet.sleep(time.time() + 60)  # what is seen is newer than what is on record
        create(opened)
        yield opened


def nothing(stage: Stage) -> None:
    """Leave it as it is."""


DEEDS: dict[str, tuple[Callable[[Stage], None], ServerState, Power]] = {
    "nothing": (nothing, ServerState.ACTIVE, Power.RUNNING),
    "stopped from inside": (
        lambda stage: by_hand.switch_off(stage.fleet, "kvm1", SPEC.id),
        ServerState.STOPPED,
        Power.SHUTDOWN,
    ),
    "paused": (
        lambda stage: by_hand.pause(stage.fleet, "kvm1", SPEC.id),
        ServerState.PAUSED,
        Power.PAUSED,
    ),
    "saved": (
        lambda stage: by_hand.save(stage.fleet, "kvm1", SPEC.id),
        ServerState.SUSPENDED,
        Power.SHUTDOWN,
    ),
    "crashed": (
        lambda stage: by_hand.crash(stage.fleet, "kvm1", SPEC.id),
        ServerState.STOPPED,
        Power.CRASHED,
    ),
    "undefined while it runs": (
        lambda stage: void(by_hand.undefine(stage.fleet, "kvm1", SPEC.id)),
        ServerState.ACTIVE,
        Power.RUNNING,
    ),
}


def void(_: object) -> None:
    """Take no notice of what came of it."""


@pytest.mark.parametrize("name", DEEDS)
def test_the_record_is_what_the_host_says(stage: Stage, name: str) -> None:
    deed, state, power = DEEDS[name]
    deed(stage)

    server = look(stage)

    assert on_record(stage) == (SPEC.name, "kvm1", state, power)
    assert server == stage.sql.server(SPEC.id)
    turned = [] if state is ServerState.ACTIVE else [("state", "active", state.value)]
    assert told(stage) == turned
    look(stage)
    assert told(stage) == turned


def test_what_was_saved_and_thrown_away_is_off(stage: Stage) -> None:
    by_hand.save(stage.fleet, "kvm1", SPEC.id)
    assert look(stage).state is ServerState.SUSPENDED
    with by_hand.machine(stage.fleet, "kvm1", SPEC.id) as found:
        found["saved"] = False

    assert look(stage).state is ServerState.STOPPED


def test_one_that_failed_stays_so_and_its_power_is_seen(stage: Stage) -> None:
    say(stage, ServerState.ERROR)

    assert (look(stage).state, look(stage).power) == (ServerState.ERROR, Power.RUNNING)
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    assert (look(stage).state, look(stage).power) == (ServerState.ERROR, Power.SHUTDOWN)


def test_whether_one_is_rescued_its_domain_says(stage: Stage) -> None:
    say(stage, ServerState.RESCUED)
    assert look(stage).state is ServerState.ACTIVE

    rescuing()(stage)
    assert (look(stage).state, look(stage).power) == (ServerState.RESCUED, Power.RUNNING)
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    assert (look(stage).state, look(stage).power) == (ServerState.RESCUED, Power.SHUTDOWN)
    say(stage, ServerState.STOPPED)
    assert look(stage).state is ServerState.RESCUED
    assert told(stage)[-1] == ("state", "stopped", "rescued")


def say(stage: Stage, state: ServerState) -> None:
    """Have the record say that it is so, whatever it is."""
    token = begin(stage.sql, stage.world.leases, f"say-{state}", SPEC.id)
    stage.sql.finish(token, OperationState.DONE, change=Change(state=state))


def test_a_domain_that_is_gone_leaves_an_error_until_it_is_seen_again(stage: Stage) -> None:
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    was = by_hand.undefine(stage.fleet, "kvm1", SPEC.id)

    lost = look(stage)

    assert (lost.state, lost.power) == (ServerState.ERROR, Power.NOSTATE)
    assert "its domain is gone from kvm1" in (lost.fault or "")
    assert look(stage).fault == lost.fault
    assert told(stage) == [("state", "active", "error")]
    by_hand.define(stage.fleet, "kvm1", SPEC.id, was, on=True)
    again = look(stage)
    assert (again.state, again.power, again.fault) == (ServerState.ACTIVE, Power.RUNNING, None)
    assert told(stage)[1:] == [("state", "error", "active")]


def test_a_deed_that_could_not_be_done_to_what_is_gone_hides_it_no_longer_than_it_is_gone(
    stage: Stage,
) -> None:
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    was = by_hand.undefine(stage.fleet, "kvm1", SPEC.id)
    look(stage)
    token = begin(stage.sql, stage.world.leases, "some-deed", SPEC.id)
    failed = Change(state=ServerState.ERROR, fault="it is not there")
    stage.sql.finish(token, OperationState.UNWOUND, change=failed)

    by_hand.define(stage.fleet, "kvm1", SPEC.id, was)

    assert look(stage).state is ServerState.STOPPED


def test_what_was_in_error_before_it_was_gone_stays_in_error(stage: Stage) -> None:
    token = begin(stage.sql, stage.world.leases, "some-deed", SPEC.id)
    failed = Change(state=ServerState.ERROR, fault="it broke")
    stage.sql.finish(token, OperationState.DONE, change=failed)
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    was = by_hand.undefine(stage.fleet, "kvm1", SPEC.id)

    assert (look(stage).power, look(stage).fault) == (Power.NOSTATE, "it broke")

    by_hand.define(stage.fleet, "kvm1", SPEC.id, was, on=True)
    again = look(stage)
    assert (again.state, again.power, again.fault) == (
        ServerState.ERROR,
        Power.RUNNING,
        "it broke",
    )


def test_a_host_that_does_not_answer_says_nothing_and_is_named(stage: Stage) -> None:
    before = stage.sql.server(SPEC.id)
    stage.fleet.set_down("kvm1", down=True)

    with pytest.raises(HostUnreachable, match="kvm1"):
        look(stage)

    assert stage.sql.server(SPEC.id) == before


def test_a_host_that_was_down_is_asked_whether_it_is_up(stage: Stage) -> None:
    failed = Sighting(host="kvm1", at=stage.fleet.now(), error="no answer")
    stage.sql.save_samples([failed])
    assert status(stage) == UNKNOWN

    look(stage)

    assert status(stage) == "ACTIVE"


def probe(stage: Stage) -> None:
    """Have a look at its host put on record, as any command may."""
    stage.fleet.sleep(1)
    sample = stage.world.prober.look(stage.hosts["kvm1"], depth="quick", before=None)
    stage.sql.save_samples([sighting("kvm1", sample)])


def test_after_its_host_booted_it_is_unknown_until_it_is_seen(stage: Stage) -> None:
    with by_hand.machine(stage.fleet, "kvm1", SPEC.id) as found:
        found["autostart"] = False
    with stage.fleet.state("kvm1") as state:
        state["boot"] = "first"
    probe(stage)
    look(stage)
    assert status(stage) == "ACTIVE"

    by_hand.reboot_host(stage.fleet, "kvm1", "second")

    assert status(stage) == "ACTIVE"
    probe(stage)
    assert status(stage) == UNKNOWN
    look(stage)
    assert status(stage) == "SHUTOFF"


def test_what_somebody_is_at_is_left_to_them(stage: Stage) -> None:
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    begin(stage.sql, stage.world.leases, "some-deed", SPEC.id)
    before = stage.sql.server(SPEC.id)

    assert look(stage) == before

    with stage.world.leases.hold("mine") as lease, pytest.raises(Busy):
        stage.sql.begin(lease, a_new("server-start", SPEC.id))


def test_what_never_stood_is_not_looked_for(stage: Stage) -> None:
    stage.sql.admit_failed(NewServer(id=identity("x"), name="x"), "no host")
    for host in HOSTS:
        stage.fleet.set_down(host, down=True)

    assert now(stage.recovery, stage.sql.server("x")) == stage.sql.server("x")


def test_a_host_that_was_dropped_from_the_inventory_is_named(stage: Stage) -> None:
    recovery = replace(stage.recovery, hosts={"kvm2": stage.hosts["kvm2"]})

    with pytest.raises(NotFound, match="kvm1, which is not in the inventory"):
        now(recovery, stage.sql.server(SPEC.id))
