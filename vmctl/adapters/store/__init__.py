"""The operators' record in a database: every write goes through here."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Self

from sqlalchemy import select

from vmctl.adapters.location import PostgresUrl, parse_location
from vmctl.adapters.migrations import MIGRATIONS
from vmctl.adapters.schema import meta
from vmctl.adapters.store import (
    admission,
    copies,
    engine,
    events,
    hosts,
    operations,
    servers,
    versions,
)
from vmctl.domain.operation import Event
from vmctl.domain.record import AttemptState
from vmctl.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

    from sqlalchemy import Engine

    from vmctl.adapters.location import Location
    from vmctl.adapters.migrations import Migration
    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.host_record import HostRecord, KvmCheck, Sighting
    from vmctl.domain.operation import (
        Actor,
        JournalEntry,
        Mark,
        NewOperation,
        Operation,
        OperationState,
        Token,
    )
    from vmctl.domain.record import (
        Attempt,
        Change,
        Claim,
        Judge,
        NewServer,
        Server,
        ServerState,
        Wanted,
    )
    from vmctl.ports import Lease

BUSY = 20.0  # seconds that a transaction waits for another process's


def open_store(
    db: str | Location,
    *,
    clock: Callable[[], float] = time.time,
    busy: float = BUSY,
    migrations: Sequence[Migration] = MIGRATIONS,
    any_version: bool = False,
) -> SqlStore:
    """Open a database, made on its first use; one of another version is refused unless asked for.

    Only what works at every version may be done with such a one: to say its version, to upgrade
    it, to back it up or to replace it.
    """
    location = parse_location(db) if isinstance(db, str) else db
    store = SqlStore(location, engine.connect(location, busy), clock, migrations)
    try:
        with store.reading() as tx:
            version = versions.version_of(tx.connection)
        if version is None:
            store.upgrade()
        elif not any_version:
            store.refuse_other(version)
    except BaseException:
        store.close()
        raise
    return store


def restore(
    db: str | Location,
    file: Path,
    *,
    clock: Callable[[], float] = time.time,
    busy: float = BUSY,
    migrations: Sequence[Migration] = MIGRATIONS,
) -> Path | None:
    """Put a backup in the place of a database, a damaged one too, and say where that one is kept.

    Refused while an operation runs, and for a backup that is damaged or newer than this code.
    """
    location = parse_location(db) if isinstance(db, str) else db
    if isinstance(location, PostgresUrl):
        raise StateError(f"the database {location} is not vmctl's to replace", hint="pg_restore")
    return copies.restore(location, file, known=len(migrations), now=clock(), busy=busy)


class SqlStore:
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

    # Admission, and everything that takes a token

    def admit(
        self,
        lease: Lease,
        new: NewOperation,
        server: NewServer,
        wanted: Wanted,
        judge: Judge,
        *,
        event: Event | None = None,
    ) -> Token:
        """Write a server with its first attempt and operation, or raise and write nothing."""
        lease.check()
        new = replace(new, server=server.id, host=wanted.host)
        with self.writing() as tx:
            token = admission.admit(tx, lease.operation, new, server, wanted=wanted, judge=judge)
            _tell(tx, event, token)
        return token

    def readmit(self, token: Token, wanted: Wanted, judge: Judge) -> int:
        """Give the attempt up, its cleanup owed, for the next one, and return its number."""
        with self.writing() as tx:
            return admission.readmit(tx, token, wanted, judge)

    def begin(
        self,
        lease: Lease,
        new: NewOperation,
        *,
        expect: Collection[ServerState] = (),
        task: str | None = None,
        event: Event | None = None,
    ) -> Token:
        """Put an operation on record, if its server is in an expected state and idle."""
        lease.check()
        with self.writing() as tx:
            token = operations.begin(tx, lease.operation, new, expect, task)
            _tell(tx, event, token)
        return token

    def adopt(self, lease: Lease, owner: str) -> Token:
        """Take an unfinished operation over from an owner who is dead, as the lease proves."""
        lease.check()
        with self.writing() as tx:
            return operations.adopt(tx, lease.operation, owner)

    def journal(self, token: Token, step: str, mark: Mark, detail: str = "") -> JournalEntry:
        """Commit a mark on a step; a void token raises OwnershipLost."""
        with self.writing() as tx:
            return operations.write(tx, token, step, mark, detail)

    def change(self, token: Token, change: Change) -> None:
        """Change what the record says of the operation's server."""
        with self.writing() as tx:
            servers.change(tx, operations.fenced(tx, token), change)

    def mark_attempt(
        self, token: Token, number: int, state: AttemptState, fault: str | None = None
    ) -> None:
        """Say how far an attempt went; to release one is to free its claim and addresses."""
        with self.writing() as tx:
            admission.mark(tx, operations.fenced(tx, token), number, state, fault)

    def finish(
        self,
        token: Token,
        state: OperationState,
        *,
        change: Change | None = None,
        release: Collection[int] = (),
        fault: str | None = None,
        event: Event | None = None,
    ) -> None:
        """End an operation, or leave it stuck or owed; release the attempts proven gone."""
        with self.writing() as tx:
            server = operations.finish(tx, token, state, fault)
            if change is not None:
                servers.change(tx, server, change)
            for number in release:
                admission.mark(tx, server, number, AttemptState.RELEASED, None)
            _tell(tx, event, token)

    # Reading

    def operation(self, word: str) -> Operation:
        """Find the operation with this id, or with the only id that begins so."""
        with self.reading() as tx:
            return operations.find(tx, word)

    def operations(self, *, unfinished: bool = False, server: str = "") -> tuple[Operation, ...]:
        """List operations by when they started."""
        with self.reading() as tx:
            return operations.listing(tx, unfinished=unfinished, server=server)

    def journal_of(self, operation: str) -> tuple[JournalEntry, ...]:
        """Read an operation's journal in order."""
        with self.reading() as tx:
            return operations.journal_of(tx, operation)

    def server(self, word: str) -> Server:
        """Find a server by id or name; one that holds the name comes before one that failed."""
        with self.reading() as tx:
            return servers.find(tx, word)

    def servers(self, *, deleted: bool = False) -> tuple[Server, ...]:
        """List servers by name."""
        with self.reading() as tx:
            return servers.listing(tx, deleted=deleted)

    def attempts(self, server: str) -> tuple[Attempt, ...]:
        """List every try to have this server on a host, in order."""
        with self.reading() as tx:
            return servers.attempts_at(tx, server)

    def claims(self, host: str = "") -> tuple[Claim, ...]:
        """List all live claims, or one host's."""
        with self.reading() as tx:
            return servers.claims_on(tx, host)

    def addresses(self, scope: str) -> frozenset[str]:
        """Say which addresses are held within a scope."""
        with self.reading() as tx:
            return servers.addresses_in(tx, scope)

    # Hosts and events

    def hosts(self) -> tuple[HostRecord, ...]:
        """List the hosts on record by name."""
        with self.reading() as tx:
            return hosts.listing(tx)

    def host(self, name: str) -> HostRecord:
        """Read a host's record; one never heard of has an empty one."""
        with self.reading() as tx:
            return hosts.host_at(tx, name)

    def save_samples(self, sightings: Iterable[Sighting]) -> None:
        """Keep what a round of probes saw, in one transaction; an older look changes nothing."""
        with self.writing() as tx:
            hosts.save_samples(tx, sightings)

    def save_kvm(self, host: str, check: KvmCheck) -> None:
        """Keep whether KVM works on a host in its present boot."""
        with self.writing() as tx:
            hosts.save_kvm(tx, host, check)

    def enable(self, host: str, *, actor: Actor) -> None:
        """Let servers be placed on a host again."""
        with self.writing() as tx:
            hosts.set_enabled(tx, host, enabled=True, reason=None)
            events.record(tx, Event(actor=actor, action="host-enable", result="done", host=host))

    def disable(self, host: str, reason: str, *, actor: Actor) -> None:
        """Keep new servers off a host and say why."""
        with self.writing() as tx:
            hosts.set_enabled(tx, host, enabled=False, reason=reason)
            told = {"reason": reason}
            events.record(
                tx, Event(actor=actor, action="host-disable", result="done", host=host, detail=told)
            )

    def record(self, event: Event) -> int:
        """Write an event and return its id."""
        with self.writing() as tx:
            return events.record(tx, event)

    def events(
        self, *, server: str = "", host: str = "", after: int = 0, limit: int = 0
    ) -> tuple[Event, ...]:
        """Read events, oldest first; a limit keeps the newest ones."""
        with self.reading() as tx:
            return events.listing(tx, server=server, host=host, after=after, limit=limit)


def _tell(tx: Tx, event: Event | None, token: Token) -> None:
    if event is not None:
        events.record(tx, replace(event, operation=token.operation))
