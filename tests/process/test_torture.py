from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(600)
def test_whatever_is_killed_or_fails_is_made_whole_or_leaves_nothing(
    folder: Path, *, torture: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    # Killed with all that it has started, if it does not end.
    within = ["timeout", "--signal=KILL", "7200" if torture else "480"]
    words = [sys.executable, "-m", "tests.support.torture", str(folder)]
    done = subprocess.run(
        [*within, *words, *(["all"] if torture else [])],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    with capsys.disabled():
        sys.stdout.write(f"\ntorture: {json.dumps({**figures, 'problems': None})}\n")
    assert figures["problems"] == [], done.stderr
    assert figures["processes killed"] > 150
    assert figures["ended"]["create: whole"] > 50
    assert figures["ended"]["create: gone"] > 50
