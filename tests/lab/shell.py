"""Running the machine's own tools, with an error that shows what they said."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class LabError(Exception):
    """Something the lab needed did not happen."""


def run(*argv: str | Path, check: bool = True, stdin: str | None = None) -> str:
    """Run a command to its end and return what it printed."""
    done = subprocess.run(
        [str(a) for a in argv],
        input=stdin,
        stdin=None if stdin is not None else subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode != 0:
        words = " ".join(str(a) for a in argv)
        raise LabError(f"{words}\nexited with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def ip_batch(lines: Sequence[str], netns: str | None = None) -> None:
    """Run many ip commands in one process, in a namespace or outside."""
    where = ["-n", netns] if netns else []
    run("ip", *where, "-batch", "-", stdin="\n".join(lines) + "\n")


def wait_for(what: str, happened: Callable[[], bool], *, seconds: float) -> None:
    """Poll until something holds, and say what it was if it never does."""
    deadline = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > deadline:
            raise LabError(f"waited {seconds:g} s for {what}")
        time.sleep(0.05)


def namespaces() -> list[str]:
    """The names of this machine's network namespaces."""
    return [line.split()[0] for line in run("ip", "netns", "list").splitlines() if line.strip()]


def pids(netns: str) -> list[int]:
    """Every process in a network namespace."""
    return [int(p) for p in run("ip", "netns", "pids", netns, check=False).split()]


def kill_all(netns: str) -> None:
    """Kill what lives in a namespace until nothing does."""

    def emptied() -> bool:
        left = pids(netns)
        for pid in left:
            _signal(pid, signal.SIGKILL)
        return not left

    wait_for(f"the processes of {netns} to die", emptied, seconds=20)


def signal_named(netns: str, comm: str, number: signal.Signals) -> int:
    """Send a signal to each process of that name in a namespace; say how many there were."""
    hit = 0
    for pid in pids(netns):
        try:
            found = Path(f"/proc/{pid}/comm").read_text().strip()
        except OSError:
            continue
        if found == comm:
            hit += _signal(pid, number)
    return hit


def _signal(pid: int, number: signal.Signals) -> bool:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True
