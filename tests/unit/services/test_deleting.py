"""What keeps a server from being deleted, and what a force gets past."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.stage import CREATION, SPEC, Stage, a_stage, create, on_stage
from tests.support.stores import ACTOR
from tests.support.verdict import judge, pristine_of
from vmctl.domain import deed
from vmctl.domain.operation import NewOperation, OperationState
from vmctl.domain.record import Server, ServerState
from vmctl.errors import Busy, Locked, NotFound
from vmctl.sagas import CREATE, power
from vmctl.sagas.work import Work
from vmctl.services.acting import Errand, act
from vmctl.services.delete import delete_server
from vmctl.services.marking import lock, protect, unlock
from vmctl.services.recovery import Recovery, resume


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path / "stage")
    with on_stage(tmp_path / "stage") as opened:
        opened.fleet.sleep(time.time() + 60)
        yield opened


def server(stage: Stage) -> Server:
    return stage.sql.server(SPEC.id)


def without_hosts(stage: Stage) -> Recovery:
    return replace(stage.recovery, hosts={})


def judged(stage: Stage) -> str:
    folder = stage.folder.parent / "new"
    a_stage(folder, tuple(stage.hosts))
    return judge(stage, pristine_of(folder))


def test_no_force_deletes_a_locked_server(stage: Stage) -> None:
    create(stage)
    lock(stage.sql, server(stage), ACTOR, "evidence")

    with pytest.raises(Locked, match="evidence"):
        delete_server(stage.recovery, server(stage), force=True)

    unlock(stage.sql, server(stage), ACTOR, None)
    delete_server(stage.recovery, server(stage))
    assert judged(stage) == "gone"


def test_a_protected_server_is_deleted_by_force_alone_and_takes_all_else(stage: Stage) -> None:
    create(stage)
    protect(stage.sql, server(stage), ACTOR, None, on=True)
    act(stage.recovery, server(stage), Errand(deed=deed.STOP, saga=power.STOP))

    with pytest.raises(Locked, match="protected") as told:
        delete_server(stage.recovery, server(stage))
    assert told.value.hint == f"vmctl server set --unprotected {SPEC.name}"
    assert server(stage).state is ServerState.STOPPED

    delete_server(stage.recovery, server(stage), force=True)
    assert judged(stage) == "gone"


def test_a_host_that_was_dropped_from_the_inventory_is_owed_what_force_deletes(
    stage: Stage,
) -> None:
    create(stage)

    with pytest.raises(NotFound, match="not in the inventory"):
        delete_server(without_hosts(stage), server(stage))
    ended = delete_server(without_hosts(stage), server(stage), force=True)

    assert ended.owed == "kvm1"
    assert server(stage).deleted is not None
    (owed,) = stage.sql.operations(unfinished=True)
    assert (owed.state, owed.kind) == (OperationState.OWED, "delete")
    assert stage.sql.claims("kvm1")
    resume(stage.recovery, owed)
    assert judged(stage) == "gone"


class Died(BaseException):
    """Stands for the death of the process."""


def dies(_: Work) -> None:
    raise Died


def test_what_died_at_a_server_and_cannot_be_undone_is_given_up_by_force(stage: Stage) -> None:
    steps = tuple(replace(one, do=dies) if one.name == "seed" else one for one in CREATE.steps)
    with pytest.raises(Died):
        create(stage, saga=replace(CREATE, steps=steps))

    with pytest.raises(NotFound, match="not in the inventory"):
        delete_server(without_hosts(stage), server(stage))
    delete_server(without_hosts(stage), server(stage), force=True)

    given_up = stage.sql.operation(CREATION)
    assert given_up.state is OperationState.UNWOUND
    assert "given up" in (given_up.fault or "")
    (owed,) = stage.sql.operations(unfinished=True)
    resume(stage.recovery, owed)
    assert judged(stage) == "gone"


def test_a_living_owner_is_not_pushed_aside_by_force(stage: Stage) -> None:
    create(stage)
    new = NewOperation(kind="x", saga="x", version=1, owner="bob@desk", server=SPEC.id)
    with stage.world.leases.hold("op-x") as lease:
        stage.sql.begin(lease, new)
        with pytest.raises(Busy, match="bob@desk"):
            delete_server(stage.recovery, server(stage), force=True)
