"""The commands of docs/operators-day.md, run as they stand there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.plan import CHECKOUT
from tests.lab.servers import assert_clean, left, servers
from tests.lab.typed import environment, typed
from tests.lab.vmctl import Vmctl

DAY = CHECKOUT / "docs/operators-day.md"


def commands() -> list[str]:
    _, block, _ = DAY.read_text().split("```")
    return [line for line in block.splitlines() if line and not line.startswith("#")]


@pytest.mark.timeout(600)
def test_a_day_is_as_it_is_told(stocker: Vmctl, tmp_path: Path) -> None:
    environ = environment(stocker, tmp_path / "bin")

    said: dict[str, str] = {}
    named: frozenset[str] = frozenset()
    for line in commands():
        said[line] = typed(line, environ, stocker.home, seconds=110)
        if "instance_name" in line:
            named = left(stocker.lab, str(servers(stocker)["shop"]["Host"])).domains

    assert named == {"shop"}
    assert said["vmctl server show shop -f value -c OS-EXT-SRV-ATTR:instance_name"] == "shop\n"
    names = [out for line, out in said.items() if line.startswith("vmctl ssh web -- uname")]
    assert set(names) == {"web\n"}
    listed = [out for line, out in said.items() if line.startswith("vmctl server list")]
    assert listed == ["web ACTIVE\n"]
    assert said["vmctl server rebuild web -f value -c status"] == "ACTIVE\n"
    told = said["vmctl events"]
    deeds = ("create", "stop", "start", "reboot", "suspend", "resume", "rescue", "unrescue")
    for deed in (*deeds, "rebuild", "set", "lock", "unlock", "delete"):
        assert f"server-{deed}" in told, deed
    assert said["vmctl operation list"].strip() == ""
    assert stocker.ok("server", "list", "-f", "value") == ""
    assert_clean(stocker.lab)
