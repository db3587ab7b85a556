"""What the product's own commands say where there is nothing yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.sample import vmctl
from vmctl.cli.commands import COMMANDS


@pytest.mark.parametrize(
    "words", ["host list", "host show x", "inventory show", "inventory validate", "hypervisor list"]
)
def test_a_command_that_needs_an_inventory_names_the_way_to_one(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": str(tmp_path)}

    ran = vmctl(*words.split(), environ=environ, commands=COMMANDS)

    assert ran.code == 2
    assert f"no {tmp_path}/.config/vmctl/inventory.yaml" in ran.err
    assert "hint: vmctl init" in ran.err


def test_init_writes_the_inventory_that_all_others_then_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"HOME": str(tmp_path)}

    first = vmctl("init", environ=environ, commands=COMMANDS)
    second = vmctl("init", environ=environ, commands=COMMANDS)
    checked = vmctl("inventory", "validate", environ=environ, commands=COMMANDS)

    assert (first.code, checked.code) == (0, 0)
    assert (tmp_path / ".config/vmctl/inventory.yaml").read_text() == first.out
    assert second.code == 1
    assert "is there already" in second.err
