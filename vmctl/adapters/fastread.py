"""The quick way to read an SQLite database: the standard library, and none of SQLAlchemy.

For lists and completion, whose start must cost next to nothing. The store is the measure: a test
holds both to the same values. Whatever goes wrong here is a StateError that means: ask the store.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from vmctl.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.record import Attempt, Server

VERSION = 5
"""The version of the tables that the statements here know."""

_HOSTS = "SELECT * FROM hosts WHERE :name IS NULL OR name = :name ORDER BY name"
_USED = """
    SELECT host, count(DISTINCT server) AS servers, group_concat(server) AS claimed,
        sum(vcpus) AS vcpus, sum(memory) AS memory,
        sum(CASE pool WHEN '' THEN disk ELSE 0 END) AS disk,
        group_concat(nullif(cpus, '')) AS cpus
    FROM claims WHERE :name IS NULL OR host = :name GROUP BY host"""
_SERVERS = "SELECT * FROM servers WHERE deleted IS NULL OR :deleted"
_SERVER = "SELECT * FROM servers WHERE id = :word OR name = :word AND deleted IS NULL"
_NAMES = {
    "host": "SELECT name FROM hosts ORDER BY name",
    "flavor": "SELECT name FROM flavors ORDER BY name",
    "image": "SELECT name FROM images ORDER BY name",
    "group": "SELECT name FROM server_groups ORDER BY name",
    "keypair": "SELECT name FROM keypairs ORDER BY name",
    "security-group": "SELECT name FROM security_groups ORDER BY name",
    "server": "SELECT DISTINCT name FROM servers WHERE deleted IS NULL ORDER BY name",
}


_MARKS = {ord(mark): f"%{ord(mark):02x}" for mark in "%?#"}
"""What means something else in SQLite's URIs than in a path."""


def _quoted(path: Path | str) -> str:
    return str(path).translate(_MARKS)


@contextmanager
def reading(path: Path | str, *, busy: float = 2.0) -> Iterator[sqlite3.Connection]:
    """Open a database to see it as it is at one moment; StateError unless that is easily done."""
    try:
        with closing(
            sqlite3.connect(
                f"file:{_quoted(path)}?mode=ro", uri=True, timeout=busy, isolation_level=None
            )
        ) as db:
            db.row_factory = sqlite3.Row
            db.execute("BEGIN")
            (version,) = db.execute("SELECT version FROM meta").fetchone() or (0,)
            if version != VERSION:
                raise StateError(f"the database {path} is at version {version}, not {VERSION}")
            yield db
    except sqlite3.Error as error:
        raise StateError(f"the database {path} cannot be read: {error}") from error


def names(db: sqlite3.Connection, kind: str) -> tuple[str, ...]:
    """List the names of all things of a kind, of servers the live ones, for completion."""
    return tuple(name for (name,) in db.execute(_NAMES[kind]))


def hosts(db: sqlite3.Connection) -> tuple[HostRecord, ...]:
    """List the hosts on record by name."""
    return _hosts(db, None)


def host(db: sqlite3.Connection, name: str) -> HostRecord:
    """Read a host's record; one never heard of has an empty one."""
    found = _hosts(db, name)
    if found:
        return found[0]
    from vmctl.domain.host_record import HostRecord

    return HostRecord(name=name)


def _hosts(db: sqlite3.Connection, name: str | None) -> tuple[HostRecord, ...]:
    # Completion, which needs names alone, does not pay for the values' classes.
    from vmctl.adapters.host_rows import host_of, used_of

    used = used_of(_rows(db, _USED, name=name))
    rows = _rows(db, _HOSTS, name=name)
    return tuple(host_of(row, used) for row in rows)


def overview(db: sqlite3.Connection) -> tuple[tuple[HostRecord, ...], dict[str, set[str]]]:
    """List the hosts on record, and which servers hold claims on each host."""
    from vmctl.adapters.host_rows import host_of, used_of

    sums = _rows(db, _USED, name=None)
    used = used_of(sums)
    records = tuple(host_of(row, used) for row in _rows(db, _HOSTS, name=None))
    return records, {row["host"]: set(row["claimed"].split(",")) for row in sums}


def servers(db: sqlite3.Connection, *, deleted: bool = False) -> tuple[Server, ...]:
    """List servers by name, those that were deleted only on request."""
    from vmctl.adapters.rows import by_name, nics_of, server_of

    cards = nics_of(_rows(db, "SELECT * FROM nics"), _rows(db, "SELECT * FROM addresses"))
    return by_name(server_of(row, cards) for row in _rows(db, _SERVERS, deleted=deleted))


def server(db: sqlite3.Connection, word: str) -> Server:
    """Find a server by id or name; one that holds the name comes before one that failed."""
    from vmctl.adapters.rows import by_name, server_of, the_one

    found = _rows(db, _SERVER, word=word)
    return the_one(word, by_name(server_of(row, _nics(db, row["id"])) for row in found))


def attempts(db: sqlite3.Connection, server: str) -> tuple[Attempt, ...]:
    """List every try to have this server on a host, in order."""
    from vmctl.adapters.rows import attempts_of

    return attempts_of(
        _rows(db, "SELECT * FROM attempts WHERE server = :server", server=server),
        _rows(db, "SELECT * FROM claims WHERE server = :server", server=server),
        _nics(db, server),
    )


def _nics(db: sqlite3.Connection, server: str) -> Any:
    from vmctl.adapters.rows import nics_of

    return nics_of(
        _rows(db, "SELECT * FROM nics WHERE server = :server", server=server),
        _rows(db, "SELECT * FROM addresses WHERE server = :server", server=server),
    )


def _rows(db: sqlite3.Connection, query: str, **values: object) -> list[Any]:
    return db.execute(query, values).fetchall()
