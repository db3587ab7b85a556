"""Answers of `ssh -G` that are kept: only while they are sure to be the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from vmctl.adapters.ssh_answers import KeptAnswers
from vmctl.adapters.ssh_config import ConfigRefused

Words = tuple[str, ...]


class Ssh:
    """Stands for ssh: tells how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[Words] = []

    def __call__(self, words: Words) -> str:
        self.asked.append(words)
        return f"hostname {len(self.asked)}\n"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "config"
    path.write_text("Host kvm1\n  User ops\n")
    return path


def ask(ssh: Ssh, config: Path, host: str = "kvm1") -> str:
    """Ask as one command does that comes after others."""
    kept = KeptAnswers(str(config.parent / "cache"), ssh)
    try:
        return kept.ask(("-F", str(config), "--", host))
    finally:
        kept.save()


def test_the_same_question_is_asked_once(config: Path) -> None:
    ssh = Ssh()

    assert [ask(ssh, config), ask(ssh, config)] == ["hostname 1\n"] * 2
    assert ask(ssh, config, "kvm2") == "hostname 2\n"
    assert ask(ssh, config) == "hostname 1\n"
    assert len(ssh.asked) == 2


@pytest.mark.parametrize("name", ["config", "part-1.conf", "part-2.conf", "deep"])
def test_a_change_of_any_file_asks_anew(config: Path, name: str) -> None:
    folder = config.parent
    config.write_text(f"include {folder}/part-*.conf\nHost kvm1\n")
    (folder / "part-1.conf").write_text(f"Include={folder}/deep\n")
    (folder / "deep").write_text("Port 22\n")
    ssh = Ssh()
    ask(ssh, config)
    ask(ssh, config)
    assert len(ssh.asked) == 1

    path = folder / name
    path.write_text((path.read_text() if path.exists() else "") + "Port 2222\n")

    assert ask(ssh, config) == "hostname 2\n"


def test_a_change_of_rights_asks_anew_for_ssh_may_refuse_the_file(config: Path) -> None:
    ssh = Ssh()
    ask(ssh, config)
    config.chmod(0o666)

    assert ask(ssh, config) == "hostname 2\n"


@pytest.mark.parametrize(
    "line",
    [
        'Match exec "test -e /vpn"',
        "match host x !EXEC true",
        "Match localnetwork 10.0.0.0/8",
        "CanonicalizeHostname yes",
        "IdentityFile ${HOME}/key",
        "Include ~/other",
        'Include "a b"',
        "Include %d/other",
    ],
)
def test_what_depends_on_more_than_files_is_never_kept(config: Path, line: str) -> None:
    config.write_text(line + "\n")
    ssh = Ssh()

    assert [ask(ssh, config), ask(ssh, config)] == ["hostname 1\n", "hostname 2\n"]
    assert not (config.parent / "cache").exists()


def test_an_answer_to_files_that_change_meanwhile_is_not_kept(config: Path) -> None:
    def change(words: Words) -> str:
        config.write_text(config.read_text() + "Port 2222\n")
        return f"hostname {words[-1]}\n"

    kept = KeptAnswers(str(config.parent / "cache"), change)
    kept.ask(("-F", str(config), "--", "kvm1"))
    kept.save()

    assert not (config.parent / "cache").exists()


def test_a_refusal_is_not_kept(config: Path) -> None:
    def refuse(words: Words) -> str:
        raise ConfigRefused(words[-1])

    kept = KeptAnswers(str(config.parent / "cache"), refuse)
    with pytest.raises(ConfigRefused):
        kept.ask(("-F", str(config), "--", "kvm1"))
    kept.save()

    assert not (config.parent / "cache").exists()
