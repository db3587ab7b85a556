"""Turns at something that only a few may do at a time, whatever processes they are in."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turns:
    """Places in a folder, each a lock that dies with its holder."""

    def __init__(self, folder: str, *, places: int) -> None:
        self._folder = Path(folder)
        self._places = places

    @contextmanager
    def attempt(self, what: str) -> Iterator[bool]:
        """Take a turn at a thing for the block if one is free, and say whether it was."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, handle = next(filter(None, map(_take, self._at(what))), (None, -1))
        try:
            yield path is not None
        finally:
            if path is not None:
                # While it is still locked: whoever opened it before sees that it is gone.
                path.unlink(missing_ok=True)
                os.close(handle)

    def held(self, what: str) -> bool:
        """Say whether anyone has a turn at a thing."""
        return any(map(_held, self._at(what)))

    def _at(self, what: str) -> Iterator[Path]:
        return (self._folder / f"{what}.{place}" for place in range(self._places))


def _held(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _take(path: Path) -> tuple[Path, int] | None:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(handle).st_ino:
            return path, handle
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(handle)
    return None
