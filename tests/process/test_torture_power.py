from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.torture_power import TRIALS

ROOT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")  # noqa: S108 - what is there outlives a process, not the power


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="vmctl-torture-", dir=MEMORY) as made:
        yield Path(made)


def test_record_and_host_agree_after_whatever_befell_a_server_that_stands(
    folder: Path, *, torture: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["-m", "tests.support.torture_power", str(folder), *(["all"] if torture else [])]
    done = subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    with capsys.disabled():
        sys.stdout.write(f"\ntorture of power: {json.dumps({**figures, 'problems': None})}\n")
    assert figures["problems"] == []
    assert figures["processes killed"] > 150
    for trial in TRIALS:
        assert figures["ended"][f"{trial.name}: {trial.after}"]
        assert figures["ended"][f"{trial.name}: gone"]
