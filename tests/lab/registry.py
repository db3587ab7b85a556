"""Which labs there are on this machine: each checkout may have one, none in another's way."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.lab.shell import LabError

PLACE = Path("/run/vmctl-lab")
NUMBERS = range(10)


def number_of(root: Path) -> int | None:
    """The number under which the lab in this folder is registered, if it is."""
    for number in NUMBERS:
        if _owner(number) == root:
            return number
    return None


def take_number(root: Path) -> tuple[int, bool]:
    """A number for this folder's lab, and whether a dead lab's remains must be cleared first."""
    PLACE.mkdir(mode=0o755, exist_ok=True)
    with _locked(PLACE):
        known = number_of(root)
        if known is not None:
            return known, False
        for number in NUMBERS:
            owner = _owner(number)
            if owner is None or not owner.exists():
                (PLACE / str(number)).write_text(f"{root}\n")
                return number, owner is not None
    owners = ", ".join(str(_owner(number)) for number in NUMBERS)
    raise LabError(f"this machine has a lab for each of its ten numbers already: {owners}")


def forget(number: int) -> None:
    """Give a number back, and leave no folder behind when it was the last."""
    (PLACE / str(number)).unlink(missing_ok=True)
    try:
        PLACE.rmdir()
    except OSError:
        return


@contextmanager
def one_at_a_time(root: Path) -> Iterator[None]:
    """Keep a second `up`, `down` or fault of the same lab waiting until the first is done."""
    root.mkdir(parents=True, exist_ok=True)
    with _locked(root):
        yield


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    # The folder itself carries the lock: there is no lock file to be left over.
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _owner(number: int) -> Path | None:
    try:
        return Path((PLACE / str(number)).read_text().strip())
    except FileNotFoundError:
        return None
