"""Databases of every version there ever was, kept as text to be upgraded by tests.

`python -m tests.support.goldens` writes the one of the newest version, if it is not there yet.
Files of versions that were released are never written again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table, text

from tests.support.stores import Clock, populate
from vmctl.adapters.leases import open_leases
from vmctl.adapters.migrations import MIGRATIONS
from vmctl.adapters.store import open_store

if TYPE_CHECKING:
    from sqlalchemy import Connection

FOLDER = Path(__file__).parents[1] / "golden" / "state"


def golden(version: int) -> Path:
    return FOLDER / f"{version}.json"


def schema(connection: Connection) -> list[str]:
    """Say by which statements an SQLite database was made."""
    made = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    return [" ".join(sql.split()) for (sql,) in connection.execute(text(made))]


def load(connection: Connection, version: int) -> None:
    """Make a database as the code of that version left it."""
    content = json.loads(golden(version).read_text())
    if connection.dialect.name == "sqlite":
        for statement in content["schema"]:
            connection.execute(text(statement.replace(":", r"\:")))
    else:
        for migration in MIGRATIONS[:version]:
            migration(connection)
    for name, rows in content["rows"].items():
        table = Table(name, MetaData(), autoload_with=connection)
        for row in rows:
            connection.execute(table.insert().values(**row))


def write(version: int) -> None:
    rows: dict[str, list[dict[str, Any]]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(f"{folder}/state.db", clock=Clock()) as store,
    ):
        populate(store, open_leases(store.location), Clock(), seed=version)
        with store.reading() as tx:
            everything = MetaData()
            everything.reflect(tx.connection)
            for table in everything.sorted_tables:
                found = tx.connection.execute(table.select()).mappings()
                rows[table.name] = [dict(row) for row in found]
            content = {"schema": schema(tx.connection), "rows": rows}
    FOLDER.mkdir(parents=True, exist_ok=True)
    golden(version).write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    newest = len(MIGRATIONS)
    if golden(newest).exists():
        sys.exit(f"{golden(newest)} is there already")
    write(newest)
