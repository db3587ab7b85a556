"""``server wait`` on hosts that are folders, where time passes only as someone waits."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.sample import Ran
from tests.support.fake_app import FakeNeighbours, on_fakes
from tests.support.stage import SPEC, Stage, a_stage, create, delete, on_stage
from vmctl.domain.build import Volume
from vmctl.domain.record import ServerState

NAME = SPEC.name
LOG = Volume(name=f"{SPEC.id}-log", role="log")
OTHER = replace(SPEC, id="7c9e2f0a-3a54-4f58-9a1c-0d6b1c2e3f41", name="web-2")


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path)
    FakeNeighbours.greeted.clear()
    with on_stage(tmp_path) as opened:
        create(opened)
        yield opened


def wait(stage: Stage, *words: str, then: Any = lambda: None, after: int = 2) -> Ran:
    """Wait, and have something happen after some seconds."""
    rounds = 0

    def meanwhile() -> None:
        nonlocal rounds
        rounds += 1
        if rounds == after:
            then()

    return on_fakes(stage, meanwhile).run("--progress", "none", "server", "wait", *words)


def off(stage: Stage) -> None:
    stage.fleet.on(stage.hosts["kvm1"]).ensure_off(SPEC.id)


def said(ran: Ran) -> tuple[int, list[str]]:
    assert ran.out == ""
    return ran.code, ran.err.splitlines()


def test_a_server_that_is_so_far_is_not_waited_for(stage: Stage) -> None:
    slept = []

    ran = on_fakes(stage, lambda: slept.append(1)).run("-q", "server", "wait", NAME)

    assert (said(ran), slept) == ((0, []), [])


def test_a_change_made_by_hand_on_its_host_is_seen(stage: Stage) -> None:
    ran = wait(stage, NAME, "--for", "status=shutoff", then=lambda: off(stage))

    assert said(ran) == (0, [])
    assert stage.sql.server(NAME).state is ServerState.STOPPED


def test_a_wait_in_vain_ends_with_12_and_says_how_it_is(stage: Stage) -> None:
    began = max(time.time(), stage.fleet.now())
    ran = wait(stage, NAME, "--for", "status=SHUTOFF", "--timeout", "5")

    assert said(ran) == (
        12,
        [
            f"server {NAME}: no SHUTOFF within 5 s: it is ACTIVE",
            f"hint: vmctl server show {NAME} --refresh",
        ],
    )
    assert 5 <= stage.fleet.now() - began < 7


def test_a_server_in_error_is_not_waited_for_any_longer(stage: Stage) -> None:
    def break_it() -> None:
        with stage.sql.writing() as tx:
            tx.connection.exec_driver_sql("UPDATE servers SET state='error', fault='no disk'")

    ran = wait(stage, NAME, "--for", "ssh", then=break_it)

    assert said(ran) == (
        1,
        [
            f"server {NAME} is in ERROR: no disk",
            f"hint: vmctl server event list {NAME}",
        ],
    )
    assert wait(stage, NAME, "--for", "status=ERROR").code == 0


def test_a_domain_that_is_gone_is_not_active(stage: Stage) -> None:
    stage.fleet.on(stage.hosts["kvm1"]).ensure_undefined(SPEC.id)

    ran = wait(stage, NAME, "--timeout", "3")

    assert ran.code == 1
    assert ran.err.startswith(f"server {NAME} is in ERROR: its domain is gone from kvm1")


def test_one_that_is_being_deleted_is_waited_for_until_it_is_gone(stage: Stage) -> None:
    ran = wait(stage, NAME, "--for", "deleted", then=lambda: delete(stage))

    assert said(ran) == (0, [])
    assert said(wait(stage, NAME, "never-was", "--for", "deleted")) == (0, [])


def test_what_is_deleted_will_never_be_active(stage: Stage) -> None:
    ran = wait(stage, NAME, "--for", "status=SHUTOFF", then=lambda: delete(stage))

    assert said(ran) == (1, [f"server {NAME} is deleted: it will never be there"])


def test_a_host_that_does_not_answer_is_named_and_waited_for(stage: Stage) -> None:
    stage.fleet.set_down("kvm1", down=True)
    late = wait(stage, NAME, "--timeout", "3")
    back = wait(stage, NAME, then=lambda: stage.fleet.set_down("kvm1", down=False))

    assert late.err.startswith(f"server {NAME}: no ACTIVE within 3 s: kvm1 did not answer\n")
    assert (late.code, said(back)) == (12, (0, []))


@pytest.mark.parametrize("deed", [("reboot", "--hard"), ("reboot",)], ids=["hard", "soft"])
def test_an_address_of_the_boot_before_is_waited_for_again(
    stage: Stage, deed: tuple[str, ...]
) -> None:
    mine = on_fakes(stage)
    mine.ok("server", "wait", NAME, "--for", "ip")
    before = mine.data("server", "show", NAME)["vmctl:addresses"]
    with stage.fleet.state("kvm1") as state:
        state["machines"][SPEC.id]["deaf"] = True
    mine.ok("server", *deed, NAME)

    ran = wait(stage, NAME, "--for", "ip", "--timeout", "3")

    after = mine.data("server", "show", NAME)["vmctl:addresses"]
    (row,) = mine.data("server", "list", "--long")
    seen = {"address": "10.0.1.7", "source": "lease"}
    assert [one["observed"] for one in before] == [[seen], []]
    assert [one["observed"] for one in after] == [[], []]
    assert (ran.code, row["Address Sources"]["10.0.1.7"]) == (12, ["planned"])
    assert "10.0.1.7 (planned)" in mine.ok("server", "show", NAME)


def test_ssh_is_waited_for_at_the_addresses_that_were_seen(stage: Stage) -> None:
    ran = wait(
        stage, NAME, "--for", "ssh", then=lambda: FakeNeighbours.greeted.update({"10.0.1.7"})
    )
    vain = wait(stage, NAME, "--for", "ip", "--timeout", "0")

    assert said(ran) == (0, [])
    assert said(vain) == (0, [])
    assert "10.0.1.7" in {one.address for one in stage.sql.server(NAME).seen}


def test_no_ssh_says_what_was_tried(stage: Stage) -> None:
    ran = wait(stage, NAME, "--for", "ssh", "--timeout", "2")

    assert ran.code == 12
    assert "it has 10.0.1.7, and no ssh answers there" in ran.err


def test_cloud_init_is_waited_for_on_the_console(stage: Stage) -> None:
    def say() -> None:
        text = b"Cloud-init v. 22.4.2 finished at Sat, 21 Nov 2026"
        stage.fleet.on(stage.hosts["kvm1"]).ensure_content("default", LOG, text)

    ran = wait(stage, NAME, "--for", "cloud-init", then=say)

    assert said(ran) == (0, [])


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tea", "--for: 'tea' is nothing to wait for"),
        ("status=TEA", "--for: TEA is no status"),
        ("status", "--for: 'status' is nothing to wait for"),
    ],
)
def test_what_nobody_can_wait_for_is_refused(stage: Stage, word: str, message: str) -> None:
    ran = wait(stage, NAME, "--for", word)

    assert (ran.code, ran.err.splitlines()[0]) == (2, message)


@pytest.fixture
def two(stage: Stage) -> Stage:
    create(stage, spec=OTHER, place=9)
    return stage


def test_several_end_each_by_itself(two: Stage) -> None:
    ran = wait(
        two, NAME, "web-2", "--for", "status=SHUTOFF", "--timeout", "4", then=lambda: off(two)
    )

    assert said(ran) == (
        12,
        [
            "server web-2: no SHUTOFF within 4 s: it is ACTIVE",
            "1 of 2 servers: no status=SHUTOFF.",
        ],
    )


def test_another_failure_beside_a_wait_in_vain_ends_with_1(two: Stage) -> None:
    ran = wait(two, NAME, "nope", "--for", "status=SHUTOFF", "--timeout", "1")

    assert ran.code == 1
    assert ran.err.splitlines()[-1] == "2 of 2 servers: no status=SHUTOFF."


def test_an_interrupted_wait_says_how_far_each_was(two: Stage) -> None:
    rounds = iter(range(10_000))

    def meanwhile() -> None:
        if next(rounds) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05)  # the main thread hears it, while the clock of the hosts goes on

    vmctl = on_fakes(two, meanwhile)
    ran = vmctl.run("--progress", "none", "server", "wait", NAME, "web-2", "--for", "status=PAUSED")

    assert ran.code == 130
    assert f"server {NAME}: nobody waits for PAUSED any more: it is ACTIVE" in ran.err
    assert "server web-2: nobody waits for PAUSED any more: it is ACTIVE" in ran.err


def test_its_progress_is_told_once_for_each_change(stage: Stage) -> None:
    rounds = iter(range(1000))
    meanwhile = on_fakes(stage, lambda: off(stage) if next(rounds) == 3 else None)

    ran = meanwhile.run("--progress", "plain", "server", "wait", NAME, "--for", "status=SHUTOFF")

    assert ran.err.splitlines() == [f"{NAME}: it is ACTIVE on kvm1", f"{NAME}: is SHUTOFF on kvm1"]
