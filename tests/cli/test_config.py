from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from vmctl import __version__, config

HOME = {"HOME": "/home/me"}


def test_the_version_is_the_packages() -> None:
    assert tomllib.loads(Path("pyproject.toml").read_text())["project"]["version"] == __version__


def test_folders_follow_xdg() -> None:
    assert config.load(HOME)[:4] == (
        "/home/me/.local/state/vmctl",
        "/home/me/.config/vmctl",
        "/home/me/.cache/vmctl",
        "/home/me/.local/state/vmctl/state.db",
    )
    xdg = {"XDG_STATE_HOME": "/s", "XDG_CONFIG_HOME": "/c", "XDG_CACHE_HOME": "/k"}
    assert config.load({**HOME, **xdg})[:4] == (
        "/s/vmctl",
        "/c/vmctl",
        "/k/vmctl",
        "/s/vmctl/state.db",
    )


@pytest.mark.parametrize("value", ["relative", "", "./x"])
def test_a_relative_xdg_folder_is_ignored(value: str) -> None:
    assert config.load({**HOME, "XDG_STATE_HOME": value}).state_folder.startswith("/home/me/")


def test_without_a_home_the_account_names_it() -> None:
    assert config.load({}).state_folder.startswith("/")


def test_flag_then_variable_then_default() -> None:
    environ = {**HOME, "VMCTL_DB": "e.db", "VMCTL_INVENTORY": "e.yaml", "VMCTL_PROJECT": "e"}

    said = config.load(environ, db="f.db", inventory="f.yaml", project="f")
    assert (said.db, said.inventory, said.project) == ("f.db", "f.yaml", "f")
    found = config.load(environ)
    assert (found.db, found.inventory, found.project) == ("e.db", "e.yaml", "e")


def test_the_inventory_is_looked_for_here_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {**HOME, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    monkeypatch.chdir(tmp_path)
    assert config.load(environ).inventory is None

    (tmp_path / "config" / "vmctl").mkdir(parents=True)
    (tmp_path / "config" / "vmctl" / "inventory.yaml").touch()
    assert config.load(environ).inventory == str(tmp_path / "config/vmctl/inventory.yaml")

    (tmp_path / "inventory.yaml").touch()
    assert config.load(environ).inventory == "inventory.yaml"
