"""``server exec`` on hosts that are folders, whose guests' programs are this machine's own."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.support.fake_app import have_agent
from tests.support.product import Product
from tests.support.stage import SPEC, Stage

NAME = SPEC.name


@pytest.fixture
def agent(stage: Stage) -> None:
    have_agent(stage.fleet, "kvm1")


def run(vmctl: Product, *words: str) -> tuple[int, str, str]:
    ran = vmctl.run("server", "exec", *words)
    return ran.code, ran.out, ran.err


@pytest.mark.usefixtures("agent")
def test_a_commands_streams_and_its_exit_code_are_its_own(vmctl: Product) -> None:
    script = "echo out; echo err >&2; exit 3"

    assert run(vmctl, NAME, "--", "sh", "-c", script) == (3, "out\n", "err\n")


@pytest.mark.usefixtures("agent")
def test_a_command_gets_its_words_as_they_are(vmctl: Product) -> None:
    words = ["a b", "$(id)", "-v", "--", "'\"", ""]

    code, out, _ = run(vmctl, NAME, "--", "printf", "%s|", *words)

    assert (code, out) == (0, "".join(f"{word}|" for word in words))


@pytest.mark.usefixtures("agent")
def test_a_command_reads_a_file(vmctl: Product, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("given\n")

    assert run(vmctl, NAME, "--stdin", str(tmp_path / "given"), "--", "cat") == (0, "given\n", "")
    code, _, err = run(vmctl, NAME, "--stdin", str(tmp_path / "nope"), "--", "cat")
    assert (code, err.splitlines()[0]) == (
        2,
        f"--stdin: {tmp_path / 'nope'}: No such file or directory",
    )


@pytest.mark.usefixtures("agent")
def test_more_than_an_agent_takes_is_refused_before_it_is_asked(
    vmctl: Product, tmp_path: Path
) -> None:
    (tmp_path / "much").write_bytes(bytes((1 << 20) + 1))

    code, _, err = run(vmctl, NAME, "--stdin", str(tmp_path / "much"), "--", "false")

    assert code == 2
    assert "more than 1 MiB does not go through a guest agent" in err


@pytest.mark.usefixtures("agent")
def test_a_signal_ends_with_its_number(vmctl: Product) -> None:
    assert run(vmctl, NAME, "--", "sh", "-c", "kill -15 $$")[0] == 143


@pytest.mark.usefixtures("agent")
def test_what_takes_too_long_runs_on_and_says_how_to_end_it(vmctl: Product) -> None:
    code, out, err = run(vmctl, NAME, "--timeout", "0.1", "--", "sleep", "2")

    told = err.splitlines()
    number = told[0].rpartition(" ")[2]
    assert (code, out) == (12, "")
    assert told == [
        f"no end within 0.1 s: the command runs on in server {NAME} as process {number}",
        f"hint: vmctl server exec {NAME} -- kill {number}",
    ]
    assert run(vmctl, NAME, "--", "kill", number)[0] == 0


@pytest.mark.usefixtures("agent")
def test_who_interrupts_is_told_that_the_command_runs_on(vmctl: Product) -> None:
    def press() -> None:
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    code, _, err = run(vmctl, NAME, "--", "sleep", "3")
    thread.join()

    assert code == 130
    assert f"interrupted: the command runs on in server {NAME} as process" in err


@pytest.mark.usefixtures("agent")
def test_a_program_that_is_not_there_is_named(vmctl: Product) -> None:
    code, _, err = run(vmctl, NAME, "--", "no-such-program")

    assert code == 1
    assert err.startswith(f"server {NAME}: ")
    assert "no-such-program" in err


def test_a_guest_without_an_agent_is_told_with_what_to_do(vmctl: Product) -> None:
    code, _, err = run(vmctl, NAME, "--", "true")

    assert code == 1
    assert err.startswith(f"server {NAME} has no guest agent to ask: ")
    assert "\nhint: " in err


def test_an_agent_that_does_not_answer_is_a_wait_in_vain(vmctl: Product, stage: Stage) -> None:
    have_agent(stage.fleet, "kvm1", "silent")

    assert run(vmctl, NAME, "--", "true")[0] == 12


def test_nobody_is_asked_in_a_server_that_is_off(vmctl: Product, stage: Stage) -> None:
    stage.fleet.on(stage.hosts["kvm1"]).ensure_off(SPEC.id)
    assert vmctl.run("server", "list", "--refresh").code == 0

    code, _, err = run(vmctl, NAME, "--", "true")

    assert (code, err.splitlines()[-1]) == (
        1,
        f"server {NAME} is SHUTOFF: there is no one to answer",
    )


@pytest.mark.usefixtures("agent")
def test_a_server_that_was_off_on_record_only_is_asked(vmctl: Product, stage: Stage) -> None:
    hypervisor = stage.fleet.on(stage.hosts["kvm1"])
    hypervisor.ensure_off(SPEC.id)
    assert vmctl.run("server", "list", "--refresh").code == 0
    hypervisor.ensure_running(SPEC.id)

    assert run(vmctl, NAME, "--", "echo", "here")[:2] == (0, "here\n")


def test_a_server_that_runs_on_record_only_is_told_to_be_off(vmctl: Product, stage: Stage) -> None:
    stage.fleet.on(stage.hosts["kvm1"]).ensure_off(SPEC.id)

    code, _, err = run(vmctl, NAME, "--", "true")

    assert (code, err.splitlines()) == (
        1,
        [
            f"server {NAME} does not run: there is no one to ask",
            f"hint: vmctl server show {NAME} --refresh",
        ],
    )


def test_a_command_must_be_given(vmctl: Product) -> None:
    assert run(vmctl, NAME)[0] == 2
