from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_whatever_is_killed_or_fails_a_server_is_what_it_was_or_what_was_asked(
    folder: Path, *, torture: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [sys.executable, "-m", "tests.support.torture_rebuild", str(folder)]
    done = subprocess.run(
        [
            "timeout",
            "--signal=KILL",
            "7200" if torture else "480",
            *words,
            *["all"][: int(torture)],
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    with capsys.disabled():
        sys.stdout.write(f"\ntorture of rebuild: {json.dumps({**figures, 'problems': None})}\n")
    assert figures["problems"] == [], done.stderr
    assert figures["processes killed"] > 80
    ended = figures["ended"]
    for deed, ends in {
        "rescue": ("made", "rescued", "gone"),
        "unrescue": ("made", "rescued", "gone"),
        "rebuild": ("made", "rebuilt", "gone"),
    }.items():
        assert min(ended[f"{deed}: {end}"] for end in ends) > 5
