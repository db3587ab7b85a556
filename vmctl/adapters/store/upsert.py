"""An insert that may say what to do where the row is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlalchemy import Table

    from vmctl.adapters.store.engine import Tx


def upsert(tx: Tx, table: Table) -> Any:
    """Begin such an insert in the words of the database that is there."""
    # Imported here: a whole dialect is dear, and a run needs one of the two.
    if tx.connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql

        return postgresql.insert(table)
    from sqlalchemy.dialects import sqlite

    return sqlite.insert(table)
