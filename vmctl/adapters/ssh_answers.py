"""What `ssh -G` answered, kept as long as nothing that it reads has changed.

A process for each host costs as much as the rest of a quick look does here. An answer is a function
of ssh itself, of the words, of the account and of the files it reads; it is kept only where all of
these are known: not where a file has a program asked, or names of hosts resolved.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import pwd
import re
import shutil
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from vmctl.adapters.inventory_cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Ask = Callable[[tuple[str, ...]], str]

_FORMAT = b"1"
_SYSTEM = "/etc/ssh/ssh_config"
_DEEPEST = 16
_INCLUDE = re.compile(rb"\s*include[\s=]+(.*)", re.IGNORECASE)
_UNKNOWN = re.compile(rb"exec|localnetwork|canonical|\$", re.IGNORECASE)
"""Words by which the answer may depend on programs, on the network or on the environment."""
_PLAIN = re.compile(rb"[\w./*?+@:,-]+")


class KeptAnswers:
    """Answers as `ssh -G` does, from what is kept where that is sure to be the same."""

    def __init__(self, folder: str, ask: Ask) -> None:
        self._folder = folder
        self._really_ask = ask
        self._lock = threading.Lock()
        self._books: dict[str | None, _Book | None] = {}

    def ask(self, words: tuple[str, ...]) -> str:
        """Return what `ssh -G` says for these words; raises ConfigRefused."""
        config = words[1] if words[:1] == ("-F",) else None
        with self._lock:
            if config not in self._books:
                self._books[config] = _book(self._folder, config)
            book = self._books[config]
        if book is None:
            return self._really_ask(words)
        key = json.dumps(words)
        found = book.answers.get(key)
        if found is None:
            found = self._really_ask(words)
            with self._lock:
                book.answers[key] = found
                book.changed = True
        return found

    def save(self) -> None:
        """Keep the new answers, of files that are still what they were when they were read."""
        with self._lock:
            books = list(self._books.items())
            for config, book in books:
                if book is None or not book.changed:
                    continue
                book.changed = False
                now = _book(self._folder, config)
                if now is not None and now.cache.digest == book.cache.digest:
                    book.cache.save({"answers": book.answers})


class _Book:
    """The answers for one configuration."""

    def __init__(self, cache: Cache) -> None:
        self.cache = cache
        self.changed = False
        self.answers: dict[str, str] = {}
        found = (cache.load() or {}).get("answers")
        if isinstance(found, dict):
            self.answers = {k: v for k, v in found.items() if isinstance(v, str)}


def _book(folder: str, config: str | None) -> _Book | None:
    try:
        read = list(_all_read(config))
    except (_NotKnown, OSError, KeyError):
        return None
    return _Book(Cache(read, folder, "ssh"))


class _NotKnown(Exception):
    """What the answer depends on cannot be told."""


def _all_read(config: str | None) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of all that `ssh -G` depends on."""
    account = pwd.getpwuid(os.getuid())
    program = shutil.which("ssh")
    if program is None:
        raise _NotKnown
    yield "/account", f"{account.pw_uid} {account.pw_name} {account.pw_dir}".encode()
    yield "/format", _FORMAT
    yield program, _look(program)
    yield "/etc/services", _look("/etc/services")  # which gives ssh its port
    yield "/etc/hostname", os.uname().nodename.encode()
    own = f"{account.pw_dir}/.ssh"
    if config is not None:
        yield from _file(config, own, 0)
    else:
        yield from _file(f"{own}/config", own, 0)
        yield from _file(_SYSTEM, "/etc/ssh", 0)


def _file(path: str, folder: str, depth: int) -> Iterator[tuple[str, bytes]]:
    if depth > _DEEPEST:
        raise _NotKnown
    content = b""
    with contextlib.suppress(FileNotFoundError):
        content = Path(path).read_bytes()
    yield path, _look(path) + content
    for raw in content.splitlines():
        line = raw.strip()
        if line.startswith(b"#"):
            continue
        if _UNKNOWN.search(line):
            raise _NotKnown
        if match := _INCLUDE.match(line):
            for word in match[1].split():
                if not _PLAIN.fullmatch(word):
                    raise _NotKnown
                # A relative path begins where this kind of configuration lies.
                for name in sorted(glob.glob(str(Path(folder) / os.fsdecode(word)))):  # noqa: PTH207 - absolute patterns too
                    yield from _file(name, folder, depth + 1)


def _look(path: str) -> bytes:
    """Give what ssh heeds of a file besides its content, and when it was last changed."""
    try:
        seen = Path(path).stat()
    except FileNotFoundError:
        return b"none"
    facts = (seen.st_mode, seen.st_uid, seen.st_size, seen.st_ino, seen.st_mtime_ns)
    return f"{facts} ".encode()
