"""How scripts travel, and what sudo's refusals look like."""

from __future__ import annotations

import logging
import shutil
import subprocess
import time

import pytest

from vmctl.adapters.local_shell import LocalShell
from vmctl.adapters.scripts import OUTPUT_LIMIT, command, encode, spoken, sudo_refusal
from vmctl.domain.completed import Completed
from vmctl.domain.host import Host
from vmctl.errors import LoginRefused, RemoteFailed, RemoteTimedOut

HERE = Host(name="here", address="here", connection="local")
AWKWARD = """echo "it's \\\\ 100% \\$HOME !x `echo sub`" | cat; echo 'two
lines'"""


@pytest.fixture
def shell() -> LocalShell:
    return LocalShell(HERE)


@pytest.mark.parametrize("login", ["sh", "bash", "busybox sh", "fish", "tcsh", "zsh", "ksh"])
def test_any_login_shell_hands_a_script_on_unharmed(login: str) -> None:
    if shutil.which(login.split(maxsplit=1)[0]) is None:
        pytest.skip(f"no {login} here")
    script = encode(AWKWARD)
    by_stdin = command(become=False, limit=5, script=script, more=True)
    by_words = spoken(become=False, limit=5, script=script + b"\ncat")

    for line, given, more in ((by_stdin, script + b"more", b""), (by_words, b"more", b"more")):
        done = subprocess.run(
            [*login.split(), "-c", line], input=given, capture_output=True, check=False
        )

        assert done.stdout == b"it's \\ 100% $HOME !x sub\ntwo\nlines\n" + more
        assert done.returncode == 0


def test_what_follows_the_script_is_its_stdin(shell: LocalShell) -> None:
    done = shell.run("wc -c; exit 7", stdin=b"x" * 300_000)

    assert (done.text.strip(), done.exit_code) == ("300000", 7)


def test_a_script_without_stdin_finds_it_empty(shell: LocalShell) -> None:
    assert shell.run("cat; echo end").text == "end\n"


def test_stdout_and_stderr_stay_apart(shell: LocalShell) -> None:
    done = shell.run("echo out; echo err >&2")

    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


def test_a_command_ends_at_its_limit(shell: LocalShell) -> None:
    began = time.monotonic()

    with pytest.raises(RemoteTimedOut, match=r"did not end within 0\.3 s"):
        shell.run("sleep 60", timeout=0.3)
    assert time.monotonic() - began < 2


def test_what_a_command_started_ends_with_it(shell: LocalShell) -> None:
    with pytest.raises(RemoteTimedOut):
        shell.run("sleep 61.25 & wait", timeout=0.3)

    until = time.monotonic() + 2
    while still_there("sleep 61.2[5]") and time.monotonic() < until:
        time.sleep(0.02)
    assert not still_there("sleep 61.2[5]")


def still_there(pattern: str) -> bool:
    return (
        subprocess.run(["pgrep", "-f", pattern], capture_output=True, check=False).returncode == 0
    )


def test_output_is_bounded(shell: LocalShell) -> None:
    with pytest.raises(RemoteFailed, match="more than 8 MiB"):
        shell.run(f"head -c {OUTPUT_LIMIT + 1} /dev/zero; sleep 30", timeout=20)
    assert len(shell.run(f"head -c {OUTPUT_LIMIT} /dev/zero").stdout) == OUTPUT_LIMIT


def test_programs_of_root_are_found_by_everyone(shell: LocalShell) -> None:
    assert ":/usr/sbin:" in shell.run("echo $PATH:").text


def test_neither_script_nor_output_gets_into_a_message_or_a_log(
    shell: LocalShell, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    done = shell.run("echo hunter2 # hunter2", stdin=b"hunter2")
    with pytest.raises(RemoteTimedOut) as raised:
        shell.run("sleep 9 # hunter2", timeout=0.1)

    shown = repr(done) + repr(raised.value) + str(raised.value.hint) + caplog.text
    assert "hunter2" not in shown
    assert "hunter2" not in command(become=True, limit=1, script=b"hunter2", more=True)


@pytest.mark.parametrize(
    ("code", "stderr", "words"),
    [
        (1, b"sudo: a password is required\n", "without a password"),
        (1, b"sudo: sorry, you must have a tty to run sudo\n", "without a password"),
        (1, b"ops is not in the sudoers file.\n", "without a password"),
        (1, b"Sorry, user ops is not allowed to execute '/usr/bin/true' as root on h.\n",
         "without a password"),
        (127, b"env: 'sudo': No such file or directory\n", "not installed"),
    ],
)  # fmt: skip
def test_a_refusal_of_sudo_is_told_with_its_remedy(code: int, stderr: bytes, words: str) -> None:
    error = sudo_refusal("h", "ops", code, stderr)

    assert error is not None
    assert words in error.message
    assert error.hint
    assert error.reason == "sudo"


@pytest.mark.parametrize(
    ("code", "stderr"),
    [
        (0, b"sudo: a password is required\n"),
        (1, b"virsh: a password is required\n"),
        (1, b"sudo: unable to resolve host kvm3: Name or service not known\n"),
        (1, b""),
    ],
)
def test_a_script_that_fails_by_itself_is_no_refusal_of_sudo(code: int, stderr: bytes) -> None:
    assert sudo_refusal("h", "ops", code, stderr) is None


def test_what_must_succeed_raises_with_its_last_words() -> None:
    with pytest.raises(RemoteFailed, match="h: listing pools failed: second"):
        Completed(exit_code=1, stderr=b"first\nsecond\n").require("h", "listing pools")


def test_a_local_host_with_sudo_is_refused_like_any_other(
    shell: LocalShell, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("bin")
    (folder / "sudo").write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    (folder / "sudo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    with pytest.raises(LoginRefused):
        shell.run("true", become=True)
