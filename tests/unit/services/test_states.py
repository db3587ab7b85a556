"""Every deed in every state, on the fake host: what is permitted, refused, and true afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.built import INVENTORY
from tests.support.stage import SPEC, Stage, a_stage, copy_stage, create, on_stage
from tests.support.states import (
    BY_HAND,
    GONE,
    LEADS,
    LOST,
    NEVER_RAN,
    STATES,
    UNLOCKED,
    event,
    status,
    way_to,
    why_not,
)
from tests.support.stores import ACTOR
from tests.support.tables import failing
from tests.support.torture_rebuild import OTHER, PATIENT, picture
from vmctl.domain import deed as deeds
from vmctl.domain.deed import Deed
from vmctl.domain.edits import Edits
from vmctl.domain.record import Power, ServerState, shown_status
from vmctl.errors import Conflict, Locked
from vmctl.sagas import CREATE, exchange, power
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.scheduler.policy import Policy
from vmctl.services.acting import Errand, act
from vmctl.services.believing import now
from vmctl.services.delete import delete_server
from vmctl.services.exchanging import Rebuilder, to_rescue, to_unrescue
from vmctl.services.judging import Judge
from vmctl.services.makeover import Makeover
from vmctl.services.marking import lock, reset, unlock
from vmctl.services.setting import planned, set_password, set_server

POWER: dict[str, tuple[Deed, Saga[Work]]] = {
    "start": (deeds.START, power.START),
    "stop": (deeds.STOP, power.STOP),
    "reboot": (deeds.REBOOT, power.REBOOT),
    "reboot --hard": (deeds.REBOOT_HARD, power.REBOOT_HARD),
    "pause": (deeds.PAUSE, power.PAUSE),
    "unpause": (deeds.UNPAUSE, power.UNPAUSE),
    "suspend": (deeds.SUSPEND, power.SUSPEND),
    "resume": (deeds.RESUME, power.RESUME),
}
ON_HOST = {
    "ACTIVE": (Power.RUNNING, False),
    "RESCUE": (Power.RUNNING, False),
    "SHUTOFF": (Power.SHUTDOWN, False),
    "PAUSED": (Power.PAUSED, False),
    "SUSPENDED": (Power.SHUTDOWN, True),
}


def _rebuild(stage: Stage) -> None:
    judge = Judge(INVENTORY, Policy(), stage.fleet.now)
    rebuilder = Rebuilder(world=stage.world, inventory=INVENTORY, judge=judge, makeover=Makeover())
    errand = Errand(
        deed=deeds.REBUILD, saga=exchange.REBUILD, params=PATIENT, ready=rebuilder.ready
    )
    act(stage.recovery, stage.sql.server(SPEC.id), errand)


def _rescue(stage: Stage) -> None:
    ready = to_rescue(INVENTORY, OTHER.use, None)
    errand = Errand(deed=deeds.RESCUE, saga=exchange.RESCUE, params=PATIENT, ready=ready)
    act(stage.recovery, stage.sql.server(SPEC.id), errand)


def _unrescue(stage: Stage) -> None:
    ready = to_unrescue(INVENTORY)
    errand = Errand(deed=deeds.UNRESCUE, saga=exchange.UNRESCUE, params=PATIENT, ready=ready)
    act(stage.recovery, stage.sql.server(SPEC.id), errand)


def _set(stage: Stage) -> None:
    plan = planned(stage.sql, stage.sql.server(SPEC.id), Edits(description="the shop"))
    set_server(stage.recovery, plan)


OTHERS: dict[str, Callable[[Stage], object]] = {
    "stop --force": lambda stage: do(stage, "stop", patience=0),
    "rescue": _rescue,
    "unrescue": _unrescue,
    "rebuild": _rebuild,
    "set": _set,
    "set --password": lambda stage: set_password(
        stage.recovery, stage.sql.server(SPEC.id), "correct horse"
    ),
    "lock": lambda stage: lock(stage.sql, stage.sql.server(SPEC.id), ACTOR, "no hands"),
    "unlock": lambda stage: unlock(stage.sql, stage.sql.server(SPEC.id), ACTOR, None),
    "delete": lambda stage: delete_server(stage.recovery, stage.sql.server(SPEC.id)),
}


def do(stage: Stage, name: str, *, patience: float = 60) -> None:
    if name in OTHERS:
        OTHERS[name](stage)
        return
    deed, saga = POWER[name]
    errand = Errand(deed=deed, saga=saga, params={"patience": patience})
    act(stage.recovery, stage.sql.server(SPEC.id), errand)


@pytest.fixture(scope="module")
def entered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A stage for each state, with a server in it."""
    folders = {state: tmp_path_factory.mktemp("entered") / "stage" for state in STATES}
    for state, folder in folders.items():
        a_stage(folder)
        with on_stage(folder) as stage:
            stage.fleet.sleep(time.time() + 60)  # what is seen is newer than what is on record
            enter(stage, state)
    return folders


@pytest.fixture
def stage(entered: dict[str, Path], state: str, tmp_path: Path) -> Iterator[Stage]:
    with on_stage(copy_stage(entered[state], tmp_path / "stage")) as opened:
        yield opened


def enter(stage: Stage, state: str) -> None:
    """Have a server in this state, whose guest has an agent."""
    if state == NEVER_RAN:
        with on_stage(stage.folder) as alone:
            alone.hosts = {"kvm1": alone.hosts["kvm1"]}
            create(alone, saga=failing(CREATE, "disks", acts=False))
        return
    create(stage)
    with stage.fleet.state("kvm1") as hosted:
        machine = hosted["machines"][SPEC.id]
        channel = "<channel type='unix'><target name='org.qemu.guest_agent.0'/></channel>"
        machine["xml"] = machine["xml"].replace("</devices>", f"{channel}</devices>")
        machine["agent"] = "answers"
    way = way_to(state)
    if way is not None:
        do(stage, way)
    server = stage.sql.server(SPEC.id)
    if state == BY_HAND:
        reset(stage.sql, server, ACTOR, None, ServerState.ERROR)
    elif state == LOST:
        stage.fleet.on(stage.hosts["kvm1"]).ensure_undefined(SPEC.id)
        now(stage.recovery, server)


def shown(stage: Stage) -> str:
    server = stage.sql.server(SPEC.id)
    return GONE if server.deleted is not None else shown_status(server.state, server.task)


@pytest.mark.parametrize("name", LEADS)
@pytest.mark.parametrize("state", STATES)
def test_every_deed_in_every_state(stage: Stage, state: str, name: str) -> None:
    after = LEADS[name].get(state)
    there = picture(stage)["hosts"]
    events = stage.sql.events(server=SPEC.id)

    if after is None:
        with pytest.raises(Conflict, match=why_not(state)):
            do(stage, name)
        assert picture(stage)["hosts"] == there
    else:
        do(stage, name)
        said = [(one.action, one.result) for one in stage.sql.events(server=SPEC.id)[len(events) :]]
        assert said.count((event(name), "done")) == (name != "unlock")

    assert shown(stage) == status(after or state)
    machine = stage.fleet.on(stage.hosts["kvm1"]).machine(SPEC.id)
    assert not stage.sql.operations(unfinished=True)
    if after in ON_HOST:
        assert machine is not None
        assert (machine.power, machine.managed_save) == ON_HOST[after]
    elif after == GONE:
        assert machine is None
    elif name in UNLOCKED:
        assert picture(stage)["hosts"] == there


@pytest.mark.parametrize("state", STATES)
def test_a_locked_server_is_left_alone_in_every_state(stage: Stage, state: str) -> None:
    lock(stage.sql, stage.sql.server(SPEC.id), ACTOR, "the auditors are here")
    there, before = picture(stage), shown(stage)
    assert before == status(state)

    for name in LEADS.keys() - UNLOCKED:
        with pytest.raises(Locked, match="the auditors are here"):
            do(stage, name)

    assert (picture(stage), shown(stage)) == (there, before)
    unlock(stage.sql, stage.sql.server(SPEC.id), ACTOR, None)
    do(stage, "delete")
    assert shown(stage) == GONE


def test_the_table_has_every_way_there_is() -> None:
    assert {one for leads in LEADS.values() for one in (*leads, *leads.values())} == {*STATES, GONE}
