"""The way into a guest: the words that ssh gets, and what an ssh makes of them."""

from __future__ import annotations

import json
import os
import shlex
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from vmctl.adapters.guest_entry import GuestWay, answers, ssh_words
from vmctl.adapters.libvirt_wrapper import passage, write
from vmctl.adapters.ssh_config import Hop, Route

SERVER = "00000000-0000-4000-8000-000000000001"
FAKE = f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"


def words(folder: Path, *command: str, through: str | None = None, **way: object) -> list[str]:
    given = {"server": SERVER, "address": "192.0.2.10", **way}
    made = GuestWay(**given)  # type: ignore[arg-type]  # each test gives what it is about
    return ssh_words(made, command, folder=str(folder), passage=through)


def heard(*argv: str) -> dict[str, str]:
    """What the system's own ssh makes of its words, without connecting."""
    asked = [argv[0], "-G", *argv[1:]]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return dict(line.partition(" ")[::2] for line in done.stdout.splitlines())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "it's 100%h of $HOME"


def test_a_key_is_kept_by_the_servers_id_and_never_replaced(folder: Path) -> None:
    found = heard(*words(folder))

    assert found["hostkeyalias"] == SERVER
    assert found["stricthostkeychecking"] == "accept-new"
    assert found["userknownhostsfile"].strip('"') == f"{folder}/known_hosts"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_login_port_and_key_are_what_was_said(folder: Path) -> None:
    folder.mkdir()
    key = folder.parent / "id"
    key.touch()

    found = heard(*words(folder, login="debian", port=2222, identity=str(key)))

    assert (found["user"], found["port"]) == ("debian", "2222")
    assert found["identityfile"] == str(key)
    assert found["hostname"] == "192.0.2.10"


def test_an_address_that_looks_like_an_option_is_an_address(folder: Path) -> None:
    line = words(folder, "uptime", address="-oProxyCommand=touch x")

    assert line[-3:] == ["--", "-oProxyCommand=touch x", "uptime"]


@pytest.mark.parametrize(
    ("command", "last"),
    [
        (("uptime; id",), "uptime; id"),
        (("echo", "a b", "$(id)", "'"), shlex.join(("echo", "a b", "$(id)", "'"))),
    ],
    ids=["a script", "words"],
)
def test_several_words_of_a_command_reach_it_as_they_are(
    folder: Path, command: tuple[str, ...], last: str
) -> None:
    assert words(folder, *command)[-1] == last


def test_a_passage_leads_through_the_host_and_each_host_before_it(
    folder: Path, tmp_path: Path
) -> None:
    fake = tmp_path / "bin" / "ssh"
    fake.parent.mkdir()
    fake.write_text(FAKE)
    fake.chmod(0o755)
    hops = (
        Hop(alias="jump", hostname="jump.example", user="ops", known_hosts=("/k",)),
        Hop(alias="kvm3", hostname="kvm3.example", user="root", known_hosts=("/k",)),
    )
    path, files = passage(Route(hops=hops), str(folder / "ssh"), limit=5, pinned=None)
    write(files)
    proxy = heard(*words(folder, through=path))["proxycommand"].replace("%%", "%")

    done = subprocess.run(
        ["/bin/sh", "-c", proxy.replace("[%h]:%p", "[2001:db8::7]:22")],
        env={**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"},
        capture_output=True,
        check=True,
    )

    said = json.loads(done.stdout)
    assert said[-4:] == ["-W", "[2001:db8::7]:22", "--", "kvm3"]
    assert "StrictHostKeyChecking=yes" in said
    assert any(word.startswith("ProxyCommand=") for word in said)


def test_only_an_sshd_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

        def greet(words: bytes) -> None:
            taken, _ = server.accept()
            with taken:
                taken.sendall(words)

        for words, is_sshd in ((b"SSH-2.0-dropbear\r\n", True), (b"HTTP/1.1 400\r\n", False)):
            threading.Thread(target=greet, args=(words,)).start()
            assert answers("127.0.0.1", port, seconds=2) is is_sshd
        assert not answers("127.0.0.1", port, seconds=0.2)  # taken, and nothing said
    assert not answers("127.0.0.1", port, seconds=1)
