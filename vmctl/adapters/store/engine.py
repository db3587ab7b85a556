"""Connections and transactions: what makes two processes safe on one database."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, create_engine, event, make_url

from vmctl.adapters.location import SqliteFile
from vmctl.adapters.mounts import mountinfo, refuse_network
from vmctl.adapters.store.failures import ours
from vmctl.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from sqlalchemy import Connection, Engine

    from vmctl.adapters.location import Location, PostgresUrl

_WRITE = "vmctl_write"
# A colleague's laptop that vanishes must not leave its locks behind for the server's two hours.
_POSTGRES_SETTINGS = """
    SET lock_timeout = '20s';
    SET statement_timeout = '60s';
    SET idle_in_transaction_session_timeout = '60s';
    SET tcp_keepalives_idle = 15;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
"""
_POSTGRES_CONNECT = {
    "application_name": "vmctl",
    "connect_timeout": "10",
    "keepalives": "1",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tx:
    """An open transaction and the one time at which all in it happens."""

    connection: Connection
    now: float


@contextmanager
def transaction(
    engine: Engine, location: Location, clock: Callable[[], float], *, write: bool
) -> Iterator[Tx]:
    """Run a transaction; one that writes has the write lock from its first moment on."""
    chosen = engine.execution_options(**{_WRITE: True}) if write else engine
    if not write and engine.dialect.name == "postgresql":
        # Several SELECTs must see one moment, as they do on SQLite.
        chosen = engine.execution_options(isolation_level="REPEATABLE READ")
    with ours(location), chosen.begin() as connection:
        yield Tx(connection=connection, now=clock())


_SHARED: Mapping[str, Any] = {
    # Each of the servers that are made side by side may need one.
    "max_overflow": 60,
    # What is written may be secret, and an error would show it.
    "hide_parameters": True,
}


def connect(location: Location, busy: float) -> Engine:
    """Make an engine for a database; nothing is asked of a PostgreSQL yet."""
    with ours(location):
        return _sqlite(location, busy) if isinstance(location, SqliteFile) else _postgres(location)


def _sqlite(location: SqliteFile, busy: float) -> Engine:
    path = location.path
    prepare(path)
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        connect_args={"isolation_level": None, "timeout": busy},
        **_SHARED,
    )

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, record: object) -> None:
        del record
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")
        # What a create had to know and nobody may read afterwards is overwritten, not only freed.
        connection.execute("PRAGMA secure_delete = ON")
        if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            # Of several that switch at once, SQLite would fail all but one without a wait.
            with folder_lock(path.parent, busy):
                connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        write = connection.get_execution_options().get(_WRITE, False)
        # A transaction that reads first and wants to write later fails when someone else wrote
        # in between, however long it would wait.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def prepare(path: Path) -> None:
    """Make the folder and an empty file that only their owner can read, or say what forbids it."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        refuse_network(path, mountinfo())
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            mode = path.stat().st_mode
            if stat.S_ISDIR(mode):
                raise StateError(
                    f"the database {path} is a folder", hint=f"--db {path / 'state.db'}"
                ) from None
            if mode & 0o077 and path.stat().st_uid == os.geteuid() and _is_sqlite(path):
                path.chmod(0o600)
    except OSError as error:
        raise StateError(
            f"the database {path} cannot be opened: {error.strerror}",
            hint="make room on its disk"
            if error.errno in {errno.ENOSPC, errno.EDQUOT}
            else "look at the rights of the file and its folder",
        ) from error


def _is_sqlite(path: Path) -> bool:
    """Say whether a file is a database: any other that was named by mistake keeps its mode."""
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


@contextmanager
def folder_lock(folder: Path, patience: float) -> Iterator[None]:
    """Keep every other process of ours from making or replacing files in the folder."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise StateError(
                        f"the folder {folder} is locked by another process",
                        hint="try again; fuser or lsof names who holds it",
                    ) from None
                time.sleep(0.01)
        yield
    finally:
        os.close(handle)


def _postgres(location: PostgresUrl) -> Engine:
    url = make_url(location.url)
    given = {key: value for key, value in _POSTGRES_CONNECT.items() if key not in url.query}
    try:
        # Prepared statements do not survive a pooler that hands sessions around.
        engine = create_engine(
            url,
            connect_args={**given, "prepare_threshold": None},
            pool_pre_ping=True,
            **_SHARED,
        )
    except ImportError as error:
        raise StateError(
            "PostgreSQL needs psycopg, which is not installed",
            hint="pip install 'vmctl[postgres]'",
        ) from error

    @event.listens_for(engine, "connect")
    def _set_up(connection: Any, record: object) -> None:
        del record
        connection.autocommit = True
        connection.execute(_POSTGRES_SETTINGS)
        connection.autocommit = False

    return engine


def session(location: PostgresUrl) -> Any:
    """Open a connection of its own, for locks that live as long as it does."""
    engine = _postgres(location)
    with ours(location):
        pooled = engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        connection.autocommit = True
        # Newer servers may end sessions that do nothing; this one has to do nothing for hours.
        connection.execute(
            "SELECT set_config(name, '0', false) FROM pg_settings "
            "WHERE name = 'idle_session_timeout'"
        )
    return connection
