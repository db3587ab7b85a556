"""The commands under "Many at once" in the README, run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.lab.plan import CHECKOUT
from tests.lab.typed import environment, typed
from tests.lab.vmctl import Vmctl

SECTION = re.compile(r"^## Many at once\n(.*?)^## ", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*(?:\n  .*)*)", re.MULTILINE)
MANY = 12


@pytest.fixture(autouse=True)
def _in_the_torture(*, torture: bool) -> None:
    if not torture:
        pytest.skip("twelve guests at once are made in `make torture`")


def commands() -> list[str]:
    """What a reader would type, line by line; what goes on is indented."""
    (section,) = SECTION.findall((CHECKOUT / "README.md").read_text())
    (block,) = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    found: list[str] = COMMAND.findall(block)
    return found


@pytest.fixture
def shell(stocker: Vmctl, tmp_path: Path) -> dict[str, str]:
    """The environment of someone who has vmctl installed, and the lab's key with their ssh."""
    return environment(stocker, tmp_path / "bin")


@pytest.mark.slow
def test_twelve_servers_are_made_entered_and_deleted_as_the_readme_has_it(
    stocker: Vmctl, shell: dict[str, str]
) -> None:
    said = [typed(command, shell, stocker.home) for command in commands()]

    _, _, made, spread, names, deleted, _ = said
    wanted = {f"web-{number}" for number in range(1, MANY + 1)}
    assert set(made.split()) == wanted
    # kvm1 and kvm3 are the zone.
    assert sorted(spread.split()) == sorted(f"{MANY // 2} kvm1 {MANY // 2} kvm3".split())
    assert set(names.split()) == wanted
    assert deleted == ""
    assert stocker.ok("server", "list", "-f", "value") == ""
    for host in ("kvm1", "kvm3"):
        assert "web-" not in stocker.lab.virsh_ok(host, "list", "--all", "--name")
