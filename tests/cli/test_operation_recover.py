"""``operation resume`` and ``unwind`` on a real database and hosts that are folders."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.product import Product
from tests.support.stage import CREATION, SPEC, Stage, a_stage, create, on_stage
from tests.support.tables import failing, stubborn
from vmctl.bootstrap import App
from vmctl.domain.operation import OperationState
from vmctl.sagas import CREATE
from vmctl.services.recovery import Recovery, is_kept

EVERY_UNDO = [one.name for one in CREATE.steps if one.undo]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path)
    with on_stage(tmp_path) as opened:
        yield opened


@pytest.fixture
def vmctl(stage: Stage) -> Product:
    class FakeApp(App):
        def recovery(self, tell: Callable[[str], None] = lambda _: None) -> Recovery:
            return replace(stage.recovery, tell=tell)

    return Product(stage.folder, FakeApp)


def owe(stage: Stage) -> None:
    create(stage, saga=stubborn(failing(CREATE, "start", acts=False), EVERY_UNDO))


@pytest.mark.parametrize("word", ["resume", "unwind"])
def test_an_operation_is_named_by_the_beginning_of_its_id_or_by_all(
    stage: Stage, vmctl: Product, word: str
) -> None:
    owe(stage)

    ran = vmctl.run("operation", word, CREATION[:5] if word == "resume" else "--all")

    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        f"cleaning kvm1 of attempt 1 at server {SPEC.name}",
        f"operation {CREATION} is done",
    ]
    assert stage.sql.claims("kvm1") == ()


def test_what_is_still_in_the_way_ends_with_its_own_exit_code(stage: Stage, vmctl: Product) -> None:
    owe(stage)
    stage.fleet.set_down("kvm1", down=True)

    ran = vmctl.run("--error-format", "json", "operation", "resume", CREATION)

    told = json.loads(ran.err.splitlines()[-1])["error"]
    assert (ran.code, told["code"], told["details"]["host"]) == (11, "HostUnreachable", "kvm1")
    assert told["message"] == f"operation {CREATION} is owed: kvm1 did not answer"
    assert stage.sql.operation(CREATION).state is OperationState.OWED


def test_nothing_to_go_on_with_is_no_failure(vmctl: Product) -> None:
    ran = vmctl.run("operation", "resume", "--all")

    assert (ran.code, ran.err) == (0, "no operation waits for anybody\n")


def test_what_was_kept_to_be_looked_at_is_only_undone_by_name_or_by_an_unwind(
    stage: Stage, vmctl: Product
) -> None:
    create(stage, saga=failing(CREATE, "start", acts=False), keep=True)
    kept = stage.fleet.picture("kvm1")

    ran = vmctl.run("operation", "resume", "--all")

    assert (ran.code, ran.out) == (0, "")
    assert ran.err.splitlines() == [
        (
            f"operation {CREATION} (server-create by alice@laptop) is left: what it made is kept to"
            f" be looked at; vmctl operation unwind {CREATION} takes it away"
        ),
        "no operation waits for anybody",
    ]
    assert stage.fleet.picture("kvm1") == kept
    assert stage.sql.operation(CREATION).state is OperationState.STUCK

    assert vmctl.run("operation", "resume", CREATION).code == 0
    assert SPEC.id not in stage.fleet.picture("kvm1")["machines"]


def test_unwinding_all_undoes_what_was_kept(stage: Stage, vmctl: Product) -> None:
    create(stage, saga=failing(CREATE, "start", acts=False), keep=True)

    assert vmctl.run("operation", "unwind", "--all").code == 0

    assert SPEC.id not in stage.fleet.picture("kvm1")["machines"]


def test_a_create_whose_undo_failed_was_not_kept_by_anybody(stage: Stage, vmctl: Product) -> None:
    create(stage, saga=stubborn(failing(CREATE, "start", acts=False), ["define"]))
    (one,) = stage.sql.operations(unfinished=True)

    assert not is_kept(stage.sql, one)
    assert vmctl.run("operation", "resume", "--all").code == 0
    assert SPEC.id not in stage.fleet.picture("kvm1")["machines"]


@pytest.mark.parametrize("words", [(), (CREATION, "--all")], ids=["neither", "both"])
def test_either_ids_or_all_must_be_given(vmctl: Product, words: tuple[str, ...]) -> None:
    ran = vmctl.run("operation", "unwind", *words)

    assert ran.code == 2
    assert "which operation?" in ran.err


def test_an_id_that_is_none_is_told(vmctl: Product) -> None:
    ran = vmctl.run("operation", "resume", "nobody")

    assert ran.code == 1
    assert "nobody" in ran.err


def test_one_at_work_is_busy_and_its_owner_is_named(stage: Stage, vmctl: Product) -> None:
    owe(stage)

    with stage.world.leases.hold(CREATION):
        ran = vmctl.run("operation", "unwind", CREATION)

    assert ran.code == 1
    assert "alice@laptop is at work on operation" in ran.err
