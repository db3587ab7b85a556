"""``server set`` and ``unset``: words made changes, and what is said of them."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.product import Product
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.staged import product_on

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


def shown(vmctl: Product, *names: str) -> list[object]:
    found = vmctl.data("server", "show", SPEC.id)
    return [found[name] for name in names]


def test_what_is_set_is_shown_and_quiet(vmctl: Product) -> None:
    said = vmctl.run(
        *("server", "set", NAME, "--description", "the shop", "--property", "tier=1"),
        *("--property", "role=db", "--tag", "red", "--hostname", "shop", "--protected"),
    )

    assert (said.code, said.out, said.err) == (0, "", "")
    assert shown(
        vmctl,
        *("description", "properties", "tags", "OS-EXT-SRV-ATTR:hostname", "vmctl:protected"),
    ) == ["the shop", {"role": "db", "tier": "1"}, ["blue", "red"], "shop", True]


def test_what_is_unset_is_gone(vmctl: Product) -> None:
    vmctl.ok("server", "set", NAME, "--description", "x", "--tag", "red", "--property", "a=b")

    assert vmctl.ok("server", "unset", NAME, "--tag", "blue", "--property", "a") == ""
    assert shown(vmctl, "tags", "properties", "description") == [["red"], {"role": "web"}, "x"]
    vmctl.ok("server", "unset", NAME, "--all-tags", "--all-properties", "--description")
    assert shown(vmctl, "tags", "properties", "description") == [[], {}, None]


def test_both_names_are_shown_while_they_differ(vmctl: Product) -> None:
    ran = vmctl.run("server", "set", NAME, "--name", "shop")

    assert (ran.code, ran.err) == (0, f"shop: its domain is called {NAME} until it is off\n")
    assert shown(vmctl, "name", "OS-EXT-SRV-ATTR:instance_name") == ["shop", NAME]
    vmctl.ok("server", "stop", "--force", "shop")
    assert shown(vmctl, "name", "OS-EXT-SRV-ATTR:instance_name") == ["shop", "shop"]
    assert vmctl.run("server", "show", NAME).code == 1


def test_a_name_that_another_domain_took_meanwhile_is_told_when_it_cannot_follow(
    stage: Stage, vmctl: Product
) -> None:
    vmctl.ok("server", "set", NAME, "--name", "shop")
    with stage.fleet.state("kvm1") as state:
        (foreign,) = (one for one in state["machines"].values() if one["name"] == "foreign")
        foreign["name"] = "shop"

    ran = vmctl.run("server", "stop", "--force", "shop")

    assert ran.code == 0
    assert ran.err.startswith(f"shop: its domain is called {NAME} still: kvm1: shop is there")


def test_a_host_that_does_not_answer_is_named_with_where_it_stands(
    stage: Stage, vmctl: Product
) -> None:
    stage.fleet.set_down("kvm1", down=True)

    ran = vmctl.run("server", "set", NAME, "--tag", "dead")

    assert ran.code == 0
    assert "changed on record; kvm1 could not be asked and is to be told" in ran.err
    (owed,) = vmctl.data("operation", "list")
    assert (owed["Kind"], owed["State"], owed["Host"]) == ("set", "owed", "kvm1")
    refused = vmctl.run("server", "set", NAME, "--no-autostart")
    assert refused.code == 11
    assert "its autostart cannot be changed without its host" in refused.err
    stage.fleet.set_down("kvm1", down=False)
    assert vmctl.run("operation", "resume", "--all").code == 0
    assert vmctl.data("operation", "list") == []


def test_nothing_is_changed_where_something_is_wrong(vmctl: Product) -> None:
    before = shown(vmctl, "tags", "vmctl:protected")

    for words, code, said in (
        (("--tag", "a/b"), 2, "no tag"),
        (("--name", "no name"), 2, "no server name"),
        (("--name", "foreign"), 1, "foreign is there already"),
        (("--property", "novalue"), 2, "KEY=VALUE"),
        (("--pinned-availability-zone", "az1"), 2, "stays on its host"),
        (("--state", "paused"), 2, "paused"),
        (("--password", "a", "--no-password"), 2, "exclude each other"),
        (("--password", "secret1", "--protected", "--tag", "x"), 1, "no channel"),
        ((), 2, "nothing to set"),
    ):
        ran = vmctl.run("server", "set", NAME, *words)
        assert (ran.code, ran.out) == (code, ""), words
        assert said in ran.err, ran.err
    for words in (("--tag", "a", "--all-tags"), ("--property", "a", "--all-properties"), ()):
        assert vmctl.run("server", "unset", NAME, *words).code == 2

    assert shown(vmctl, "tags", "vmctl:protected") == before


def test_a_name_is_for_one_server(vmctl: Product) -> None:
    ran = vmctl.run("server", "set", NAME, "other", "--name", "x")

    assert ran.code == 2
    assert "for one server" in ran.err


def test_a_lock_keeps_it_all_as_it_is(vmctl: Product) -> None:
    vmctl.ok("server", "lock", NAME)

    for words in (("--tag", "x"), ("--state", "error"), ("--protected",), ("--password", "x")):
        assert vmctl.run("server", "set", NAME, *words).code == 15, words
    assert vmctl.run("server", "unset", NAME, "--all-tags").code == 15
    assert shown(vmctl, "tags", "status", "vmctl:protected") == [["blue"], "ACTIVE", False]


def test_protected_is_told_by_whoever_would_delete_it(vmctl: Product) -> None:
    vmctl.ok("server", "set", NAME, "--protected", "--reason", "the books")

    ran = vmctl.run("server", "delete", NAME)
    assert (ran.code, ran.out) == (15, "")
    assert ran.err.splitlines() == [
        f"server {NAME} is protected from being deleted",
        f"hint: vmctl server set --unprotected {NAME}",
    ]
    vmctl.ok("server", "stop", "--force", NAME)
    vmctl.ok("server", "set", NAME, "--unprotected")
    vmctl.ok("server", "delete", NAME)


def test_a_state_is_set_unasked_where_nobody_can_be_asked(vmctl: Product) -> None:
    vmctl.ok("server", "set", NAME, "--state", "error")
    assert shown(vmctl, "status") == ["ERROR"]
    vmctl.ok("server", "set", NAME, "--state", "active", "--auto-approve")
    assert shown(vmctl, "status") == ["ACTIVE"]


@pytest.mark.parametrize(
    ("answer", "status"), [("y\n", "ERROR"), ("what\nno\n", "ACTIVE"), ("", "ACTIVE")]
)
def test_a_state_is_asked_for_on_a_terminal(
    vmctl: Product, monkeypatch: pytest.MonkeyPatch, answer: str, status: str
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal(answer))

    ran = vmctl.run("server", "set", NAME, "--state", "error")

    assert ran.code == 0
    assert "Set the state of 1 server?" in ran.err
    assert shown(vmctl, "status") == [status]


def with_agent(stage: Stage) -> None:
    with stage.fleet.state("kvm1") as state:
        machine = state["machines"][SPEC.id]
        channel = "<channel type='unix'><target name='org.qemu.guest_agent.0'/></channel>"
        machine["xml"] = machine["xml"].replace("</devices>", f"{channel}</devices>")
        machine["agent"] = "answers"


def test_a_password_is_read_from_stdin_and_shows_nowhere(
    stage: Stage, vmctl: Product, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_agent(stage)
    monkeypatch.setattr("sys.stdin", io.StringIO("hunter22\n"))
    log = stage.folder / "debug.log"

    ran = vmctl.run("--log-file", str(log), "server", "set", NAME, "--password", "-")

    assert (ran.code, ran.out, ran.err) == (0, "", "")
    assert stage.fleet.picture("kvm1")["machines"][SPEC.id]["passwords"]["root"].startswith("$6$")
    told = log.read_text() + vmctl.ok("events", "-f", "json") + vmctl.ok("server", "show", NAME)
    operation = next(
        one["ID"] for one in vmctl.data("operation", "list", "--all") if "pass" in one["Kind"]
    )
    told += vmctl.ok("operation", "show", operation)
    assert "hunter22" not in told
    assert "$6$" not in told


def test_a_password_on_the_line_is_warned_of(stage: Stage, vmctl: Product) -> None:
    with_agent(stage)

    ran = vmctl.run("server", "set", NAME, "--password", "hunter22")

    assert ran.code == 0
    assert ran.err.startswith("warning: a password on the command line")
    assert "hunter22" not in ran.err
    assert vmctl.ok("server", "set", NAME, "--no-password") == ""
    assert vmctl.run("server", "set", NAME, "--root-password").code == 2


def test_a_dry_run_tells_what_would_change(stage: Stage, vmctl: Product) -> None:
    before = stage.fleet.picture("kvm1")

    said = vmctl.ok(
        *("server", "set", "--host", "kvm1", "--dry-run", "--name", "shop", "--tag", "x"),
        *("--state", "error", "--protected"),
    )

    assert said == (
        f"{NAME} ({SPEC.id}) on kvm1: name 'web-1' -> 'shop'; tags ['blue'] -> ['blue', 'x'];"
        " state error; protected\n"
    )
    assert stage.fleet.picture("kvm1") == before
    assert shown(vmctl, "status", "name", "vmctl:protected") == ["ACTIVE", NAME, False]
    assert vmctl.run("server", "set", NAME, "--dry-run", "--tag", "a,b").code == 2
