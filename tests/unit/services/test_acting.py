"""Deeds on the fake host: what is seen before them, what is in their way, and how they fail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from vmctl.adapters.schema import servers
from vmctl.domain import deed as deeds
from vmctl.domain.deed import Deed
from vmctl.domain.operation import OperationState
from vmctl.domain.record import Power, Server, ServerState, shown_status
from vmctl.errors import Conflict, HostUnreachable, Locked, RemoteFailed
from vmctl.sagas import power
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.services.acting import Errand, act
from vmctl.services.believing import now

DEEDS: dict[str, tuple[Deed, Saga[Work]]] = {
    "start": (deeds.START, power.START),
    "stop": (deeds.STOP, power.STOP),
    "pause": (deeds.PAUSE, power.PAUSE),
    "resume": (deeds.RESUME, power.RESUME),
}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path / "stage")
    with on_stage(tmp_path / "stage") as opened:
        opened.fleet.sleep(time.time() + 60)  # what is seen is newer than what is on record
        create(opened)
        yield opened


def do(stage: Stage, name: str) -> Server:
    deed, saga = DEEDS[name]
    errand = Errand(deed=deed, saga=saga, params={"patience": 60})
    return act(stage.recovery, stage.sql.server(SPEC.id), errand)


def status(stage: Stage) -> str:
    server = stage.sql.server(SPEC.id)
    return shown_status(server.state, server.task)


def on_host(stage: Stage) -> tuple[Power, bool]:
    machine = stage.fleet.on(stage.hosts["kvm1"]).machine(SPEC.id)
    assert machine is not None
    return machine.power, machine.managed_save


def test_what_was_believed_is_looked_at_before_anything_is_done(stage: Stage) -> None:
    stage.fleet.on(stage.hosts["kvm1"]).ensure_off(SPEC.id)
    assert status(stage) == "ACTIVE"

    with pytest.raises(Conflict, match="cannot be paused while it is SHUTOFF"):
        do(stage, "pause")

    assert status(stage) == "SHUTOFF"
    do(stage, "start")
    assert on_host(stage) == (Power.RUNNING, False)


def test_a_memory_that_was_saved_by_hand_is_a_suspended_server(stage: Stage) -> None:
    stage.fleet.on(stage.hosts["kvm1"]).ensure_saved(SPEC.id)

    assert now(stage.recovery, stage.sql.server(SPEC.id)).state is ServerState.SUSPENDED
    do(stage, "resume")
    assert status(stage) == "ACTIVE"


def test_a_host_that_does_not_answer_is_named_and_nothing_is_on_record(stage: Stage) -> None:
    stage.fleet.set_down("kvm1", down=True)

    with pytest.raises(HostUnreachable, match="kvm1"):
        do(stage, "stop")

    assert not stage.sql.operations(unfinished=True)
    assert stage.sql.server(SPEC.id).task is None


def test_a_locked_server_is_left_alone(stage: Stage) -> None:
    with stage.sql.writing() as tx:
        tx.connection.execute(update(servers).values(locked="no hands"))
    with pytest.raises(Locked, match="no hands"):
        do(stage, "stop")


def test_a_start_that_its_host_refuses_leaves_the_server_as_it_is(stage: Stage) -> None:
    do(stage, "stop")
    with stage.fleet.state("kvm1") as state:
        state["filters"].clear()

    with pytest.raises(RemoteFailed, match="cannot start without"):
        do(stage, "start")

    assert status(stage) == "SHUTOFF"
    assert {one.state for one in stage.sql.operations()} >= {OperationState.UNWOUND}
