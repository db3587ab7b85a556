"""A server that stands on two hosts, seen by nobody yet: what is done to it, and what is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import by_hand
from tests.support.fake_app import have_agent, on_fakes
from tests.support.fake_host import FakeFleet
from tests.support.fake_hypervisor import FakeHypervisor
from tests.support.looked import HOSTS
from tests.support.product import Product
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.stood import identity
from vmctl.domain.host import Host

NAME = SPEC.name
BOTH = f"server {NAME} stands on kvm1 and on kvm2"


class Asked(FakeFleet):
    """Hosts that say who was asked, how often."""

    @property
    def asked(self) -> list[str]:
        if not hasattr(self, "_asked"):
            self._asked: list[str] = []
        return self._asked

    def on(self, host: Host) -> FakeHypervisor:
        self.asked.append(host.name)
        return super().on(host)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as opened:
        opened.fleet = Asked(opened.fleet.folder)
        opened.fleet.sleep(time.time() + 60)
        create(opened)
        yield opened


@pytest.fixture
def vmctl(stage: Stage) -> Product:
    return on_fakes(stage)


def asked(stage: Stage) -> list[str]:
    assert isinstance(stage.fleet, Asked)
    return stage.fleet.asked


def copies(stage: Stage) -> list[object]:
    """What there is of the server on each of its hosts."""
    return [stage.fleet.picture(host)["machines"].get(SPEC.id) for host in ("kvm1", "kvm2")]


def doubled(stage: Stage, word: str) -> None:
    """Have it run on kvm2 too, and be on kvm1 what a word says."""
    by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id, on=True)
    changes = {"off": by_hand.switch_off, "paused": by_hand.pause, "saved": by_hand.save}
    if word in changes:
        changes[word](stage.fleet, "kvm1", SPEC.id)


DEEDS = (
    *("start", "stop", "stop --force", "reboot", "reboot --hard", "pause", "unpause"),
    *("suspend", "resume", "rescue", "unrescue", "rebuild", "delete", "delete --force"),
    *("delete --graceful", "delete --dry-run", "start --dry-run", "set --description x"),
)


def refused_naming_both(vmctl: Product, stage: Stage, line: str) -> None:
    before = copies(stage)

    ran = vmctl.run("server", *line.split(), NAME)

    assert (ran.code, ran.out) == (1, ""), ran
    assert BOTH in ran.err
    assert copies(stage) == before
    assert stage.sql.server(SPEC.id).deleted is None
    assert not stage.sql.operations(unfinished=True)


@pytest.mark.parametrize("line", DEEDS)
def test_nothing_is_done_to_one_that_is_off_here_against_the_record_and_runs_there(
    vmctl: Product, stage: Stage, line: str
) -> None:
    doubled(stage, "off")

    refused_naming_both(vmctl, stage, line)


@pytest.mark.parametrize(
    ("word", "line"),
    [
        *(("off", line) for line in ("start", "reboot --hard", "rescue", "rebuild", "delete")),
        *(("off", line) for line in ("start --dry-run", "delete --dry-run")),
        *(("on", line) for line in ("reboot --hard", "rescue", "rebuild", "delete")),
        *(("on", line) for line in ("delete --graceful", "delete --force", "delete --dry-run")),
        *(("paused", line) for line in ("unpause", "reboot --hard", "delete")),
        *(("saved", line) for line in ("resume", "reboot --hard", "delete")),
        *(("rescued", line) for line in ("unrescue", "delete")),
    ],
)
def test_what_powers_on_makes_anew_or_removes_looks_on_all_hosts_first(
    vmctl: Product, stage: Stage, word: str, line: str
) -> None:
    ways = {"off": ("stop",), "paused": ("pause",), "saved": ("suspend",), "rescued": ("rescue",)}
    for before in ways.get(word, ()):
        vmctl.ok("server", before, NAME)
    doubled(stage, "as it is")

    refused_naming_both(vmctl, stage, line)


@pytest.mark.parametrize("line", ["stop --force", "reboot", "pause", "suspend"])
def test_what_its_host_shows_to_be_as_expected_and_only_ends_there_asks_nobody_else(
    vmctl: Product, stage: Stage, line: str
) -> None:
    asked(stage).clear()

    vmctl.ok("server", *line.split(), NAME)

    assert set(asked(stage)) == {"kvm1"}


def test_what_its_state_forbids_asks_nobody_else(vmctl: Product, stage: Stage) -> None:
    asked(stage).clear()

    assert "it must be SHUTOFF" in vmctl.run("server", "start", NAME).err

    assert set(asked(stage)) == {"kvm1"}


def several(stage: Stage, count: int = 5) -> list[str]:
    """Have more servers on kvm1."""
    names = []
    for number in range(2, count + 2):
        name = f"db-{number}"
        create(stage, spec=replace(SPEC, id=identity(name), name=name), place=number)
        names.append(name)
    return names


def test_of_several_servers_each_other_host_is_asked_once(vmctl: Product, stage: Stage) -> None:
    names = several(stage)
    vmctl.ok("server", "stop", "--force", *names)
    by_hand.copy_to(stage.fleet, "kvm1", "kvm3", identity(names[0]), on=True)
    asked(stage).clear()

    ran = vmctl.run("server", "start", *names)

    assert (ran.code, ran.err.splitlines()[-1]) == (1, "1 of 5 servers failed to start.")
    assert f"server {names[0]} stands on kvm1 and on kvm3" in ran.err
    assert [asked(stage).count(host) for host in ("kvm2", "kvm3")] == [1, 1]
    assert [stage.sql.server(name).state.value for name in names] == ["stopped"] + ["active"] * 4


def test_another_host_that_is_silent_is_in_nobodys_way(vmctl: Product, stage: Stage) -> None:
    vmctl.ok("server", "stop", "--force", NAME)
    stage.fleet.set_down("kvm3", down=True)

    ran = vmctl.run("server", "start", NAME)
    vmctl.ok("server", "stop", "--force", NAME)
    told = vmctl.run("-v", "server", "start", NAME)

    assert (ran.code, ran.err) == (0, "")
    assert "kvm3 did not answer: whether anything of these servers is there is not known" in (
        told.err
    )


def test_one_whose_own_host_is_silent_is_not_deleted_while_another_has_it(
    vmctl: Product, stage: Stage
) -> None:
    doubled(stage, "on")
    stage.fleet.set_down("kvm1", down=True)

    refused_naming_both(vmctl, stage, "delete")


@pytest.mark.parametrize(
    "line", [f"refresh {NAME}", f"show {NAME} --refresh", "list --refresh -f value -c Name"]
)
def test_whoever_looks_again_looks_on_all_hosts(vmctl: Product, stage: Stage, line: str) -> None:
    doubled(stage, "on")

    ran = vmctl.run("server", *line.split())

    assert ran.code == 0
    assert f"{NAME} stands on kvm1 and on kvm2: nothing is done to it" in ran.err
    assert vmctl.data("server", "show", NAME)["vmctl:also_on"] == ["kvm2"]


@pytest.mark.parametrize("line", [f"refresh {NAME}", f"show {NAME} --refresh", "list --refresh"])
def test_a_look_at_some_servers_waits_for_no_host_that_they_are_not_on(
    vmctl: Product, stage: Stage, line: str
) -> None:
    stage.fleet.set_down("kvm3", down=True)

    quiet = vmctl.run("server", *line.split())
    told = vmctl.run("-v", "server", *line.split())

    assert (quiet.code, quiet.err) == (0, "")
    assert "kvm3 did not answer: whether" in told.err


@pytest.mark.parametrize(
    "line", [f"server exec {NAME} -- true", f"ssh {NAME}", f"console attach {NAME}",
             f"console url show {NAME}"]
)  # fmt: skip
def test_nobody_enters_one_that_was_seen_on_two_hosts(
    vmctl: Product, stage: Stage, line: str
) -> None:
    have_agent(stage.fleet, "kvm1")
    doubled(stage, "on")
    vmctl.run("server", "refresh")

    ran = vmctl.run(*line.split())

    assert (ran.code, ran.out) == (1, "")
    assert BOTH in ran.err


def test_one_that_is_on_one_host_again_is_entered(vmctl: Product, stage: Stage) -> None:
    have_agent(stage.fleet, "kvm1")
    doubled(stage, "on")
    vmctl.run("server", "refresh")
    by_hand.switch_off(stage.fleet, "kvm2", SPEC.id)
    by_hand.undefine(stage.fleet, "kvm2", SPEC.id)

    assert vmctl.ok("server", "exec", NAME, "--", "echo", "here") == "here\n"


def test_the_log_of_one_on_two_hosts_is_read_and_says_so(vmctl: Product, stage: Stage) -> None:
    doubled(stage, "on")
    vmctl.run("server", "refresh")

    ran = vmctl.run("console", "log", "show", NAME)

    assert ran.code == 0
    assert f"{NAME}, on kvm1, was seen on kvm2 as well" in ran.err


@pytest.mark.parametrize("line", ["lock", "unlock", "set --protected", "set --state error"])
def test_what_stands_on_record_alone_may_be_said_of_one_on_two_hosts(
    vmctl: Product, stage: Stage, line: str
) -> None:
    doubled(stage, "on")
    vmctl.run("server", "refresh")
    before = copies(stage)

    vmctl.ok("server", *line.split(), NAME)

    assert copies(stage) == before


def test_a_command_goes_where_its_server_was_moved(vmctl: Product, stage: Stage) -> None:
    have_agent(stage.fleet, "kvm1")
    by_hand.move(stage.fleet, "kvm1", "kvm3", SPEC.id)

    ran = vmctl.run("server", "exec", NAME, "--", "echo", "here")

    assert (ran.code, ran.out) == (0, "here\n")
    assert f"{NAME}: it was moved, kvm1 -> kvm3" in ran.err


@pytest.mark.parametrize(
    "line", [f"server exec {NAME} -- true", f"console attach {NAME}", f"console url show {NAME}"]
)
def test_who_would_enter_one_that_is_gone_is_told_what_to_do(
    vmctl: Product, stage: Stage, line: str
) -> None:
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    by_hand.undefine(stage.fleet, "kvm1", SPEC.id)

    ran = vmctl.run(*line.split())

    assert ran.code == 1
    assert f"server {NAME} is not on kvm1: its domain is gone" in ran.err
    assert f"hint: vmctl server show {NAME}" in ran.err
