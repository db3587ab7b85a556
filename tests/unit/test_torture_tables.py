"""The torture takes in every workflow there is, with all that its table can make go wrong."""

from __future__ import annotations

from itertools import takewhile

import pytest

from tests.support.tables import variants
from tests.support.torture import Torture
from tests.support.torture_create import CreateTorture
from tests.support.torture_power import PowerTorture
from tests.support.torture_rebuild import Exchanges
from tests.support.torture_set import SetTorture
from vmctl.sagas import SAGAS
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work

TORTURES = (CreateTorture, PowerTorture, Exchanges, SetTorture)


def test_every_workflow_of_every_version_is_tortured() -> None:
    taken = {
        (trial.saga.name, trial.saga.version)
        for torture in TORTURES
        for trial in torture.trials
        if trial.derived
    }

    assert taken == set(SAGAS), "each needs a Trial in a torture of tests/support"


@pytest.mark.parametrize("torture", TORTURES)
def test_nothing_that_can_befall_a_workflow_is_left_out_of_any_torture(
    torture: type[Torture],
) -> None:
    assert set(torture.hows) == {
        *("kill", "dead", "lost", "fail", "fail-after", "down", "down-after", "interrupt")
    }
    assert {name for name, _ in torture.recoveries} == {"resume", "unwind", "delete"}


@pytest.mark.parametrize("saga", SAGAS.values(), ids=lambda saga: f"{saga.name}-{saga.version}")
def test_every_step_of_a_table_fails_and_is_done_and_undone_twice(saga: Saga[Work]) -> None:
    back = list(takewhile(lambda one: not one.pivot, saga.steps))
    wanted = {f"failing {when} {one.name}" for one in saga.steps for when in ("before", "after")}
    wanted |= {"all twice", *(["undone twice"] if back else [])}
    wanted |= {f"undo failing at {one.name}" for one in back if one.undo}

    assert {one.name for one in variants(saga)} == wanted
