"""The configuration that is written for OpenSSH, as OpenSSH itself reads it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from vmctl.adapters.guest_config import Entry, config_text
from vmctl.adapters.guest_entry import GuestWay, identity_for, quoted, split_words, ssh_path
from vmctl.errors import UsageError

ONE, TWO = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGXChc9WnfTvZZHxRquzfHkggraPAQZCVSxcAIapdAgM"


def entry(
    number: str = ONE, name: str = "web-1", passage: str | None = None, **way: object
) -> Entry:
    made = GuestWay(**{"server": number, "address": "192.0.2.10", **way})  # type: ignore[arg-type]  # each test gives what it is about
    return Entry(names=(name, number), way=made, note="192.0.2.10 on lan", passage=passage)


def heard(file: Path, name: str, *words: str) -> dict[str, str]:
    """What the system's own ssh reads there, without connecting."""
    asked = ["ssh", "-G", "-F", str(file), *words, name]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


def written(folder: Path, *entries: Entry) -> Path:
    file = folder / "config"
    file.write_text(config_text(entries, str(folder / 'it\'s "100%h" of $HOME')))
    return file


def test_a_server_is_found_by_name_and_id_and_others_are_not(tmp_path: Path) -> None:
    file = written(tmp_path, entry(login="debian", port=2222), entry(TWO, "web-2"))

    for name in ("web-1", ONE):
        found = heard(file, name)
        assert (found["hostname"], found["port"], found["user"]) == (
            "192.0.2.10",
            "2222",
            "debian",
        )
        assert found["hostkeyalias"] == ONE
        assert "proxycommand" not in found
    assert heard(file, "web-10")["hostname"] == "web-10"
    assert heard(file, "web-2")["hostkeyalias"] == TWO


def test_keys_are_held_to_as_when_vmctl_enters_itself(tmp_path: Path) -> None:
    found = heard(written(tmp_path, entry()), "web-1")

    assert found["stricthostkeychecking"] == "accept-new"
    assert found["globalknownhostsfile"] == "none"
    assert (found["checkhostip"], found["updatehostkeys"]) == ("no", "false")
    kept = found["userknownhostsfile"]
    assert kept == f'{tmp_path}/it\'s "100%h" of $HOME/known_hosts'


def test_what_is_behind_a_host_is_led_there_and_looks_like_nobody_else(tmp_path: Path) -> None:
    passages = [f"{tmp_path}/it's 100% $HOME", "/state/vmctl/ssh/b"]
    file = written(
        tmp_path,
        entry(passage=passages[0]),
        entry(TWO, "web-2", passage=passages[1], address="fd00::7"),
    )

    first, second = heard(file, "web-1"), heard(file, "web-2", "-p", "2222")

    assert (first["hostname"], second["hostname"]) == (ONE, TWO)
    command = first["proxycommand"].replace("%p", "22").replace("%%", "%")
    assert shlex.split(command) == [passages[0], "[192.0.2.10]:22"]
    assert second["proxycommand"] == f"{passages[1]} [fd00::7]:%p"


def test_the_words_of_whoever_calls_come_before_the_file(tmp_path: Path) -> None:
    found = heard(
        written(tmp_path, entry(login="debian")),
        "web-1",
        *("-l", "root", "-o", "ControlMaster=auto", "-o", "ControlPath=/run/%C"),
    )

    assert (found["user"], found["controlmaster"]) == ("root", "auto")
    assert found["controlpath"].startswith("/run/")


WORDS = st.text(
    st.characters(exclude_categories=("Cs", "Cc"), max_codepoint=0x2FF), min_size=1, max_size=12
)


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(WORDS, WORDS)
@example("=", "0")
@example("=x", "=")
def test_every_value_is_read_as_it_was_meant(tmp_path: Path, login: str, name: str) -> None:
    assume("${" not in name and not login[0].isspace() and "%" not in login)
    file = written(tmp_path, entry(login=login, identity=f"/keys/{name}"))

    found = heard(file, "web-1")

    assert found["user"] == login
    assert found["identityfile"].replace("%%", "%") == f"/keys/{name}"


@pytest.mark.parametrize("value", ["", "a\nProxyCommand x", "a\0", "\x7f", "a\tb"])
def test_what_no_quotes_can_hold_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(UsageError):
        quoted(value)
    if value:
        with pytest.raises(UsageError):
            written(tmp_path, entry(passage=f"/x/{value}"))
    with pytest.raises(UsageError):
        ssh_path("/home/${HOME}")


@pytest.mark.parametrize(
    ("line", "options", "command"),
    [
        ("", "", ""),
        ("uptime", "", "uptime"),
        ("ls -l", "", "ls -l"),
        ("-v ls -l", "-v", "ls -l"),
        ("-L 80:a:80 -N", "-L 80:a:80 -N", ""),
        ("-L80:a:80 -tt top -v", "-L80:a:80 -tt", "top -v"),
        ("-vp 22 ls", "-vp 22", "ls"),
        ("-o A=b -- -x", "-o A=b", "-x"),
        ("-p", "-p", ""),
        ("- a", "", "- a"),
    ],
)
def test_ssh_s_own_options_are_told_from_the_command_behind_them(
    line: str, options: str, command: str
) -> None:
    assert split_words(tuple(line.split())) == (tuple(options.split()), tuple(command.split()))


def test_an_option_that_ssh_does_not_have_is_refused() -> None:
    with pytest.raises(UsageError, match="ssh has no option -z"):
        split_words(("-z",))
    with pytest.raises(UsageError, match="ssh has no option --"):
        split_words(("--version",))


def test_the_private_key_of_a_public_one_is_found_among_the_operators_own(tmp_path: Path) -> None:
    folder = tmp_path / ".ssh"
    folder.mkdir()
    for name in ("id_a", "id_b", "lost"):
        (folder / f"{name}.pub").write_text(f"{KEY if name != 'id_a' else 'ssh-rsa AA'} me\n")
    (folder / "id_a").touch()

    assert identity_for(f"{KEY} other", str(tmp_path)) is None  # its private half is elsewhere
    (folder / "id_b").touch()
    assert identity_for(f"{KEY} other", str(tmp_path)) == f"{folder}/id_b"
    assert identity_for(KEY, "/nowhere") is None
