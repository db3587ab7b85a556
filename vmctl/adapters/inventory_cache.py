"""The last reading of an inventory, kept so that an unchanged one costs no YAML.

A record is JSON and not a pickle: reading it can run nothing. It is taken only from a regular
file that is ours and that nobody else may write or read, and only while digest and format agree;
whatever else is found there counts as nothing.
"""

# ruff: noqa: PTH100, PTH103, PTH105, PTH108, PTH111, PTH118, PTH123
# pathlib's import would cost more than reading the kept record does.

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

FORMAT = 4
"""Rises whenever a record's shape changes, or what is read from, or refused in, the same files."""


class Cache:
    """Where the record of one set of files is kept, and the digest that it must bear."""

    def __init__(
        self, files: Iterable[tuple[str, bytes]], folder: str, kind: str = "inventory"
    ) -> None:
        where, what = hashlib.sha256(), hashlib.sha256()
        # A record holds absolute paths, made from where the files lie and from the home.
        home = os.path.expanduser("~")
        what.update(f"{FORMAT}\0{home}\0".encode("utf-8", "surrogateescape"))
        for name, content in files:
            path = os.path.abspath(name).encode("utf-8", "surrogateescape")
            where.update(path + b"\0")
            what.update(b"%s\0%d\0" % (path, len(content)))
            what.update(content)
        self.folder = folder
        self.path = os.path.join(folder, f"{kind}-{where.hexdigest()[:16]}.json")
        self.digest = what.hexdigest()

    def load(self) -> dict[str, Any] | None:
        """Give the record of exactly these files; None where there is none to be trusted."""
        try:
            handle = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return None
        try:
            with open(handle, "rb") as file:
                status = os.fstat(handle)
                if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
                    return None
                if status.st_uid != os.geteuid():
                    return None
                found = json.loads(file.read())
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(found, dict) or found.get("digest") != self.digest:
            return None
        return found

    def save(self, record: Mapping[str, Any]) -> None:
        """Keep the record; a home that cannot be written costs time, never the command."""
        temporary = f"{self.path}.{os.getpid()}"
        with contextlib.suppress(OSError):
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            try:
                with open(os.open(temporary, flags, 0o600), "w", encoding="utf-8") as file:
                    json.dump({"digest": self.digest, **record}, file, separators=(",", ":"))
                os.replace(temporary, self.path)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)
