"""``server delete``: who is asked to shut down, who goes, and what a host is owed then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import by_hand
from tests.support.fake_app import on_fakes
from tests.support.looked import HOSTS
from tests.support.product import Product
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.stood import identity
from tests.support.stores import a_new
from tests.support.torture_power import obeying
from vmctl.domain.operation import OperationState
from vmctl.domain.record import UNSEEN
from vmctl.errors import Interrupted
from vmctl.sagas import CREATE
from vmctl.sagas.work import Work
from vmctl.services.delete import Grace, delete_server

NAME = SPEC.name


@pytest.fixture
def bare(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as opened:
        opened.fleet.sleep(time.time() + 60)
        yield opened


@pytest.fixture
def stage(bare: Stage) -> Stage:
    create(bare)
    return bare


@pytest.fixture
def vmctl(bare: Stage) -> Product:
    return on_fakes(bare)


def effects(stage: Stage) -> list[str]:
    """Have noted from now on what is done to power on the hosts, as `kvm1 press`."""
    done: list[str] = []

    def note(what: str) -> None:
        host, call, when = what.split()
        if when == "after" and call in ("press", "destroy"):
            done.append(f"{host} {call}")

    stage.fleet.on_effect = note
    return done


def test_a_guest_that_obeys_is_not_powered_off(vmctl: Product, stage: Stage) -> None:
    obeying(5)(stage)
    done = effects(stage)

    ran = vmctl.run("server", "delete", "--graceful", NAME)

    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert done == ["kvm1 press"]
    assert SPEC.id not in stage.fleet.picture("kvm1")["machines"]


def test_a_guest_that_does_not_is_powered_off_when_its_time_is_over(
    vmctl: Product, stage: Stage
) -> None:
    obeying(None)(stage)
    done, before = effects(stage), stage.fleet.now()

    vmctl.ok("server", "delete", "--graceful", "--timeout", "25", NAME)

    assert done == ["kvm1 press", "kvm1 press", "kvm1 press", "kvm1 destroy"]
    assert stage.fleet.now() >= before + 25
    assert SPEC.id not in stage.fleet.picture("kvm1")["machines"]


@pytest.mark.parametrize("how", ["busy", "doubled", "protected", "locked"])
def test_a_guest_whose_delete_is_refused_is_asked_nothing(
    vmctl: Product, stage: Stage, how: str
) -> None:
    if how == "doubled":
        by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id, on=True)
    elif how == "protected":
        vmctl.ok("server", "set", "--protected", NAME)
    elif how == "locked":
        vmctl.ok("server", "lock", NAME)
    done = effects(stage)

    with stage.world.leases.hold("another's") as lease:
        if how == "busy":
            stage.sql.begin(lease, a_new("some-deed", SPEC.id))
        ran = vmctl.run("server", "delete", "--graceful", NAME)
        dry = vmctl.run("server", "delete", "--dry-run", NAME)

    assert ran.code in (1, 15)
    assert (dry.code, dry.out) == (ran.code, "")
    assert done == []
    assert stage.fleet.picture("kvm1")["machines"][SPEC.id]["on"]


def test_a_guest_that_was_moved_is_asked_where_it_is(vmctl: Product, stage: Stage) -> None:
    by_hand.move(stage.fleet, "kvm1", "kvm3", SPEC.id)
    done = effects(stage)

    dry = vmctl.ok("server", "delete", "--dry-run", NAME)
    vmctl.ok("server", "delete", "--graceful", NAME)

    assert dry == f"{NAME} ({SPEC.id}) on kvm3\n"
    assert done == ["kvm3 press"]
    assert SPEC.id not in stage.fleet.picture("kvm3")["machines"]


def test_who_is_stopped_while_a_guest_is_being_asked_deletes_nothing(stage: Stage) -> None:
    obeying(20)(stage)
    until = stage.fleet.now() + 5

    def check() -> None:
        if stage.fleet.now() > until:
            raise Interrupted("stopped")

    with pytest.raises(Interrupted, match="was asked to shut down, and may still do so"):
        delete_server(
            stage.recovery, stage.sql.server(SPEC.id), grace=Grace(seconds=60, check=check)
        )

    assert stage.sql.server(SPEC.id).deleted is None
    assert stage.sql.server(SPEC.id).boot == UNSEEN
    assert not stage.sql.operations(unfinished=True)
    assert SPEC.id in stage.fleet.picture("kvm1")["machines"]
    delete_server(stage.recovery, stage.sql.server(SPEC.id))
    assert SPEC.id not in stage.fleet.picture("kvm1")["machines"]


def test_those_with_a_tag_go_and_no_others(vmctl: Product, stage: Stage) -> None:
    for number, tags in enumerate((("red",), ("red", "old"), ()), 2):
        name = f"db-{number}"
        create(stage, spec=replace(SPEC, id=identity(name), name=name, tags=tags), place=number)

    dry = vmctl.ok("server", "delete", "--tag", "red", "--tag", "old", "--dry-run")
    vmctl.ok("server", "delete", "--tag", "red")

    assert [line.split()[0] for line in dry.splitlines()] == ["db-3"]
    left = vmctl.data("server", "list")
    assert sorted(one["Name"] for one in left) == ["db-4", NAME]
    machines = stage.fleet.picture("kvm1")["machines"]
    assert identity("db-4") in machines
    assert identity("db-2") not in machines


class Died(BaseException):
    """Stands for the death of the process."""


def dies(_: Work) -> None:
    raise Died


def test_what_a_create_that_died_left_on_a_host_that_is_down_is_told_to_be_owed(
    vmctl: Product, bare: Stage
) -> None:
    steps = tuple(replace(one, do=dies) if one.name == "seed" else one for one in CREATE.steps)
    with pytest.raises(Died):
        create(bare, saga=replace(CREATE, steps=steps))
    bare.fleet.set_down("kvm1", down=True)

    ran = vmctl.run("server", "delete", NAME)

    assert ran.code == 0
    assert f"{NAME} is off the list; kvm1 could not be asked and is owed its cleanup" in ran.err
    (owed,) = bare.sql.operations(unfinished=True)
    assert owed.state is OperationState.OWED
    assert len(bare.sql.claims("kvm1")) == 1
    (told,) = [one for one in bare.sql.events(server=SPEC.id) if one.action == "server-delete"][1:]
    assert told.detail["owed"] == ["kvm1"]
    bare.fleet.set_down("kvm1", down=False)
    vmctl.ok("operation", "resume", owed.id)
    assert not bare.sql.claims("kvm1")
