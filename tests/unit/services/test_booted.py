"""Hosts that were booted after something was done to a server: until it is seen nobody knows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.support import by_hand
from tests.support.built import Deed
from tests.support.deeds_done import FORCED, HARD, START, STOP
from tests.support.fake_app import FakeNeighbours
from tests.support.looked import look, status
from tests.support.stage import NETWORKS, SPEC, Stage, a_stage, create, on_stage
from tests.support.tables import Killed, dying
from tests.support.torture_rebuild import rebuilding, rescuing
from tests.support.trying import RESUME
from vmctl.adapters.schema import hosts as hosts_table
from vmctl.domain.inventory import Inventory
from vmctl.sagas import CREATE
from vmctl.sagas.work import Work
from vmctl.scheduler.policy import Policy
from vmctl.services import hosts
from vmctl.services.claiming import Claims
from vmctl.services.judging import Judge

Claim = Callable[[Work], None]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path / "stage")
    with on_stage(tmp_path / "stage") as opened:
        opened.fleet.sleep(time.time() + 60)
        boot(opened, "first")
        ask(opened)
        yield opened


def boot(stage: Stage, name: str) -> None:
    """Boot the host; nothing starts by itself."""
    stage.fleet.sleep(1)
    by_hand.reboot_host(stage.fleet, "kvm1", name)
    with stage.fleet.state("kvm1") as state:
        for machine in state["machines"].values():
            machine["on"] = False


def ask(stage: Stage) -> None:
    """Look at the hosts, and at none of their servers."""
    stage.fleet.sleep(1)
    store = stage.sql
    records = {one.name: one for one in store.hosts()}
    world = stage.world
    hosts.look(list(stage.hosts.values()), world.prober, records, lambda: store, world.clock)


def claims(stage: Stage) -> Claim:
    """Claim as a create does, under the leases and after a look."""
    stage.hosts["kvm1"] = replace(stage.hosts["kvm1"], networks=tuple(NETWORKS))
    inventory = Inventory(path="", hosts=stage.hosts, networks=NETWORKS)
    judge = Judge(inventory, Policy(), stage.fleet.now)
    return Claims(stage.world, inventory, FakeNeighbours(), judge, tuple).claim


@pytest.mark.parametrize("on", [True, False], ids=["running", "off"])
def test_a_server_that_was_just_made_is_not_known_after_its_host_was_booted(
    stage: Stage, *, on: bool
) -> None:
    create(stage, spec=replace(SPEC, start=on))
    made = "ACTIVE" if on else "SHUTOFF"
    ask(stage)
    assert status(stage) == made

    boot(stage, "second")
    assert status(stage) == made
    ask(stage)
    assert status(stage) == "UNKNOWN"

    look(stage)
    assert status(stage) == "SHUTOFF"


def test_a_server_goes_by_the_boot_in_which_it_was_claimed(stage: Stage) -> None:
    boot(stage, "second")
    create(stage, claim=claims(stage))
    assert stage.sql.host("kvm1").boot == "first"

    ask(stage)
    assert status(stage) == "ACTIVE"
    boot(stage, "third")
    ask(stage)
    assert status(stage) == "UNKNOWN"


@pytest.mark.parametrize(("step", "after"), [("start", "ACTIVE"), ("autostart", "UNKNOWN")])
def test_a_create_that_is_resumed_in_another_boot_vouches_only_for_what_it_did(
    stage: Stage, step: str, after: str
) -> None:
    with suppress(Killed):
        create(stage, saga=dying(CREATE, step))
    boot(stage, "second")
    ask(stage)

    RESUME(stage)

    assert status(stage) == after
    look(stage)
    assert status(stage) == ("ACTIVE" if step == "start" else "SHUTOFF")


@pytest.mark.parametrize("deed", [STOP, FORCED, HARD, rebuilding(), rescuing()])
def test_whatever_was_done_to_a_server_it_is_not_known_after_its_host_was_booted(
    stage: Stage, deed: Deed
) -> None:
    create(stage)
    deed(stage)
    assert status(stage) != "UNKNOWN"

    boot(stage, "second")
    ask(stage)

    assert status(stage) == "UNKNOWN"


def test_a_server_whose_host_was_never_asked_is_known_by_its_next_deed(stage: Stage) -> None:
    with stage.sql.writing() as tx:
        tx.connection.execute(update(hosts_table).values(boot=None))
    create(stage)
    ask(stage)
    STOP(stage)
    assert stage.sql.server(SPEC.id).boot == "first"
    START(stage)
    boot(stage, "second")
    ask(stage)

    assert status(stage) == "UNKNOWN"
