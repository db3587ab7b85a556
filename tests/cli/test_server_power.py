"""The power of servers by the command line: which, how many, how each ended, and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pair import DB, WEB, a_pair
from tests.support.product import Product
from tests.support.stage import Stage
from tests.support.staged import product_on
from vmctl.domain.record import shown_status
from vmctl.domain.spec import ServerSpec

BOTH = (WEB, DB)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with a_pair(tmp_path) as opened:
        yield opened


@pytest.fixture
def vmctl(stage: Stage) -> Product:
    return product_on(stage)


BEFORE = {
    "start": "stop",
    "stop": "",
    "reboot": "",
    "reboot --hard": "",
    "pause": "",
    "unpause": "pause",
    "suspend": "",
    "resume": "suspend",
}
"""What brings a server that runs to where it permits the deed."""

AFTER = {"stop": "SHUTOFF", "pause": "PAUSED", "suspend": "SUSPENDED"}
"""Where it leads; all others have it run."""

DEEDS = list(BEFORE)


def status(stage: Stage, spec: ServerSpec = WEB) -> str:
    server = stage.sql.server(spec.id)
    return shown_status(server.state, server.task)


def made_ready(vmctl: Product, deed: str, *names: str) -> None:
    if BEFORE[deed]:
        vmctl.ok("server", BEFORE[deed], *(names or (WEB.name, DB.name)))


def deaf(stage: Stage) -> None:
    """Have the guest on kvm1 not obey its power button."""
    with stage.fleet.state("kvm1") as state:
        state["machines"][WEB.id]["obeys"] = None


@pytest.mark.parametrize("deed", DEEDS)
def test_it_is_done_to_each_that_is_named_and_said_in_no_word(
    stage: Stage, vmctl: Product, deed: str
) -> None:
    made_ready(vmctl, deed)

    ran = vmctl.run("server", *deed.split(), WEB.name, DB.id)

    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert [status(stage, one) for one in BOTH] == [AFTER.get(deed, "ACTIVE")] * 2


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("words", ["--tag books", "--host kvm2", "--tag blue --host kvm2"])
def test_it_is_done_to_those_that_are_like_what_is_said(
    stage: Stage, vmctl: Product, deed: str, words: str
) -> None:
    made_ready(vmctl, deed)
    before = stage.fleet.picture("kvm1")

    assert vmctl.ok("server", *deed.split(), *words.split()) == ""

    assert status(stage, DB) == AFTER.get(deed, "ACTIVE")
    assert stage.fleet.picture("kvm1") == before


@pytest.mark.parametrize("deed", DEEDS)
def test_where_one_fails_the_other_does_not_and_both_are_told_apart(
    stage: Stage, vmctl: Product, deed: str
) -> None:
    made_ready(vmctl, deed)
    stage.fleet.set_down("kvm1", down=True)

    ran = vmctl.run("server", *deed.split(), WEB.name, DB.name)

    assert (ran.code, ran.out) == (1, "")
    assert "kvm1 did not answer" in ran.err
    assert ran.err.splitlines()[-1] == (f"1 of 2 servers failed to {deed.split(maxsplit=1)[0]}.")
    assert status(stage, DB) == AFTER.get(deed, "ACTIVE")


@pytest.mark.parametrize("deed", DEEDS)
def test_why_it_was_done_is_read_in_the_events(vmctl: Product, deed: str) -> None:
    made_ready(vmctl, deed)

    vmctl.ok("server", *deed.split(), WEB.name, "--reason", "new racks")

    action = f"server-{deed.split(maxsplit=1)[0]}"
    told = [one for one in vmctl.data("events", "--server", WEB.name) if one["Action"] == action]
    assert [one["Message"] for one in told] == ["new racks", None]
    listed = vmctl.data("server", "event", "list", WEB.name, "--long")[0]
    assert listed["Message"] == "new racks"
    shown = vmctl.data("server", "event", "show", WEB.name, listed["Request ID"])
    assert shown["message"] == "new racks"
    said = vmctl.ok(
        *("server", "event", "show", WEB.name, listed["Request ID"]), "-c", "vmctl:said"
    )
    assert "started: new racks" in said


def test_why_it_was_done_is_told_beside_what_went_wrong(stage: Stage, vmctl: Product) -> None:
    deaf(stage)
    stage.fleet.lose = lambda call: "lost" if call == "kvm1 destroy" else ""

    ran = vmctl.run("server", "stop", WEB.name, "--timeout", "1", "--reason", "new racks")

    assert ran.code == 11
    message = vmctl.data("server", "event", "list", WEB.name, "--long")[0]["Message"]
    assert message == "kvm1: destroy did not end in time (reason: new racks)"


@pytest.mark.parametrize("deed", DEEDS)
def test_a_dry_run_says_to_which_it_would_be_done_and_what_forbids_it(
    stage: Stage, vmctl: Product, deed: str
) -> None:
    made_ready(vmctl, deed)
    vmctl.ok("server", "lock", DB.name)
    before = [stage.fleet.picture(host) for host in stage.hosts]

    ran = vmctl.run("server", *deed.split(), WEB.name, DB.name, "--dry-run")

    assert (ran.code, ran.out) == (1, f"{WEB.name} ({WEB.id}) on kvm1\n")
    assert f"server {DB.name} is locked" in ran.err
    assert [stage.fleet.picture(host) for host in stage.hosts] == before


def test_a_stop_gives_the_guest_its_time_and_then_takes_the_power_away(
    stage: Stage, vmctl: Product
) -> None:
    deaf(stage)
    began = stage.fleet.now()

    vmctl.ok("server", "stop", WEB.name, "--timeout", "30")

    assert 30 <= stage.fleet.now() - began < 40
    assert status(stage) == "SHUTOFF"


def test_a_stop_by_force_waits_for_nobody(stage: Stage, vmctl: Product) -> None:
    deaf(stage)
    began = stage.fleet.now()

    vmctl.ok("server", "stop", WEB.name, "--force")

    assert stage.fleet.now() - began < 1
    assert status(stage) == "SHUTOFF"


@pytest.mark.parametrize("how", ["--soft", "--hard"])
def test_a_reboot_that_is_waited_for_says_complete_as_openstack_does(
    stage: Stage, vmctl: Product, how: str
) -> None:
    assert vmctl.ok("server", "reboot", how, "--wait", WEB.name, DB.name) == "Complete\n"
    said = vmctl.ok("server", "reboot", how, "--wait", WEB.name, "--dry-run")
    assert said == f"{WEB.name} ({WEB.id}) on kvm1\n"
    assert vmctl.ok("server", "reboot", how, "--wait", "--host", "kvm3") == ""

    stage.fleet.set_down("kvm1", down=True)
    assert vmctl.run("server", "reboot", how, "--wait", WEB.name, DB.name).out == ""


ALL = (
    *DEEDS,
    *("lock", "unlock", "rescue", "unrescue", "rebuild"),
    *("set --description x", "unset --description", "delete"),
)


@pytest.mark.parametrize("deed", ALL)
def test_every_deed_takes_the_words_of_every_deed(vmctl: Product, deed: str) -> None:
    words = ("--timeout", "60", "--wait", "--reason", "x", "--dry-run", "--all-projects")

    ran = vmctl.run("server", *deed.split(), "--host", "kvm3", *words)

    assert ran.code == 0, ran


@pytest.mark.parametrize(
    "deed", ["start", "pause", "unpause", "suspend", "resume", "reboot --hard"]
)
def test_what_is_not_done_in_its_time_is_undone(stage: Stage, vmctl: Product, deed: str) -> None:
    made_ready(vmctl, deed)
    before, was = stage.fleet.picture("kvm1"), status(stage)

    ran = vmctl.run("server", *deed.split(), WEB.name, "--timeout", "0")

    assert (ran.code, ran.out) == (12, "")
    assert f"server {WEB.name} was not " in ran.err
    assert f"within 0 s: nothing of it is under way any more, and it is {was}" in ran.err
    assert (stage.fleet.picture("kvm1"), status(stage)) == (before, was)


def test_a_suspend_that_takes_too_long_has_the_server_go_on(stage: Stage, vmctl: Product) -> None:
    ran = vmctl.run("server", "suspend", WEB.name, "--timeout", "1")

    assert ran.code == 12
    assert f"server {WEB.name} was not suspended within 1 s" in ran.err
    assert "it is ACTIVE" in ran.err
    assert not stage.sql.operations(unfinished=True)
    stage.fleet.sleep(60)
    machine = stage.fleet.picture("kvm1")["machines"][WEB.id]
    assert (machine["on"], machine["paused"]) == (True, False)


def slow(stage: Stage, effect: str) -> None:
    """Have an effect on kvm1 take ten seconds."""

    def pass_by(call: str) -> None:
        if call == f"kvm1 {effect} after":
            stage.fleet.sleep(10)

    stage.fleet.on_effect = pass_by


def test_what_cannot_be_undone_in_time_is_said_with_how_to_go_on(
    stage: Stage, vmctl: Product
) -> None:
    slow(stage, "destroy")
    stage.fleet.lose = lambda call: "lost" if call == "kvm1 start" else ""

    ran = vmctl.run("server", "reboot", "--hard", WEB.name, "--timeout", "5")

    assert ran.code == 12
    assert "not rebooted within 5 s, and what was begun of it could not be undone" in ran.err
    (left,) = stage.sql.operations(unfinished=True)
    assert f"vmctl operation resume {left.id}" in ran.err


def test_a_hard_reboot_out_of_time_has_the_server_run_again(stage: Stage, vmctl: Product) -> None:
    slow(stage, "destroy")

    ran = vmctl.run("server", "reboot", "--hard", WEB.name, "--timeout", "5")

    assert ran.code == 12
    assert "was not rebooted within 5 s" in ran.err
    assert status(stage) == "ACTIVE"
    assert stage.fleet.picture("kvm1")["machines"][WEB.id]["on"]


def test_several_that_are_all_too_late_end_with_the_code_of_a_time_limit(vmctl: Product) -> None:
    ran = vmctl.run("server", "pause", WEB.name, DB.name, "--timeout", "0")

    assert ran.code == 12
    assert ran.err.splitlines()[-1] == "2 of 2 servers were not paused in time."


def test_a_lock_is_put_on_whatever_time_it_is_given(vmctl: Product) -> None:
    vmctl.ok("server", "lock", WEB.name, "--timeout", "0")
    assert vmctl.data("server", "show", WEB.name)["locked"]
    vmctl.ok("server", "unlock", WEB.name, "--timeout", "0")
    assert not vmctl.data("server", "show", WEB.name)["locked"]


def test_what_is_not_set_in_its_time_is_as_it_was(stage: Stage, vmctl: Product) -> None:
    before = stage.fleet.picture("kvm1")

    ran = vmctl.run("server", "set", WEB.name, "--description", "late", "--timeout", "0")

    assert ran.code == 12
    assert f"server {WEB.name} was not set within 0 s" in ran.err
    assert vmctl.data("server", "show", WEB.name)["description"] is None
    assert stage.fleet.picture("kvm1") == before
