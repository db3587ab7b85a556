"""``server lock`` and ``unlock``, and what a lock keeps from being done."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.product import Product
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.staged import product_on
from tests.support.stores import begin

NAME = SPEC.name


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path)
    with on_stage(tmp_path) as opened:
        opened.fleet.sleep(time.time() + 60)
        create(opened)
        yield opened


@pytest.fixture
def vmctl(stage: Stage) -> Product:
    return product_on(stage)


def locked(vmctl: Product) -> tuple[bool, str | None]:
    shown = vmctl.data("server", "show", NAME)
    return shown["locked"], shown["locked_reason"]


def test_a_lock_works_on_what_is_on_record_and_is_told_in_the_events(
    stage: Stage, vmctl: Product
) -> None:
    stage.fleet.set_down("kvm1", down=True)

    assert vmctl.ok("server", "lock", NAME, "--reason", "audit 7") == ""
    assert locked(vmctl) == (True, "audit 7")
    vmctl.ok("server", "lock", NAME)
    assert locked(vmctl) == (True, None)
    assert [one["Name"] for one in vmctl.data("server", "list", "--locked")] == [NAME]
    vmctl.ok("server", "unlock", SPEC.id, "--reason", "audited")
    assert locked(vmctl) == (False, None)

    told = [
        (one["Action"], one["Detail"].get("reason"))
        for one in vmctl.data("events", "-c", "Action", "-c", "Detail")
        if "lock" in one["Action"]
    ]
    assert told == [
        ("server-lock", "audit 7"),
        ("server-lock", None),
        ("server-unlock", "audited"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "stop",
        "start",
        "reboot",
        "reboot --hard",
        "pause",
        "unpause",
        "suspend",
        "resume",
        "delete",
        "delete --force",
        "delete --graceful",
        "delete --dry-run",
        "stop --dry-run",
    ],
)
def test_a_lock_keeps_everything_off(stage: Stage, vmctl: Product, line: str) -> None:
    vmctl.ok("server", "lock", NAME, "--reason", "audit")
    before = stage.fleet.picture("kvm1")

    ran = vmctl.run("server", *line.split(), NAME)

    assert (ran.code, ran.out) == (15, "")
    assert f"server {NAME} is locked: audit" in ran.err
    assert stage.fleet.picture("kvm1") == before
    assert not stage.sql.operations(unfinished=True)


def test_a_lock_is_put_on_while_something_is_under_way(stage: Stage, vmctl: Product) -> None:
    begin(stage.sql, stage.world.leases, "server-stop", SPEC.id)

    vmctl.ok("server", "lock", NAME)

    assert locked(vmctl) == (True, None)


def test_those_that_are_not_there_are_told_among_the_others(vmctl: Product) -> None:
    ran = vmctl.run("server", "lock", NAME, "nobody")

    assert ran.code == 1
    assert "Failed to lock server with name or ID 'nobody'" in ran.err
    assert "1 of 2 servers failed to lock." in ran.err
    assert locked(vmctl) == (True, None)


def test_a_dry_run_locks_nothing(vmctl: Product) -> None:
    said = vmctl.ok("server", "lock", "--tag", SPEC.tags[0], "--dry-run")

    assert said == f"{NAME} ({SPEC.id}) on kvm1\n"
    assert locked(vmctl) == (False, None)
