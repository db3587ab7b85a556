"""What a dead owner left, taken up again; the moments of death are in the process tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.plain_renderer import PlainRenderer
from tests.support.stage import (
    CREATION,
    SPEC,
    Stage,
    a_build,
    a_stage,
    create,
    delete,
    on_stage,
)
from tests.support.tables import failing, stubborn
from tests.support.verdict import judge, pristine_of
from vmctl.domain.operation import Mark, NewOperation, OperationState
from vmctl.domain.plain import to_plain
from vmctl.domain.record import AttemptState, NewServer, ServerState
from vmctl.errors import Busy, Conflict, HostUnreachable, NotFound
from vmctl.sagas import CREATE, DELETE
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.services.recovery import orphans, pay_owed, recover_all, resume, unwind


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path / "stage")
    with on_stage(tmp_path / "stage") as opened:
        yield opened


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Stage]:
    """The same with one host only: there is nowhere else to go."""
    a_stage(tmp_path / "stage", ("kvm1",))
    with on_stage(tmp_path / "stage") as opened:
        yield opened


class Died(BaseException):
    """Stands for the death of the process: nothing of it is handled by anybody."""


def dying(at: str, *, acts: bool = False) -> Saga[Work]:
    """A create whose owner dies at a step, before it or after it."""

    def step_of(work: Work) -> None:
        if acts:
            next(one.do for one in CREATE.steps if one.name == at)(work)
        raise Died

    steps = tuple(replace(one, do=step_of) if one.name == at else one for one in CREATE.steps)
    return replace(CREATE, steps=steps)


def left_at(stage: Stage, step: str, *, acts: bool = False) -> None:
    """Leave a create half done at a step."""
    with pytest.raises(Died):
        create(stage, saga=dying(step, acts=acts))


def gone_or_whole(stage: Stage) -> str:
    """Judge the world; no host ever had anything but what a new stage has."""
    return judge(stage, pristine_of_new(stage))


def pristine_of_new(stage: Stage) -> dict[str, dict[str, object]]:
    folder = stage.folder.parent / "new"
    a_stage(folder, tuple(stage.hosts))
    return pristine_of(folder)


def test_what_a_dead_owner_left_is_an_orphan(stage: Stage) -> None:
    left_at(stage, "disks")

    (orphan,) = orphans(stage.sql, stage.world.leases)

    assert (orphan.id, orphan.state) == (CREATION, OperationState.RUNNING)


def test_one_at_work_is_no_orphan_and_is_named_to_whoever_would_recover_it(stage: Stage) -> None:
    left_at(stage, "disks")
    operation = stage.sql.operation(CREATION)

    with stage.world.leases.hold(CREATION):
        assert orphans(stage.sql, stage.world.leases) == ()
        for act in (resume, unwind):
            with pytest.raises(Busy, match="alice@laptop is at work on operation c0000000") as told:
                act(stage.recovery, operation)
            assert told.value.hint

    assert stage.sql.operation(CREATION).owner == "alice@laptop"


@pytest.mark.parametrize("step", [one.name for one in CREATE.steps])
def test_a_create_is_resumed_from_any_step(stage: Stage, step: str) -> None:
    left_at(stage, step, acts=True)

    ended = resume(stage.recovery, stage.sql.operation(CREATION))

    assert (ended.state, ended.fault) == (OperationState.DONE, None)
    assert gone_or_whole(stage) == "whole"
    done = [one.step for one in stage.sql.journal_of(CREATION) if one.mark is Mark.DONE]
    assert done == [f"1/{one.name}" for one in CREATE.steps]


@pytest.mark.parametrize("step", [one.name for one in CREATE.steps])
def test_a_create_is_unwound_from_any_step(stage: Stage, step: str) -> None:
    left_at(stage, step, acts=True)

    ended = unwind(stage.recovery, stage.sql.operation(CREATION))

    assert ended.state is OperationState.UNWOUND
    assert gone_or_whole(stage) == "gone"
    server = stage.sql.server(SPEC.id)
    assert server.fault == "it was asked that all be undone"


def test_what_is_over_is_not_recovered_again(stage: Stage) -> None:
    left_at(stage, "disks")
    operation = stage.sql.operation(CREATION)
    resume(stage.recovery, operation)

    with pytest.raises(Conflict, match="is done already"):
        unwind(stage.recovery, operation)

    assert gone_or_whole(stage) == "whole"


def test_a_start_that_was_begun_is_never_tried_elsewhere(stage: Stage) -> None:
    create(stage, saga=failing(CREATE, "autostart", acts=False))

    (attempt,) = stage.sql.attempts(SPEC.id)
    assert (attempt.host, attempt.state) == ("kvm1", AttemptState.RELEASED)
    assert gone_or_whole(stage) == "gone"


def test_an_attempt_that_was_not_begun_is_tried_elsewhere(stage: Stage) -> None:
    create(stage, saga=failing(CREATE, "seed", acts=True))

    first, second = stage.sql.attempts(SPEC.id)
    assert (first.state, second.host) == (AttemptState.RELEASED, "kvm2")
    assert first.fault == "seed was made to fail"
    assert gone_or_whole(stage) == "whole"


def owe(stage: Stage) -> None:
    """Have a server on the second host, and debris of its first attempt on the first one."""
    every = [one.name for one in CREATE.steps if one.undo]
    create(stage, saga=stubborn(failing(CREATE, "start", acts=False), every))


def test_what_is_not_proven_gone_is_owed_and_keeps_its_claim_and_addresses(stage: Stage) -> None:
    owe(stage)

    first, second = stage.sql.attempts(SPEC.id)
    assert (first.state, second.state) == (AttemptState.OWED, AttemptState.BEGUN)
    assert {one.host for one in stage.sql.claims()} == {"kvm1", "kvm2"}
    assert stage.sql.addresses("nat@kvm1")
    assert stage.sql.operation(CREATION).state is OperationState.OWED
    assert stage.sql.server(SPEC.id).state is ServerState.ACTIVE


@pytest.mark.parametrize("act", [resume, unwind])
def test_what_is_owed_is_paid_without_touching_the_server(
    stage: Stage, act: Callable[..., object]
) -> None:
    owe(stage)

    act(stage.recovery, stage.sql.operation(CREATION))

    assert stage.sql.operation(CREATION).state is OperationState.DONE
    assert gone_or_whole(stage) == "whole"


def test_only_the_hosts_that_are_named_are_paid(stage: Stage) -> None:
    owe(stage)

    assert pay_owed(stage.recovery, {"kvm2"}) == ()
    (paid,) = pay_owed(stage.recovery, {"kvm1", "kvm2"})

    assert paid.state is OperationState.DONE
    assert pay_owed(stage.recovery, {"kvm1"}) == ()
    assert gone_or_whole(stage) == "whole"


def test_a_host_that_does_not_answer_stays_owed_and_is_said(stage: Stage) -> None:
    owe(stage)
    stage.fleet.set_down("kvm1", down=True)

    (paid,) = pay_owed(stage.recovery, {"kvm1"})

    assert paid.state is stage.sql.operation(CREATION).state is OperationState.OWED
    assert isinstance(paid.fault, HostUnreachable)
    assert len(stage.sql.claims("kvm1")) == 1


def test_a_host_that_is_not_in_the_inventory_any_more_is_named(stage: Stage) -> None:
    owe(stage)
    hosts = {"kvm2": stage.hosts["kvm2"]}

    ended = resume(replace(stage.recovery, hosts=hosts), stage.sql.operation(CREATION))

    assert ended.state is OperationState.OWED
    assert isinstance(ended.fault, NotFound)
    assert "kvm1" in ended.fault.message
    assert "host retire kvm1" in (ended.fault.hint or "")


def test_a_call_that_lands_late_is_found_and_undone_before_the_claim_is_freed(
    alone: Stage,
) -> None:
    """The define was sent by an owner who died then, and takes effect after all was undone."""
    left_at(alone, "define")
    late = {"at": alone.fleet.now() + 1.5, "name": "define", "args": [SPEC.id, a_domain(alone)]}
    with alone.fleet.state("kvm1") as state:
        state["late"].append(late)

    unwind(alone.recovery, alone.sql.operation(CREATION))

    assert gone_or_whole(alone) == "gone"


def a_domain(stage: Stage) -> str:
    """What the first attempt's define would have sent."""
    on = stage.fleet.on(stage.hosts["kvm1"])
    return PlainRenderer().domain(
        SPEC,
        a_build(1, "kvm1"),
        owner=stage.sql.uuid(),
        offers=on.offers(),
        place=on.pool("default"),
    )


def test_a_domain_of_another_attempt_is_never_taken_away(stage: Stage) -> None:
    left_at(stage, "start", acts=True)
    with stage.fleet.state("kvm1") as state:
        machine = state["machines"][SPEC.id]
        machine["xml"] = machine["xml"].replace('attempt="1"', 'attempt="7"')

    unwind(stage.recovery, stage.sql.operation(CREATION))

    state = stage.fleet.picture("kvm1")
    assert state["machines"][SPEC.id]["on"]
    assert f"{SPEC.id}-root" in state["pools"]["default"]["volumes"]


def test_debris_that_is_kept_stays_until_it_is_unwound(alone: Stage) -> None:
    create(alone, saga=failing(CREATE, "seed", acts=True), keep=True)
    kept = alone.sql.operation(CREATION)
    machines = alone.fleet.picture("kvm1")["machines"]
    assert pay_owed(alone.recovery, {"kvm1"}) == ()

    ended = unwind(alone.recovery, kept)

    assert SPEC.id in machines
    assert kept.state is OperationState.STUCK
    assert ended.state is OperationState.UNWOUND
    assert gone_or_whole(alone) == "gone"


def test_a_delete_on_a_host_that_does_not_answer_is_owed_and_off_the_list(stage: Stage) -> None:
    create(stage)
    stage.fleet.set_down("kvm1", down=True)

    delete(stage)
    listed, claimed = stage.sql.servers(), len(stage.sql.claims("kvm1"))
    stage.fleet.set_down("kvm1", down=False)
    ended = recover_all(stage.recovery, orphans(stage.sql, stage.world.leases))

    assert (listed, claimed) == ((), 1)
    assert [getattr(one, "state", one) for one in ended.values()] == [OperationState.DONE]
    assert gone_or_whole(stage) == "gone"


def test_all_that_waits_for_one_server_is_over_at_once(stage: Stage) -> None:
    owe(stage)
    for host in ("kvm1", "kvm2"):
        stage.fleet.set_down(host, down=True)
    delete(stage)
    for host in ("kvm1", "kvm2"):
        stage.fleet.set_down(host, down=False)
    waiting = orphans(stage.sql, stage.world.leases)
    assert sorted(one.kind for one in waiting) == ["server-create", "server-delete"]

    ended = recover_all(stage.recovery, waiting)

    assert [one for one in ended.values() if isinstance(one, Exception)] == []
    assert orphans(stage.sql, stage.world.leases) == ()
    assert gone_or_whole(stage) == "gone"


def test_a_delete_that_has_begun_has_no_way_back(stage: Stage) -> None:
    create(stage)
    delete(stage, saga=failing(DELETE, "volumes", acts=False))
    (stuck,) = orphans(stage.sql, stage.world.leases)
    assert stage.sql.server(SPEC.id).fault == "volumes was made to fail"

    with pytest.raises(Conflict, match="no way back") as told:
        unwind(stage.recovery, stuck)
    resume(stage.recovery, stuck)

    assert "operation resume" in (told.value.hint or "")
    assert gone_or_whole(stage) == "gone"


def test_a_domain_that_lost_its_record_is_not_deleted_by_its_uuid_alone(stage: Stage) -> None:
    create(stage)
    with stage.fleet.state("kvm1") as state:
        state["machines"][SPEC.id]["xml"] = "<domain><name>web-1</name></domain>"

    delete(stage)

    (stuck,) = orphans(stage.sql, stage.world.leases)
    assert stuck.state is OperationState.STUCK
    assert stage.fleet.picture("kvm1")["machines"][SPEC.id]["on"]


def test_who_recovered_what_is_told_by_an_event(stage: Stage) -> None:
    left_at(stage, "seed")

    resume(stage.recovery, stage.sql.operation(CREATION))

    event = stage.sql.events(server=SPEC.id)[-1]
    assert (event.action, event.result, event.operation) == ("operation-resume", "done", CREATION)
    assert stage.sql.operation(CREATION).owner == "bob@desk"


def test_a_delete_of_what_no_host_ever_took_is_finished_by_a_resume(stage: Stage) -> None:
    store = stage.world.store
    server = NewServer(id="never", name="never", spec=to_plain(SPEC))
    store.admit_failed(server, "no host could take it")
    new = NewOperation(kind="delete", saga=DELETE.name, version=1, owner="someone", server="never")
    with stage.world.leases.hold("op-never") as lease:
        store.begin(lease, new, task="deleting")

    ended = resume(stage.recovery, store.operation("op-never"))

    assert ended.state is OperationState.DONE
    assert [one.id for one in store.servers()] == []
