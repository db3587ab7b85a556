"""What a database fails with, said in our own words."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError

from vmctl.errors import AddressTaken, Busy, Conflict, KeyTaken, NameTaken, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmctl.adapters.location import Location

_RESTORE = "keep the file as it is and bring a backup back: vmctl db restore FILE"
_FULL = (
    "cannot grow: the disk is full; nothing of this transaction was written",
    "make room on its disk and try again",
)
_SQLITE = {
    sqlite3.SQLITE_BUSY: (
        "is locked by another process",
        "try again; fuser or lsof names who holds the file",
    ),
    sqlite3.SQLITE_LOCKED: ("is locked by another process", "try again"),
    sqlite3.SQLITE_CORRUPT: ("is damaged", _RESTORE),
    sqlite3.SQLITE_NOTADB: ("is no SQLite database", _RESTORE),
    sqlite3.SQLITE_CANTOPEN: ("cannot be opened", "look at the rights of the file and its folder"),
    sqlite3.SQLITE_READONLY: ("cannot be written", "look at the rights of the file and its folder"),
    sqlite3.SQLITE_PERM: ("cannot be opened", "look at the rights of the file and its folder"),
    sqlite3.SQLITE_FULL: _FULL,
    # The file beside it through which processes share WAL's index could not be made as long.
    sqlite3.SQLITE_IOERR_SHMSIZE: _FULL,
    sqlite3.SQLITE_IOERR_SHMMAP: _FULL,
    sqlite3.SQLITE_IOERR: ("cannot be read or written: its disk fails", "look at the kernel's log"),
}
# What the driver says, without a code, of a page whose checks all pass and whose words do not.
_NO_TEXT = "Could not decode to UTF-8"
_UNREACHABLE = "see whether psql reaches it with the same URL; passwords belong into ~/.pgpass"
# By the beginning of SQLSTATE, the longer one first; what fails before there is a session has none.
_POSTGRES = (
    ("55P03", "is locked by another process", "try again; pg_locks says who holds it"),
    ("57014", "took longer than this command may wait", "try again; pg_stat_activity says why"),
    ("40", "had several commands in each other's way; nothing was written", "try again"),
    ("42501", "does not grant what vmctl needs", "its user needs to own the database's schema"),
    ("53100", "cannot grow: the disk is full; nothing was written", "make room on its disk"),
    ("53", "has no room for another connection", "raise max_connections, or try again"),
    ("57P", "is shutting down or starting", "try again"),
    ("08", "lost the connection", _UNREACHABLE),
)


# By the columns as SQLite names them, and by PostgreSQL's name of the constraint. These are met
# only where two PostgreSQL transactions passed the look before the write at the same time.
_TAKEN: Mapping[str, tuple[type[Conflict], str]] = {
    "servers.name": (NameTaken, "a server of this name is being created elsewhere"),
    "nics.mac": (AddressTaken, "the MAC was just given to another server"),
    "addresses.scope, addresses.address": (
        AddressTaken,
        "the address was just given to another server",
    ),
    "flavors.name": (NameTaken, "a flavor of this name is there already"),
    "flavors.id": (Conflict, "a flavor with this id is there already"),
    "images.name": (NameTaken, "an image of this name is there already"),
    "images.id": (Conflict, "an image with this id is there already"),
    "server_groups.name": (NameTaken, "a server group of this name is there already"),
    "idempotency.key": (KeyTaken, "a create with this idempotency key has just begun"),
    "keypairs.name": (NameTaken, "a keypair of this name is there already"),
    "security_groups.name": (NameTaken, "a security group of this name is there already"),
    "security_groups.id": (Conflict, "a security group with this id is there already"),
    "operations.server": (Busy, "another operation on this server has just begun"),
}
_TAKEN_BY_CONSTRAINT = {
    "servers_live_name": "servers.name",
    "nics_mac": "nics.mac",
    "addresses_pkey": "addresses.scope, addresses.address",
    "flavors_name": "flavors.name",
    "flavors_pkey": "flavors.id",
    "images_name": "images.name",
    "images_pkey": "images.id",
    "server_groups_name": "server_groups.name",
    "idempotency_pkey": "idempotency.key",
    "keypairs_pkey": "keypairs.name",
    "security_groups_name": "security_groups.name",
    "security_groups_pkey": "security_groups.id",
    "operations_one_per_server": "operations.server",
}


@contextmanager
def ours(location: Location, *more: type[Exception]) -> Iterator[None]:
    """Let nothing of SQLAlchemy's or a driver's out but as an error of ours."""
    foreign: tuple[type[Exception], ...] = (SQLAlchemyError, sqlite3.Error, *more)
    try:
        yield
    except IntegrityError as error:
        kind, what = _TAKEN.get(_constraint(error), (StateError, ""))
        if not what:
            what = f"the database {location} refuses: {_first_line(error.orig or error)}"
        raise kind(what) from error
    except foreign as error:
        what, hint = _said(error)
        raise StateError(f"the database {location} {what}", hint=hint) from error


def _constraint(error: IntegrityError) -> str:
    name = getattr(getattr(error.orig, "diag", None), "constraint_name", None)
    if name is not None:
        return _TAKEN_BY_CONSTRAINT.get(name, "")
    return str(error.orig).removeprefix("UNIQUE constraint failed: ")


def _said(error: Exception) -> tuple[str, str | None]:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(cause, sqlite3.Error):
        # The low byte is the class of the failure, the rest tells kinds of it apart.
        code = getattr(cause, "sqlite_errorcode", 0)
        known = _SQLITE.get(code) or _SQLITE.get(code & 0xFF)
        if str(cause).startswith(_NO_TEXT):
            known = _SQLITE[sqlite3.SQLITE_CORRUPT]
        return known or (f"refuses: {_first_line(cause)}", None)
    state: str | None = getattr(cause, "sqlstate", None)
    if state is not None:
        for prefix, what, hint in _POSTGRES:
            if state.startswith(prefix):
                return f"{what} ({_first_line(cause)})", hint
        return f"refuses: {_first_line(cause)}", None
    if isinstance(error, ArgumentError):
        return "is not named by a URL that can be read", "postgresql://USER@HOST/DATABASE"
    return f"does not answer: {_first_line(cause)}", _UNREACHABLE


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
