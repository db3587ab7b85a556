"""Where the state is: a file of one Unix account, or a PostgreSQL that a team shares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from vmctl.errors import UsageError

_POSTGRES = frozenset({"postgres", "postgresql", "postgresql+psycopg"})
_SQLITE = frozenset({"sqlite", "sqlite+pysqlite"})
_SECRET_KEYS = frozenset({"password", "sslpassword"})
_SPOKEN_PASSWORD = re.compile(r"[^:/?#@]*:[^@]*@")


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """A database in a file on this machine."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class PostgresUrl:
    """A PostgreSQL database by its URL, which holds no password."""

    url: str

    def __str__(self) -> str:
        return self.url


Location = SqliteFile | PostgresUrl


def parse_location(db: str) -> Location:
    """Read a path or an SQLAlchemy URL; a password in it is refused, and not repeated."""
    scheme, separator, rest = db.partition("://")
    if not separator:
        return _file(db)
    if scheme in _SQLITE:
        return _file(_path_in_url(rest))
    if scheme not in _POSTGRES:
        raise UsageError(
            f"{scheme}:// is no database that vmctl can use",
            hint="give the path of an SQLite file, or postgresql://USER@HOST/DATABASE",
        )
    query = rest.partition("?")[2]
    # Only a URL pays for this: its import costs a fifth of an empty Python.
    from urllib.parse import parse_qsl

    secret = {key.lower() for key, _ in parse_qsl(query, keep_blank_values=True)} & _SECRET_KEYS
    if secret or _SPOKEN_PASSWORD.match(rest):
        raise UsageError(
            "a database URL must not hold a password: every user of this machine can read it "
            "in the process list",
            hint="put it into ~/.pgpass (or the file that PGPASSFILE names), or name a service "
            "of pg_service.conf: postgresql://?service=NAME",
        )
    return PostgresUrl(f"postgresql+psycopg://{rest}")


def _path_in_url(rest: str) -> str:
    host, slash, path = rest.partition("/")
    if host or not slash or not path or "?" in path:
        raise UsageError(
            f"sqlite://{rest} names no file that vmctl can use",
            hint="give the path alone, or sqlite:////absolute/path",
        )
    from urllib.parse import unquote

    return unquote(path)


def _file(path: str) -> SqliteFile:
    if not path.strip() or path == ":memory:" or "\0" in path:
        raise UsageError(f"{path!r} is no path of a database", hint="give the path of a file")
    # The same file under two names must have one folder of leases.
    return SqliteFile(Path(path).expanduser().resolve())
