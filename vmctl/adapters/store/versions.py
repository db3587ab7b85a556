"""Creating a database and bringing it to a newer version, whole or not at all."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, NoResultFound

from vmctl.adapters.schema import meta
from vmctl.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from vmctl.adapters.location import Location
    from vmctl.adapters.migrations import Migration
    from vmctl.adapters.store.engine import Tx

# Whether there is our first table, and whether there is anything else. Reflection would tell as
# well, at the price of all else that a command does. A team's PostgreSQL may hold others' tables.
_TABLES = {
    "sqlite": "SELECT count(*) FILTER (WHERE name = 'meta'), count(*) FROM sqlite_master",
    # Not by to_regclass: it may answer from what this session knew before it waited for a lock.
    "postgresql": "SELECT count(*), 0 FROM pg_catalog.pg_class "
    "WHERE relname = 'meta' AND relkind = 'r' AND pg_catalog.pg_table_is_visible(oid)",
}
_MIGRATING = 0x766D63746C  # "vmctl": the key of an advisory lock


def version_of(connection: Connection) -> int | None:
    """Say at which version a database stands; None for an empty one."""
    ours, others = connection.execute(text(_TABLES[connection.dialect.name])).one()
    if ours:
        try:
            query = select(meta.c.version).where(meta.c.uuid != "")
            return int(connection.execute(query).scalar_one())
        except (DBAPIError, NoResultFound) as error:
            raise _foreign() from error
    if others:
        raise _foreign()
    return None


def _foreign() -> StateError:
    return StateError(
        "the database holds something else than vmctl's state", hint="name another one with --db"
    )


def migrate(tx: Tx, location: Location, migrations: Sequence[Migration]) -> tuple[int, int]:
    """Apply what is missing, in a transaction that holds the write lock, and say from and to."""
    connection = tx.connection
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATING})
    before = version_of(connection)
    after = len(migrations)
    if before is not None and before > after:
        raise too_new(location, before, after)
    for migration in migrations[before or 0 :]:
        migration(connection)
    if before is None:
        values = {"one": 1, "uuid": str(uuid.uuid4()), "version": after, "created": tx.now}
        connection.execute(meta.insert().values(values))
    else:
        connection.execute(update(meta).values(version=after))
    return before or 0, after


def too_new(location: Location, version: int, ours: int) -> StateError:
    """Say that a newer vmctl has been here."""
    return StateError(
        f"the database {location} is at version {version}, and this vmctl knows versions up to "
        f"{ours}",
        hint="use the newer vmctl that wrote it, or name another database with --db",
    )


def too_old(location: Location, version: int, ours: int) -> StateError:
    """Say that the database has to be upgraded first."""
    return StateError(
        f"the database {location} is at version {version}, and this vmctl needs version {ours}",
        hint="vmctl db backup FILE, then vmctl db upgrade",
    )
