"""An open database: its transactions, its version and whole copies of it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from sqlalchemy import select

from vmctl.adapters.location import PostgresUrl
from vmctl.adapters.schema import meta
from vmctl.adapters.store import copies, engine, versions
from vmctl.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from sqlalchemy import Engine

    from vmctl.adapters.location import Location
    from vmctl.adapters.migrations import Migration
    from vmctl.adapters.store.engine import Tx


class Database:
    """An open database; each method is one transaction."""

    def __init__(
        self,
        location: Location,
        connections: Engine,
        clock: Callable[[], float],
        migrations: Sequence[Migration],
    ) -> None:
        self.location = location
        self._connections = connections
        self._clock = clock
        self._migrations = migrations

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of every connection."""
        self._connections.dispose()

    @contextmanager
    def reading(self) -> Iterator[Tx]:
        """See the database as it is at one moment."""
        with engine.transaction(self._connections, self.location, self._clock, write=False) as tx:
            yield tx

    @contextmanager
    def writing(self) -> Iterator[Tx]:
        """Change the database, or leave it as it was."""
        with engine.transaction(self._connections, self.location, self._clock, write=True) as tx:
            yield tx

    # The database itself

    def uuid(self) -> str:
        """Name this database apart from all others."""
        with self.reading() as tx:
            return str(tx.connection.execute(select(meta.c.uuid)).scalar_one())

    def version(self) -> int:
        """Say which migration the database stands at."""
        with self.reading() as tx:
            return versions.version_of(tx.connection) or 0

    def refuse_other(self, version: int) -> None:
        """Raise StateError for a database that is newer or older than this code."""
        known = len(self._migrations)
        if version > known:
            raise versions.too_new(self.location, version, known)
        if version < known:
            raise versions.too_old(self.location, version, known)

    def upgrade(self) -> tuple[int, int]:
        """Apply what migrations are missing, all or none, and say from and to which version."""
        with self.writing() as tx:
            return versions.migrate(tx, self.location, self._migrations)

    def backup(self, file: Path, *, replace: bool = False) -> None:
        """Write a whole, consistent copy while others go on working."""
        if isinstance(self.location, PostgresUrl):
            raise StateError(
                f"the database {self.location} is not vmctl's to copy", hint="use pg_dump"
            )
        copies.backup(self.location, file, replace=replace)
