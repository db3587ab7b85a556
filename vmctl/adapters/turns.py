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
        handle = self._take(what)
        try:
            yield handle is not None
        finally:
            if handle is not None:
                os.close(handle)

    def _take(self, what: str) -> int | None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for place in range(self._places):
            path = self._folder / f"{what}.{place}"
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                continue
            return handle
        return None
