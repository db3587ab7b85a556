"""How deeds end that do not simply succeed: what is true afterwards, and what people are told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import by_hand
from tests.support.changed import change, domain, planned_domain
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.torture_power import obeying
from vmctl.domain import deed as deeds
from vmctl.domain.deed import Deed
from vmctl.domain.edits import Edits
from vmctl.domain.operation import OperationState
from vmctl.domain.record import UNSEEN, Power, ServerState, shown_status
from vmctl.domain.server_line import HostWord, line_of, status_of
from vmctl.errors import Busy, HostUnreachable, Interrupted, RemoteFailed
from vmctl.sagas import power
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.services.acting import Errand, act
from vmctl.services.believing import now
from vmctl.services.recovery import resume, unwind


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path / "stage")
    with on_stage(tmp_path / "stage") as opened:
        opened.fleet.sleep(time.time() + 60)  # what is seen is newer than what is on record
        create(opened)
        yield opened


def do(
    stage: Stage,
    deed: Deed,
    saga: Saga[Work],
    check: Callable[[], None] = lambda: None,
    patience: float = 60,
) -> list[str]:
    """Do it, and give what people were told meanwhile."""
    told: list[str] = []
    errand = Errand(
        deed=deed,
        saga=saga,
        params={"patience": patience},
        check=check,
        tell=lambda _name, _host, words: told.append(words),
        steps=False,
    )
    act(stage.recovery, stage.sql.server(SPEC.id), errand)
    return told


def machine(stage: Stage) -> tuple[Power, bool]:
    found = stage.fleet.on(stage.hosts["kvm1"]).machine(SPEC.id)
    assert found is not None
    return found.power, found.managed_save


def status(stage: Stage) -> str:
    server = stage.sql.server(SPEC.id)
    return shown_status(server.state, server.task)


def after(calls: int) -> Callable[[], None]:
    """Give a check that hears a ^C after so many calls."""
    heard = 0

    def check() -> None:
        nonlocal heard
        heard += 1
        if heard > calls:
            raise Interrupted("interrupted")

    return check


def test_a_domain_that_followed_just_before_its_host_went_down_is_found_by_its_name(
    stage: Stage,
) -> None:
    change(stage, Edits(name="renamed"))
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)

    def cut_off(moment: str) -> None:
        if moment == "kvm1 rename after":
            stage.fleet.set_down("kvm1", down=True)

    stage.fleet.on_effect = cut_off
    with pytest.raises(HostUnreachable):
        do(stage, deeds.START, power.START)
    assert planned_domain(stage) == "web-1"
    stage.fleet.set_down("kvm1", down=False)

    now(stage.recovery, stage.sql.server(SPEC.id))

    assert planned_domain(stage) == domain(stage) == "renamed"


def test_a_guest_that_was_asked_to_shut_down_is_waited_for_and_runs_again(stage: Stage) -> None:
    obeying(20)(stage)
    began = stage.fleet.now()

    with pytest.raises(Interrupted):
        do(stage, deeds.REBOOT, power.REBOOT, after(5))

    assert 20 <= stage.fleet.now() - began < 30
    stage.fleet.sleep(100)
    assert machine(stage) == (Power.RUNNING, False)
    assert status(stage) == "ACTIVE"


def test_a_reboot_that_is_stopped_before_the_button_is_pressed_waits_for_nothing(
    stage: Stage,
) -> None:
    obeying(None)(stage)
    began = stage.fleet.now()

    with pytest.raises(Interrupted):
        do(stage, deeds.REBOOT, power.REBOOT, after(0))

    assert stage.fleet.now() - began < 5
    assert status(stage) == "ACTIVE"


def test_whoever_stops_a_stop_is_told_that_the_guest_may_still_obey(stage: Stage) -> None:
    obeying(20)(stage)

    with pytest.raises(Interrupted, match="may still do so") as told:
        do(stage, deeds.STOP, power.STOP, after(3))

    assert told.value.hint is not None
    assert SPEC.name in told.value.hint
    assert machine(stage) == (Power.RUNNING, False)
    # Nobody knows what it will be: it is shown as UNKNOWN until somebody looks.
    assert stage.sql.server(SPEC.id).boot == UNSEEN
    stage.fleet.sleep(60)
    assert now(stage.recovery, stage.sql.server(SPEC.id)).state is ServerState.STOPPED


def test_a_server_that_nobody_saw_the_end_of_is_shown_as_unknown(stage: Stage) -> None:
    def down() -> None:
        if stage.sql.operations(unfinished=True):
            stage.fleet.set_down("kvm1", down=True)

    with pytest.raises(HostUnreachable):
        do(stage, deeds.STOP, power.STOP, down)

    assert not stage.sql.operations(unfinished=True)
    line = line_of(stage.sql.server(SPEC.id))
    assert status_of(line, {"kvm1": HostWord(down=False, boot="b1")}) == "UNKNOWN"
    last = stage.sql.events(server=SPEC.id)[-1]
    assert (last.result, last.detail.get("seen")) == ("failed", False)


def test_a_save_that_someone_stops_leaves_the_guest_running(stage: Stage) -> None:
    with pytest.raises(Interrupted):
        do(stage, deeds.SUSPEND, power.SUSPEND, after(2))

    stage.fleet.sleep(60)
    assert machine(stage) == (Power.RUNNING, False)
    assert status(stage) == "ACTIVE"


def test_a_reboot_whose_host_refuses_to_start_it_says_so(stage: Stage) -> None:
    def break_it() -> None:
        with stage.fleet.state("kvm1") as state:
            state["filters"].clear()

    told: list[str] = []
    errand = Errand(
        deed=deeds.REBOOT,
        saga=power.REBOOT,
        check=break_it,
        tell=lambda _name, _host, words: told.append(words),
        steps=False,
    )
    with pytest.raises(RemoteFailed, match="cannot start without"):
        act(stage.recovery, stage.sql.server(SPEC.id), errand)

    assert status(stage) == "SHUTOFF"
    assert len(told) == 1
    assert told[0].startswith("it does not run again: ")
    assert not stage.sql.operations(unfinished=True)


def test_a_server_that_does_not_stay_what_it_was_made_is_shown_as_it_is(stage: Stage) -> None:
    do(stage, deeds.STOP, power.STOP)

    def off_again(words: str) -> None:
        if words.endswith("start after"):
            stage.fleet.on_effect = lambda _: None
            stage.fleet.on(stage.hosts["kvm1"]).ensure_off(SPEC.id)

    stage.fleet.on_effect = off_again
    do(stage, deeds.START, power.START)

    assert status(stage) == "SHUTOFF"


class Died(BaseException):
    """Ends whoever is at work as a kill does: nothing is undone, and nobody hears of it."""


@pytest.fixture
def half_done(stage: Stage) -> Stage:
    """A stage where whoever rebooted the server died when it was off."""

    def die(moment: str) -> None:
        if moment == "kvm1 press after":
            raise Died

    stage.fleet.on_effect = die
    with pytest.raises(Died):
        do(stage, deeds.REBOOT, power.REBOOT)
    stage.fleet.on_effect = lambda _: None
    return stage


def test_the_next_one_is_told_what_was_left_half_done_and_how_to_go_on(half_done: Stage) -> None:
    stage = half_done
    (left,) = stage.sql.operations(unfinished=True)

    for deed, saga in ((deeds.START, power.START), (deeds.STOP, power.STOP)):
        with pytest.raises(Busy, match="was left half done") as told:
            do(stage, deed, saga)
        assert f"the reboot of server {SPEC.name}, which bob@desk began" in told.value.message
        assert f"vmctl operation resume {left.id}" in str(told.value.hint)
    assert status(stage) == "REBOOT"

    assert resume(stage.recovery, left).state is OperationState.DONE
    assert status(stage) == "ACTIVE"
    assert machine(stage) == (Power.RUNNING, False)


def test_while_its_owner_is_at_work_there_is_nothing_but_waiting(stage: Stage) -> None:
    refused: list[Busy] = []

    def meanwhile() -> None:
        with pytest.raises(Busy) as told:
            do(stage, deeds.PAUSE, power.PAUSE)
        refused.append(told.value)

    do(stage, deeds.STOP, power.STOP, meanwhile)

    assert "is under way" in refused[0].message
    assert "wait for it" in str(refused[0].hint)
    assert status(stage) == "SHUTOFF"


def test_what_cannot_be_undone_now_is_stuck_until_the_host_answers(half_done: Stage) -> None:
    stage = half_done
    (left,) = stage.sql.operations(unfinished=True)
    stage.fleet.set_down("kvm1", down=True)

    ended = unwind(stage.recovery, left)

    assert ended.state is OperationState.STUCK
    assert isinstance(ended.fault, HostUnreachable)
    assert stage.sql.server(SPEC.id).task == "rebooting"
    stage.fleet.set_down("kvm1", down=False)
    with pytest.raises(Busy, match=r"is stuck: .*did not answer"):
        do(stage, deeds.STOP, power.STOP)
    assert unwind(stage.recovery, stage.sql.operation(left.id)).state is OperationState.UNWOUND
    assert machine(stage) == (Power.RUNNING, False)
    assert stage.sql.server(SPEC.id).task is None
