from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")  # noqa: S108 - what is there outlives a process, not the power


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    if not MEMORY.is_dir():
        yield tmp_path
        return
    with tempfile.TemporaryDirectory(prefix="vmctl-set-", dir=MEMORY) as made:
        yield Path(made)


def test_a_change_that_is_killed_or_fails_is_there_whole_or_not_at_all(
    folder: Path, *, torture: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(folder), *(["all"] if torture else [])]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.torture_set", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    with capsys.disabled():
        sys.stdout.write(f"\ntorture of set: {json.dumps({**figures, 'problems': None})}\n")
    assert figures["problems"] == []
    assert figures["processes killed"] > 80
    assert figures["ended"]["change off: old"] > 20
    assert figures["ended"]["change off: new"] > 10
