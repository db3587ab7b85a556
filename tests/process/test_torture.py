from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import torture_create, torture_power, torture_rebuild, torture_set
from tests.support.torture import Trial

ROOT = Path(__file__).parents[2]
TORTURES = {
    "create": (torture_create.TRIALS, 100),
    "power": (torture_power.TRIALS, 100),
    "rebuild": (torture_rebuild.TRIALS, 100),
    "set": (torture_set.TRIALS, 50),
}
"""Their trials, and how many processes are killed at least."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", TORTURES)
def test_whatever_is_killed_or_fails_a_server_is_what_it_was_or_what_was_asked(
    name: str, folder: Path, *, torture: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    # Killed with all that it has started, if it does not end.
    within = ["timeout", "--signal=KILL", "7200" if torture else "480"]
    words = [sys.executable, "-m", f"tests.support.torture_{name}", str(folder)]
    done = subprocess.run(
        [*within, *words, *["all"][: int(torture)]],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    with capsys.disabled():
        sys.stdout.write(f"\ntorture of {name}: {json.dumps({**figures, 'problems': None})}\n")
    assert figures["problems"] == [], done.stderr
    trials, killed = TORTURES[name]
    assert figures["killed"] > killed
    for trial in trials:
        assert ended(trial, figures["ended"]), trial.name


def ended(trial: Trial, figures: dict[str, int]) -> bool:
    """Whether cases of a trial have come to its end, or were undone."""
    return any(figures.get(f"{trial.name}: {end}") for end in (trial.after, *trial.undone))
