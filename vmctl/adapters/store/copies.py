"""Backups of an SQLite database, and bringing one back."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from vmctl.adapters.leases import FlockLeases
from vmctl.adapters.location import SqliteFile
from vmctl.adapters.store.engine import folder_lock, prepare
from vmctl.adapters.store.failures import ours
from vmctl.adapters.store.versions import too_new
from vmctl.errors import Busy, Conflict, NotFound, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


def backup(source: SqliteFile, file: Path, *, replace: bool) -> None:
    """Write a whole copy of a database that others may be writing to."""
    file = file.absolute()
    if file.exists() and (not replace or file.samefile(source.path)):
        raise Conflict(f"{file} is there already", hint="give the backup another name")
    with _written(file) as part:
        _copy(source, part)
        if replace:
            part.replace(file)
            return
        try:
            # Unlike a rename, a link never takes the place of what appeared in the meantime.
            file.hardlink_to(part)
        except FileExistsError:
            raise Conflict(f"{file} is there already") from None
        except OSError:
            part.rename(file)  # a file system without links


def restore(target: SqliteFile, file: Path, *, known: int, now: float, busy: float) -> Path | None:
    """Put a backup in a database's place and say where the replaced one is kept, if there was one.

    `known` is the newest version that this code can use.
    """
    file = file.absolute()
    if not file.is_file():
        raise NotFound(f"there is no file {file}")
    prepare(target.path)
    with _written(target.path) as part:
        _copy(SqliteFile(file), part)
        _inspect(part, file, known)
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        with folder_lock(target.path.parent, busy):
            aside = _unused(target.path.with_name(f"{target.path.name}.replaced-{stamp}"))
            try:
                return _overwrite(target, part, aside, busy)
            except sqlite3.DatabaseError as error:
                if error.sqlite_errorcode & 0xFF not in _DAMAGED:
                    with ours(target):
                        raise
                _swap(target, part, aside)
                return aside


def _overwrite(target: SqliteFile, part: Path, aside: Path, busy: float) -> Path | None:
    # Not by renaming: whoever has the old file open would go on writing to it, and its log would
    # be taken for the new one's.
    with closing(_open(target.path, busy=busy)) as connection:
        # Once to say what is going on, and once when nothing can begin any more.
        _refuse_running(connection, target)
    with closing(_open(target.path, busy=busy)) as connection:
        # Keeps every other process out from here to the end; one that is connected is waited for.
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        _refuse_running(connection, target)
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        connection.execute("COMMIT")
        if tables:
            with _written(aside) as kept:
                _fill(connection, kept)
                kept.rename(aside)
        with closing(_open(part)) as source:
            source.backup(connection)
    return aside if tables else None


def _refuse_running(connection: sqlite3.Connection, target: SqliteFile) -> None:
    query = "SELECT id, kind, owner FROM operations WHERE state = 'running'"
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'operations'").fetchone():
        return
    leases = FlockLeases(target.path)
    for operation, kind, owner in connection.execute(query):
        if not leases.is_dead(operation):
            raise Busy(
                f"the database {target} is in use: {owner} is at a {kind} ({operation})",
                hint="wait for its end, then restore",
            )


def _swap(target: SqliteFile, part: Path, aside: Path) -> None:
    # The log first: it would be replayed into the new file. At no moment is there no database,
    # for the next command would make an empty one.
    for suffix in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            log = target.path.with_name(target.path.name + suffix)
            log.rename(aside.with_name(aside.name + suffix))
    try:
        aside.hardlink_to(target.path)
    except OSError:
        shutil.copy2(target.path, aside)  # a file system without links
    part.replace(target.path)


def _copy(source: SqliteFile, part: Path) -> None:
    with ours(source), closing(_open(source.path, mode="ro")) as connection:
        _fill(connection, part)


def _fill(connection: sqlite3.Connection, part: Path) -> None:
    with closing(_open(part)) as copy:
        # Nobody else knows the file, and some file systems that backups go to have no locks.
        copy.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.backup(copy)
        # One file, complete without a log beside it.
        copy.execute("PRAGMA journal_mode = DELETE")
    with part.open("rb") as written:
        os.fsync(written.fileno())


def _inspect(part: Path, file: Path, known: int) -> None:
    try:
        with closing(_open(part, mode="ro")) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict != "ok":
                raise StateError(f"the backup {file} is damaged: {verdict}")
            row = connection.execute("SELECT version, uuid FROM meta").fetchone()
    except sqlite3.DatabaseError as error:
        raise StateError(f"{file} is no backup of a vmctl database: {error}") from error
    if row is None:
        raise StateError(f"{file} is no backup of a vmctl database")
    if row[0] > known:
        raise too_new(SqliteFile(file), row[0], known)


@contextmanager
def _written(file: Path) -> Iterator[Path]:
    """Give a file of our own beside another one, gone at the end if it is still there."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
        os.close(handle)
        part = Path(name)
        try:
            yield part
            _sync(file.parent)
        finally:
            for suffix in ("", "-journal", "-wal", "-shm"):
                Path(name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise StateError(f"{file} cannot be written: {error.strerror}") from error


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unused(path: Path) -> Path:
    chosen, number = path, 1
    while chosen.exists():
        number += 1
        chosen = path.with_name(f"{path.name}-{number}")
    return chosen


def _open(path: Path, *, mode: str = "rw", busy: float = 5.0) -> sqlite3.Connection:
    uri = f"file:{quote(str(path))}?mode={mode}"
    return sqlite3.connect(uri, uri=True, timeout=busy, isolation_level=None)
