"""What a server that was moved by hand leaves on its old host: held, listed and taken away."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import by_hand
from tests.support.looked import HOSTS, look
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.stores import ACTOR
from vmctl.domain import deed as deeds
from vmctl.domain.build import filter_name
from vmctl.domain.deed import Deed
from vmctl.domain.operation import Operation, OperationState
from vmctl.domain.record import AttemptState, ServerState
from vmctl.sagas import power
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.services.acting import Errand, act
from vmctl.services.delete import delete_server
from vmctl.services.recovery import pay_owed, resume, unwind
from vmctl.services.retiring import held_on, retire


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A server that was moved from kvm1 to kvm2 with its disks, and was seen there."""
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as opened:
        opened.fleet.sleep(time.time() + 60)
        create(opened)
        by_hand.carry(opened.fleet, "kvm1", "kvm2", SPEC.id)
        by_hand.move(opened.fleet, "kvm1", "kvm2", SPEC.id)
        look(opened)
        yield opened


def owed(stage: Stage) -> Operation:
    (found,) = stage.sql.operations(unfinished=True, server=SPEC.id)
    return found


def on(stage: Stage, host: str) -> tuple[list[str], list[str], list[str]]:
    """What of the server is on a host: volumes, filters, cards that an address is promised to."""
    state: dict[str, Any] = stage.fleet.picture(host)
    return (
        [one for one in state["pools"]["default"]["volumes"] if one.startswith(SPEC.id)],
        [one for one in state["filters"] if SPEC.id in one],
        [one for one in state["networks"]["default"]["promises"] if one.startswith("52:54:00:00")],
    )


def nothing_held(stage: Stage, host: str) -> bool:
    return not stage.sql.claims(host) and not stage.sql.addresses(f"nat@{host}")


def on_network(stage: Stage, host: str) -> None:
    with stage.fleet.state(host) as state:
        state["pools"]["default"]["file_system"] = "nfs4"


def test_the_move_is_listed_with_the_host_that_is_owed(stage: Stage) -> None:
    found = owed(stage)

    assert (found.kind, found.host, found.state) == ("move", "kvm1", OperationState.OWED)
    assert "moved to kvm2 by hand" in str(found.fault)
    (debt,) = stage.sql.owed("kvm1")
    assert debt.operations == (found.id,)
    assert all(on(stage, "kvm1"))


def test_whoever_comes_to_the_old_host_takes_it_away(stage: Stage) -> None:
    before = on(stage, "kvm2")

    (paid,) = pay_owed(stage.recovery, ["kvm1"])

    assert paid.state is OperationState.DONE
    assert on(stage, "kvm1") == ([], [], [])
    assert on(stage, "kvm2") == before
    assert nothing_held(stage, "kvm1")
    assert stage.sql.operations(unfinished=True) == ()
    assert stage.sql.server(SPEC.id).host == "kvm2"


def test_an_old_host_that_does_not_answer_is_owed_it_still(stage: Stage) -> None:
    stage.fleet.set_down("kvm1", down=True)

    done = resume(stage.recovery, owed(stage))

    assert done.state is OperationState.OWED
    assert "kvm1 did not answer" in str(owed(stage).fault)
    assert not nothing_held(stage, "kvm1")


@pytest.mark.parametrize("why", ["storage", "theirs", "lone"])
def test_volumes_that_may_be_its_own_are_left_for_somebody_to_decide(
    stage: Stage, why: str
) -> None:
    root = f"{SPEC.id}-root"
    if why != "lone":
        # A host may also serve its own folder to the other one.
        on_network(stage, "kvm1" if why == "storage" else "kvm2")
    else:
        with stage.fleet.state("kvm2") as state:
            del state["pools"]["default"]["volumes"][root]
    before = on(stage, "kvm1")

    done = resume(stage.recovery, owed(stage))

    assert done.state is OperationState.OWED
    assert root in str(owed(stage).fault)
    assert "vmctl operation unwind" in str(getattr(done.fault, "hint", ""))
    assert on(stage, "kvm1") == (before[0], [], [])
    assert not nothing_held(stage, "kvm1")


def test_once_somebody_has_taken_them_away_nothing_is_owed(stage: Stage) -> None:
    on_network(stage, "kvm1")
    resume(stage.recovery, owed(stage))
    with stage.fleet.state("kvm1") as state:
        volumes = state["pools"]["default"]["volumes"]
        for name in on(stage, "kvm2")[0]:
            del volumes[name]

    done = resume(stage.recovery, owed(stage))

    assert done.state is OperationState.DONE
    assert nothing_held(stage, "kvm1")


def test_given_up_they_stay_and_nothing_is_held_for_them(stage: Stage) -> None:
    volumes, _, _ = on(stage, "kvm1")

    done = unwind(stage.recovery, owed(stage))

    assert done.state is OperationState.UNWOUND
    assert on(stage, "kvm1") == (volumes, [], [])
    assert nothing_held(stage, "kvm1")
    assert stage.sql.operations(unfinished=True) == ()


def test_where_its_domain_is_again_nothing_is_taken_away(stage: Stage) -> None:
    by_hand.copy_to(stage.fleet, "kvm2", "kvm1", SPEC.id)
    before = on(stage, "kvm1")

    done = resume(stage.recovery, owed(stage))

    assert done.state is OperationState.OWED
    assert "is defined on kvm1 again" in str(done.fault)
    assert on(stage, "kvm1") == before


def test_one_that_was_moved_on_and_on_leaves_debts_that_are_all_ended(stage: Stage) -> None:
    by_hand.carry(stage.fleet, "kvm2", "kvm3", SPEC.id)
    by_hand.move(stage.fleet, "kvm2", "kvm3", SPEC.id)
    look(stage)
    assert sorted(str(one.host) for one in stage.sql.operations(unfinished=True)) == [
        "kvm1",
        "kvm2",
    ]

    pay_owed(stage.recovery, ["kvm1", "kvm2"])

    assert stage.sql.operations(unfinished=True) == ()
    assert (on(stage, "kvm1"), on(stage, "kvm2")) == (([], [], []), ([], [], []))
    assert len(on(stage, "kvm3")[0]) > 1


def test_deleted_it_leaves_nothing_anywhere(stage: Stage) -> None:
    on_network(stage, "kvm1")
    delete_server(stage.recovery, stage.sql.server(SPEC.id))

    pay_owed(stage.recovery, ["kvm1", "kvm2"])

    assert stage.sql.operations(unfinished=True) == ()
    assert (on(stage, "kvm1"), on(stage, "kvm2")) == (([], [], []), ([], [], []))
    assert stage.sql.claims() == ()
    states = {one.state for one in stage.sql.attempts(SPEC.id)}
    assert states == {AttemptState.RELEASED}


POWERED: dict[str, tuple[Deed, Saga[Work]]] = {
    "start": (deeds.START, power.START),
    "reboot --hard": (deeds.REBOOT_HARD, power.REBOOT_HARD),
}


@pytest.mark.parametrize("name", POWERED)
def test_on_its_new_host_it_gets_what_only_a_create_makes(stage: Stage, name: str) -> None:
    filters, promises = {filter_name(SPEC.id, card) for card in (0, 1)}, 1
    by_hand.switch_off(stage.fleet, "kvm2", SPEC.id)
    with by_hand.machine(stage.fleet, "kvm2", SPEC.id) as found:
        found["autostart"] = False
    assert on(stage, "kvm2")[1:] == ([], [])

    deed, saga = POWERED[name]
    server = act(stage.recovery, look(stage), Errand(deed=deed, saga=saga))

    assert server.state is ServerState.ACTIVE
    volumes, found_filters, found_promises = on(stage, "kvm2")
    assert (set(found_filters), len(found_promises)) == (filters, promises)
    assert stage.fleet.picture("kvm2")["machines"][SPEC.id]["autostart"]
    assert volumes


def test_one_that_only_runs_there_goes_on_though_it_cannot_start_with_its_host(
    stage: Stage,
) -> None:
    with by_hand.machine(stage.fleet, "kvm2", SPEC.id) as found:
        found.update(on=True, persistent=False, autostart=False)
    look(stage)

    for deed, saga in ((deeds.PAUSE, power.PAUSE), (deeds.UNPAUSE, power.UNPAUSE)):
        act(stage.recovery, stage.sql.server(SPEC.id), Errand(deed=deed, saga=saga))

    assert stage.sql.server(SPEC.id).state is ServerState.ACTIVE


def test_an_address_that_is_promised_to_another_there_does_not_keep_it_off(stage: Stage) -> None:
    (attempt,) = (one for one in stage.sql.attempts(SPEC.id) if one.host == "kvm2")
    (address,) = attempt.nics[0].addresses
    with stage.fleet.state("kvm2") as state:
        state["networks"]["default"]["promises"]["52:54:00:aa:aa:aa"] = [[address], "other"]
    by_hand.switch_off(stage.fleet, "kvm2", SPEC.id)
    said: list[str] = []

    errand = Errand(
        deed=deeds.START, saga=power.START, tell=lambda _server, _host, step: said.append(step)
    )
    server = act(stage.recovery, look(stage), errand)

    assert server.state is ServerState.ACTIVE
    assert [one for one in said if address in one]


def test_one_that_was_never_moved_starts_with_what_it_has(tmp_path: Path) -> None:
    a_stage(tmp_path / "still")
    with on_stage(tmp_path / "still") as stage:
        stage.fleet.sleep(time.time() + 60)
        create(stage)
        by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
        called: list[str] = []
        stage.fleet.on_effect = called.append

        act(stage.recovery, look(stage), Errand(deed=deeds.START, saga=power.START))

        assert not [one for one in called if "filter" in one or "reserve" in one]


def test_what_may_be_the_last_copy_outlives_the_host_that_was_retired(stage: Stage) -> None:
    volumes, _, _ = on(stage, "kvm1")
    stage.fleet.set_down("kvm2", down=True)
    retire(
        "kvm2",
        held_on("kvm2", stage.hosts, stage.sql),
        stage.world,
        actor=ACTOR,
        owner="bob@desk",
        reason="burnt",
    )
    assert stage.sql.server(SPEC.id).deleted is not None

    (kept,) = pay_owed(stage.recovery, ["kvm1"])

    assert kept.state is OperationState.OWED
    assert "it may be the last copy" in str(owed(stage).fault)
    assert on(stage, "kvm1")[0] == volumes
