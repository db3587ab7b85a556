"""The wrapper that libvirt runs: what words reach ssh, whatever the paths are like."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmctl.adapters.hostkeys import Key
from vmctl.adapters.libvirt_wrapper import scripts, uri, write
from vmctl.adapters.libvirtd import _ALIVE_EACH, _ALIVE_TIMES, LibvirtConnections
from vmctl.adapters.shells import HostShells
from vmctl.adapters.ssh_config import Hop, Route
from vmctl.domain.host import Host
from vmctl.errors import UsageError

KEY = Key(type="ssh-ed25519", base64="AAAA")
FAKE = f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n"
SSH = ["-T", "-e", "none", "--", "label", "sh -c 'virt-ssh-helper \"qemu:///system\"'"]


@pytest.fixture
def folder(tmp_path: Path) -> str:
    return str(tmp_path / "it's 100%h of $HOME" / "ssh")


def hop(**changes: object) -> Hop:
    given = {"alias": "h", "hostname": "h.example", "user": "ops", "known_hosts": ("/k h",)}
    return Hop(**{**given, **changes})  # type: ignore[arg-type]  # each test gives what it is about


def words_of(path: str, tmp_path: Path, argv: list[str]) -> list[str]:
    """Run a script with an ssh that tells its words."""
    fake = tmp_path / "bin" / "ssh"
    fake.parent.mkdir(exist_ok=True)
    fake.write_text(FAKE)
    fake.chmod(0o755)
    environ = {**os.environ, "PATH": f"{fake.parent}:{os.environ['PATH']}"}
    done = subprocess.run([path, *argv], env=environ, capture_output=True, check=True)
    return [str(word) for word in json.loads(done.stdout)]


def made(folder: str, *hops: Hop, become: bool = False, pinned: Key | None = None) -> str:
    path, files = scripts(Route(hops=hops), folder, become=become, limit=5, pinned=pinned)
    write(files)
    return path


def options(words: list[str]) -> dict[str, str]:
    given = [words[at + 1] for at, word in enumerate(words) if word == "-o"]
    return dict(option.split("=", 1) for option in given)


def test_only_the_last_word_of_libvirts_is_taken(folder: str, tmp_path: Path) -> None:
    words = words_of(made(folder, hop()), tmp_path, SSH)

    assert words[-6:] == ["-T", "-e", "none", "--", "h", SSH[-1]]
    assert "label" not in words


def test_sudo_stands_before_the_command(folder: str, tmp_path: Path) -> None:
    words = words_of(made(folder, hop(), become=True), tmp_path, SSH)

    assert words[-1] == f"sudo -n {SSH[-1]}"


def test_what_a_uri_cannot_carry_is_said(folder: str, tmp_path: Path) -> None:
    known = hop(config="/my config", port=2222, host_key_alias="seven", identities_only=True)
    words = words_of(made(folder, known), tmp_path, SSH)
    said = options(words)

    assert words[: words.index("-o")] == ["-F", "/my config", "-l", "ops", "-p", "2222"]
    assert said["StrictHostKeyChecking"] == "yes"
    assert said["UserKnownHostsFile"] == '"/k h"'
    assert said["HostKeyAlias"] == "seven"
    assert said["BatchMode"] == "yes"
    assert said["ControlPath"] == "none"


def test_libvirt_gives_a_host_up_before_its_ssh_does(folder: str, tmp_path: Path) -> None:
    said = options(words_of(made(folder, hop()), tmp_path, SSH))

    sshs = int(said["ServerAliveInterval"]) * (int(said["ServerAliveCountMax"]) + 1)
    assert sshs > _ALIVE_EACH * (_ALIVE_TIMES + 1)


def test_a_pinned_key_is_the_only_one_that_counts(folder: str, tmp_path: Path) -> None:
    words = words_of(made(folder, hop(port=2222), pinned=KEY), tmp_path, SSH)
    said = options(words)

    file = said["UserKnownHostsFile"].strip('"').replace("%%", "%")
    assert Path(file).read_text() == "[h.example]:2222 ssh-ed25519 AAAA\n"
    assert said["HostKeyAlias"] == "[h.example]:2222"
    assert said["GlobalKnownHostsFile"] == "none"


def test_each_jump_is_a_script_that_leads_to_the_next(folder: str, tmp_path: Path) -> None:
    path = made(folder, hop(alias="far"), hop(alias="near"), hop())
    said = options(words_of(path, tmp_path, SSH))

    command = said["ProxyCommand"].replace("%h", "h.example").replace("%p", "22")
    near = _through_ssh(said["ProxyCommand"], "h.example", tmp_path)
    assert near[-4:] == ["-W", "[h.example]:22", "--", "near"]
    far = _through_ssh(options(near)["ProxyCommand"], "n.example", tmp_path)
    assert far[-4:] == ["-W", "[n.example]:22", "--", "far"]
    assert "ProxyCommand" not in options(far)
    assert command


def _through_ssh(command: str, host: str, tmp_path: Path) -> list[str]:
    """Run a ProxyCommand as ssh does: % expanded, then by the shell."""
    expanded = command.replace("%%", "\0").replace("%h", host).replace("%p", "22")
    return words_of("/bin/sh", tmp_path, ["-c", "exec " + expanded.replace("\0", "%")])


def test_the_same_route_is_the_same_file_and_only_ours_to_read(folder: str) -> None:
    first, second = made(folder, hop()), made(folder, hop())

    assert first == second
    assert made(folder, hop(user="root")) != first
    assert Path(first).stat().st_mode & 0o777 == 0o700
    assert Path(folder).stat().st_mode & 0o777 == 0o700


def test_a_wrapper_that_someone_changed_is_written_anew(folder: str) -> None:
    path = made(folder, hop())
    true = Path(path).read_text()
    Path(path).write_text("#!/bin/sh\n")

    made(folder, hop())

    assert Path(path).read_text() == true


def test_the_uri_survives_any_path() -> None:
    assert uri("kvm1", "/a b/100%&x=1") == (
        "qemu+ssh://kvm1/system?no_tty=1&command=/a%20b/100%25%26x%3D1"
    )


def test_another_uri_is_taken_as_it_is_but_never_without_verification(tmp_path: Path) -> None:
    connections = LibvirtConnections(HostShells(), str(tmp_path))
    own = Host(name="h", address="h", libvirt_uri="qemu+tls://h/system")
    blind = "qemu+libssh2://h/system?known_hosts_verify=ignore"

    assert connections.uri(own) == "qemu+tls://h/system"
    assert connections.uri(Host(name="h", address="h", connection="local")) == "qemu:///system"
    with pytest.raises(UsageError, match=r"h: libvirt_uri: .*proves"):
        connections.uri(Host(name="h", address="h", libvirt_uri=blind))
