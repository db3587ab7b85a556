"""Operations that another vmctl began, by tables of steps that this one does not begin any more."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.support.built import Deed
from tests.support.stage import SPEC, Stage, a_stage, copy_stage, create, on_stage
from tests.support.tables import Killed, dying
from tests.support.torture_power import NOW
from tests.support.torture_rebuild import (
    hard,
    on_hosts,
    picture,
    rebuilding,
    rescuing,
    stopping,
    unrescuing,
)
from tests.support.torture_set import changing
from tests.support.trying import RESUME, UNWIND
from tests.support.verdict import assert_over
from vmctl.adapters.host_rows import as_json
from vmctl.adapters.schema import operations
from vmctl.domain.operation import OperationState
from vmctl.errors import Conflict
from vmctl.sagas import OLDER, SAGAS
from vmctl.services.delete import delete_server
from vmctl.services.recovery import resume, unwind

DOING = {
    "server-rescue": rescuing,
    "server-unrescue": unrescuing,
    "server-rebuild": rebuilding,
    "server-set": changing,
    "server-reboot-hard": hard,
}
BEFORE: dict[str, Deed] = {"server-unrescue": rescuing(), "server-reboot-hard": stopping}
"""What is done first, or it would change nothing."""


@pytest.fixture
def made(tmp_path: Path) -> Path:
    a_stage(tmp_path / "made")
    with on_stage(tmp_path / "made") as stage:
        stage.fleet.sleep(NOW)
        create(stage)
    return tmp_path / "made"


@pytest.fixture
def stage(made: Path) -> Iterator[Stage]:
    with on_stage(made) as opened:
        yield opened


def after(folder: Path, *deeds: Deed) -> dict[str, Any]:
    """See what there is after this."""
    with on_stage(copy_stage(folder, folder.with_name("case"))) as stage:
        for deed in deeds:
            with suppress(Killed):
                deed(stage)
        if deeds:
            assert_over(stage)
        return picture(stage)


def as_it_was_written(stage: Stage) -> None:
    """Have no operation say what its exchange was made of, as none did then."""
    with stage.sql.writing() as tx:
        query = select(operations.c.id, operations.c.params)
        for operation, text in tx.connection.execute(query).all():
            params = json.loads(text)
            if params.get("exchange", {}).pop("seen", None):
                which = operations.c.id == operation
                change = update(operations).where(which).values(params=as_json(params))
                tx.connection.execute(change)


@pytest.mark.parametrize(("name", "version"), [(saga.name, saga.version) for saga in OLDER])
def test_what_an_older_version_began_is_brought_to_its_end_or_undone_step_by_step(
    made: Path, name: str, version: int
) -> None:
    with on_stage(made) as stage:
        if name in BEFORE:
            BEFORE[name](stage)
    saga, doing = SAGAS[name, version], DOING[name]
    before, wanted = after(made), after(made, doing())
    assert before != wanted
    pivot = next((at for at, one in enumerate(saga.steps) if one.pivot), len(saga.steps))

    for at, step in enumerate(saga.steps):
        begun = (doing(dying(saga, step.name)), as_it_was_written)
        assert after(made, *begun, RESUME) == wanted, step.name
        undone = wanted if at >= pivot else before
        assert after(made, *begun, UNWIND if at < pivot else RESUME) == undone, step.name


@pytest.mark.parametrize(
    ("version", "hint"),
    [
        (9, "go on with it by the vmctl that began it, or a newer one: an update of this one"),
        (0, "go on with it by the vmctl that began it: an older one than this"),
    ],
)
def test_what_no_table_is_known_of_is_told_and_left(stage: Stage, version: int, hint: str) -> None:
    with suppress(Killed):
        rescuing(dying(SAGAS["server-rescue", 2], "disks"))(stage)
    with stage.sql.writing() as tx:
        running = operations.c.state == OperationState.RUNNING
        tx.connection.execute(update(operations).where(running).values(version=version))
    (one,) = stage.sql.operations(unfinished=True)
    seen = on_hosts(stage)

    for recover in (resume, unwind):
        with pytest.raises(Conflict, match=f"a server-rescue, version {version}, and") as told:
            recover(stage.recovery, one)
        assert "alice@laptop began" in told.value.message or "bob@desk began" in told.value.message
        assert "this vmctl knows version 1, 2" in told.value.message
        assert told.value.hint == hint

    assert on_hosts(stage) == seen
    assert stage.sql.operations(unfinished=True) == (one,)
    delete_server(stage.recovery, stage.sql.server(SPEC.id), force=True)
