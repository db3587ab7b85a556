"""What an operator of the lab finds in the catalog: the small guest as `mini`, the key as `lab`."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.lab.outside import image
from tests.lab.plan import LabPlan
from tests.lab.shell import LabError

IMAGE = "mini"
EMPTY = "empty"
KEYPAIR = "lab"

Run = Callable[..., str]
"""Runs vmctl with these words and gives what it printed."""


def fill(plan: LabPlan, environ: dict[str, str]) -> None:
    """Put them there with the lab's own database, unless they are."""

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "vmctl", *words],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise LabError(f"vmctl {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    put(run, plan.key.with_suffix(".pub"))


def put(run: Run, key: Path) -> None:
    """Put them there with whatever runs vmctl."""
    if IMAGE not in run("image", "list", "-f", "value", "-c", "Name").split():
        run("image", "create", IMAGE, "--file", str(image("small")), "--min-ram", "96")
    if KEYPAIR not in run("keypair", "list", "-f", "value", "-c", "Name").split():
        run("keypair", "create", KEYPAIR, "--public-key", str(key))


def put_empty(run: Run, folder: Path) -> None:
    """Put an image there that nothing boots from, for where no guest needs to be up."""
    file = folder / f"{EMPTY}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(file), "64M"], check=True)
    run("image", "create", EMPTY, "--file", str(file))
