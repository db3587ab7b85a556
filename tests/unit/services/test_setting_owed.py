"""What is said of servers while their hosts do not answer, or have nothing of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.changed import (
    TELLING,
    change,
    do,
    domain,
    on_host,
    planned_domain,
    server,
    spec,
    unfinished,
)
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.tables import failing
from vmctl.domain import deed
from vmctl.domain.edits import Edits
from vmctl.domain.operation import OperationState
from vmctl.domain.record import ServerState
from vmctl.errors import HostError, HostUnreachable
from vmctl.sagas import CREATE, power
from vmctl.services.delete import delete_server
from vmctl.services.recovery import pay_owed, resume, unwind
from vmctl.services.setting import Edited, planned, set_server


def test_a_host_that_does_not_answer_is_told_later(stage: Stage) -> None:
    stage.fleet.set_down("kvm1", down=True)

    assert change(stage, replace(TELLING, name="shop")) == Edited(owed="kvm1")

    assert (server(stage).name, spec(stage).description) == ("shop", "the shop")
    assert unfinished(stage) == [OperationState.OWED]
    assert not pay_owed(stage.recovery, {"kvm2"})
    (still,) = pay_owed(stage.recovery, {"kvm1"})
    assert isinstance(still.fault, HostUnreachable)
    stage.fleet.set_down("kvm1", down=False)
    assert on_host(stage).spec == SPEC

    (paid,) = pay_owed(stage.recovery, {"kvm1"})

    assert paid.fault is None
    assert unfinished(stage) == []
    assert on_host(stage).spec == spec(stage)
    assert domain(stage) == SPEC.name


@pytest.mark.parametrize("act", [resume, unwind])
def test_what_is_owed_is_what_was_said_last(stage: Stage, act: Callable[..., object]) -> None:
    stage.fleet.set_down("kvm1", down=True)
    change(stage, Edits(description="first"))
    change(stage, Edits(description="second", tags=("x",)))
    stage.fleet.set_down("kvm1", down=False)

    act(stage.recovery, stage.sql.operations(unfinished=True)[0])

    assert on_host(stage).spec == spec(stage)
    assert spec(stage).description == "second"


def test_the_next_change_pays_what_was_owed_of_the_server(stage: Stage) -> None:
    stage.fleet.set_down("kvm1", down=True)
    change(stage, Edits(description="first"))
    stage.fleet.set_down("kvm1", down=False)

    change(stage, Edits(tags=("x",)))

    assert unfinished(stage) == []
    assert on_host(stage).spec == spec(stage)


def test_a_deleted_server_owes_no_news(stage: Stage) -> None:
    stage.fleet.set_down("kvm1", down=True)
    change(stage, Edits(description="first"))
    stage.fleet.set_down("kvm1", down=False)
    delete_server(stage.recovery, server(stage))

    pay_owed(stage.recovery, {"kvm1"})

    assert unfinished(stage) == []


def test_what_a_host_does_is_not_changed_without_it(stage: Stage) -> None:
    stage.fleet.set_down("kvm1", down=True)

    with pytest.raises(HostError, match="its autostart cannot be changed without its host"):
        change(stage, Edits(autostart=False, description="no"))

    assert spec(stage) == SPEC
    assert unfinished(stage) == []


def test_a_host_that_was_dropped_is_told_when_it_is_back(stage: Stage) -> None:
    without = replace(stage.recovery, hosts={})

    set_server(without, planned(stage.sql, server(stage), TELLING))

    (owed,) = stage.sql.operations(unfinished=True)
    assert owed.state is OperationState.OWED
    assert resume(without, owed).fault is not None
    resume(stage.recovery, owed)
    assert on_host(stage).spec == spec(stage)


def test_a_server_that_never_ran_is_changed_on_record(tmp_path: Path) -> None:
    a_stage(tmp_path / "failed", ("kvm1",))
    with on_stage(tmp_path / "failed") as stage:
        create(stage, saga=failing(CREATE, "disks", acts=False))
        assert server(stage).state is ServerState.ERROR

        change(stage, TELLING)

        assert spec(stage).description == "the shop"
        assert (server(stage).state, server(stage).fault) == (
            ServerState.ERROR,
            "disks was made to fail",
        )
        assert unfinished(stage) == []


def test_a_domain_that_is_gone_is_defined_anew_as_it_was_set(stage: Stage) -> None:
    host = stage.fleet.on(stage.hosts["kvm1"])
    host.ensure_undefined(SPEC.id)

    change(stage, replace(TELLING, name="shop"))
    do(stage, deed.REBOOT_HARD, power.REBOOT_HARD)

    assert (domain(stage), planned_domain(stage)) == ("shop", "shop")
    assert on_host(stage).spec == spec(stage)


def test_nobodys_change_is_lost_while_the_host_is_silent(stage: Stage) -> None:
    stage.fleet.set_down("kvm1", down=True)
    late = planned(stage.sql, server(stage), Edits(tags=("late",)))
    change(stage, Edits(tags=("early",)))

    assert set_server(stage.recovery, late).owed == "kvm1"

    assert spec(stage).tags == ("blue", "early", "late")
