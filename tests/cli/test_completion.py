from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.sample import TABLE, vmctl
from vmctl.cli.completers import COMPLETERS, OPTION_VALUES
from vmctl.cli.completion import _FORMATS
from vmctl.cli.output import OUTPUTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.cli.completers import Source

HOSTS = ("kvm1", "kvm2", "kvm10", "rack:3/a", "$(reboot)", "a b", "x;y")
ASKED: list[Source] = []


def _hosts(source: Source, prefix: str) -> Iterable[str]:
    ASKED.append(source)
    assert all(name.startswith(prefix) for name in ("kvm1",)) or not prefix.startswith("kvm1")
    return HOSTS


def _servers(source: Source, prefix: str) -> Iterable[str]:
    del source, prefix
    return ("web-1", "web-2")


def offered(*words: str) -> list[str]:
    completers = {**COMPLETERS, "host": _hosts, "server": _servers}
    ran = vmctl("complete", "--", *words, completers=completers)
    assert (ran.code, ran.err) == (0, "")
    return ran.out.split("\n")[:-1]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([""], ["completion", "fail", "help", "host", "log", "security", "server", "version"]),
        (["s"], ["security", "server"]),
        (["server", ""], ["create", "migration", "resize", "show"]),
        (["server", "re"], ["resize"]),
        (["ser", "re"], ["resize"]),
        (["help", "server", "re"], ["resize"]),
        (["help", "e"], ["environment", "exit-codes"]),
        (["-q", "--db", "x", "server", "re"], ["resize"]),
        (["server", "resize", "c"], ["confirm"]),
        (["server", "resize", ""], ["confirm", "revert", "web-1", "web-2"]),
        (["server", "show", "w"], ["web-1", "web-2"]),
        (["server", "show", "web-1", "w"], ["web-1", "web-2"]),
        (["host", "show", "k"], ["kvm1", "kvm10", "kvm2"]),
        (["server", "create", "--host", "kvm1"], ["kvm1", "kvm10"]),
        (["server", "create", "--host=kvm1"], ["--host=kvm1", "--host=kvm10"]),
        (["server", "create", "--host", "=", "kvm1"], ["kvm1", "kvm10"]),
        (["server", "create", "--host", "="], ["kvm1", "kvm10", "kvm2", "rack:3/a"]),
        (["host", "show", ""], ["kvm1", "kvm10", "kvm2", "rack:3/a"]),
        (["host", "list", "-f", "j"], ["json"]),
        (["host", "list", "--color", "a"], ["always", "auto"]),
        (["--color=a"], ["--color=always", "--color=auto"]),
        (["host", "list", "--sort-"], ["--sort-ascending", "--sort-column", "--sort-descending"]),
        (["--err"], ["--error-format"]),
        (["host", "list", "--no-i"], ["--no-input"]),
        (["completion", ""], ["bash", "fish", "zsh"]),
        (["host", "ssh", "kvm1", "--", "k"], []),
        (["zzz", ""], []),
        (["host", "s", ""], []),
        (["--db", "--yes", ""], []),
        ([], ["completion", "fail", "help", "host", "log", "security", "server", "version"]),
        (["host", "list", "--log-file", ""], []),
    ],
)
def test_what_may_follow_is_offered(words: list[str], expected: list[str]) -> None:
    assert offered(*words) == expected


def test_completers_are_told_where_names_are_on_record() -> None:
    ASKED.clear()

    offered("--db", "x.db", "--inventory=inv", "host", "show", "")

    assert (ASKED[0].db, ASKED[0].inventory) == ("x.db", "inv")


def test_every_format_is_offered() -> None:
    assert set(_FORMATS) == set(OUTPUTS)


def test_every_name_that_a_table_or_an_option_asks_for_is_known() -> None:
    from vmctl.cli.commands import COMMANDS

    asked = {name for command in COMMANDS.values() for name in command.names}
    assert asked | set(OPTION_VALUES.values()) <= set(COMPLETERS)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_printed_that_its_shell_can_read(shell: str) -> None:
    script = vmctl("completion", shell).out

    assert "vmctl complete --" in script or '"$1" complete --' in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_bash_completes_a_line(tmp_path: Path) -> None:
    (tmp_path / "vmctl").write_text(
        f'#!/bin/sh\ncd {Path.cwd()} && exec .venv/bin/python -m tests.cli "$@"\n'
    )
    (tmp_path / "vmctl").chmod(0o755)
    drive = """
        eval "$(vmctl completion bash)"
        ask() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _vmctl vmctl
            printf '%s,' "${COMPREPLY[@]}"; echo
        }
        ask vmctl server res
        ask vmctl host list -f = c
        ask vmctl host list --sort-a
        ask vmctl server resize ''
    """

    ran = subprocess.run(
        ["bash", "-c", drive],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert ran.stdout.splitlines() == [
        "resize,",
        "csv,",
        "--sort-ascending,",
        "confirm,revert,",
    ]


def test_every_argument_of_the_sample_table_is_completed_by_its_own_kind() -> None:
    assert TABLE["server show"].names == ("server",)
    assert offered("server", "show", "k") == []
