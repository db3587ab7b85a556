from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.stage import SPEC, a_stage, create, on_stage
from vmctl.cli.deadline import Deadline
from vmctl.errors import TimedOut


@pytest.mark.parametrize("seconds", [None, 600.0])
def test_a_wait_of_another_kind_that_is_over_is_told_as_it_is(
    tmp_path: Path, seconds: float | None
) -> None:
    a_stage(tmp_path)
    with on_stage(tmp_path) as stage:
        create(stage)
        clock = stage.fleet.now
        limit = Deadline(seconds, store=stage.sql, clock=clock, asked=lambda: None)

        with (
            pytest.raises(TimedOut, match="held the lease on the host for 150 s"),
            limit.over(stage.sql.server(SPEC.id), "rescued"),
        ):
            raise TimedOut("another operator has held the lease on the host for 150 s")
