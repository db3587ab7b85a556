"""What starting vmctl costs, in CPU time, as a multiple of `python -c pass` in the same run."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.fleet import write_fleet

ROUNDS = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One command line and the most that it may cost."""

    name: str
    argv: tuple[str, ...]
    limit: float


def cases(script: str) -> list[Case]:
    """Everything that is held to a multiple of an empty Python."""
    return [
        Case(name="vmctl --help", argv=(script, "--help"), limit=6),
        Case(name="completion of a word", argv=(script, "complete", "--", "comm"), limit=3),
        Case(name="completion of a host", argv=(script, "complete", "--", "--host", ""), limit=5),
        Case(
            name="completion of an option",
            argv=(script, "complete", "--", "command", "list", "--s"),
            limit=8,
        ),
        Case(name="vmctl command list", argv=(script, "command", "list"), limit=8),
        Case(name="host list, 500 on record", argv=(script, "host", "list"), limit=15),
    ]


def measure(argvs: list[tuple[str, ...]], rounds: int = ROUNDS) -> list[float]:
    """Return the median CPU seconds of each line; the lines take turns, so all see one machine."""
    with tempfile.TemporaryDirectory() as home:
        env = {"PATH": os.environ["PATH"], "HOME": home, "PYTHONPATH": str(Path.cwd())}
        env |= write_fleet(Path(home), 500)
        for argv in argvs:
            cpu(argv, env)  # bytecode and page cache
        samples = [[cpu(argv, env) for argv in argvs] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*samples, strict=True)]


def cpu(argv: tuple[str, ...], env: dict[str, str]) -> float:
    """Run a line and give the CPU seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(argv, env=env, stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run() -> list[Figure]:
    """Measure every case, each as a multiple of the same empty Python."""
    script = str(Path(sys.executable).parent / "vmctl")
    todo = cases(script)
    floor, *costs = measure([(sys.executable, "-c", "pass"), *(case.argv for case in todo)])
    figures = [Figure(name="python -c pass", value=floor * 1000, unit="ms CPU")]
    for case, cost in zip(todo, costs, strict=True):
        figures.append(
            Figure(name=case.name, value=cost / floor, unit="x of that", at_most=case.limit)
        )
    return figures
