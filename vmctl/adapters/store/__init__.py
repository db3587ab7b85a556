"""The operators' record in a database: every write goes through here."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from vmctl.adapters.location import PostgresUrl, parse_location
from vmctl.adapters.migrations import MIGRATIONS
from vmctl.adapters.store import (
    admission,
    copies,
    engine,
    events,
    following,
    host_names,
    hosts,
    kept,
    marks,
    observing,
    operations,
    rebuild,
    servers,
    versions,
)
from vmctl.adapters.store.readings import Readings
from vmctl.domain.operation import Event, OperationState
from vmctl.domain.record import AttemptState
from vmctl.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from pathlib import Path

    from vmctl.adapters.location import Location
    from vmctl.adapters.migrations import Migration
    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.host_record import KvmCheck, Sighting
    from vmctl.domain.kept import FoundServer
    from vmctl.domain.observation import Observation, Turn
    from vmctl.domain.operation import (
        Actor,
        JournalEntry,
        Mark,
        NewOperation,
        Token,
    )
    from vmctl.domain.record import (
        Change,
        Company,
        Judge,
        NewServer,
        Nic,
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


class SqlStore(Readings):
    """An open database; each method is one transaction."""

    # Admission, and everything that takes a token

    def admit(
        self,
        lease: Lease,
        new: NewOperation,
        server: NewServer,
        wanted: Wanted,
        judge: Judge,
        *,
        company: Company | None = None,
        event: Event | None = None,
    ) -> Token:
        """Write a server with its first attempt and operation, or raise and write nothing."""
        lease.check()
        new = replace(new, server=server.id, host=wanted.host)
        with self.writing() as tx:
            token = admission.admit(
                tx, lease.operation, new, server, wanted=wanted, judge=judge, company=company
            )
            _tell(tx, event, token)
        return token

    def admit_failed(self, server: NewServer, fault: str, *, event: Event | None = None) -> None:
        """Write a server that no host was found for, in ERROR and without an attempt."""
        with self.writing() as tx:
            admission.admit_failed(tx, server, fault)
            if event is not None:
                events.record(tx, event)

    def readmit(
        self, token: Token, wanted: Wanted, judge: Judge, *, company: Company | None = None
    ) -> int:
        """Give the attempt up, its cleanup owed, for the next one, and return its number."""
        with self.writing() as tx:
            return admission.readmit(tx, token, wanted, judge, company)

    def readdress(
        self, token: Token, number: int, nics: Sequence[Nic], plan: Mapping[str, object]
    ) -> None:
        """Give an attempt other addresses, and the plan that goes with them."""
        with self.writing() as tx:
            admission.readdress(tx, token, number, nics, plan)

    def repin(
        self, token: Token, number: int, cpus: Sequence[int], plan: Mapping[str, object]
    ) -> None:
        """Give an attempt other CPUs for its own, and the plan that goes with them."""
        with self.writing() as tx:
            admission.repin(tx, token, number, cpus, plan)

    def replan(
        self,
        token: Token,
        number: int,
        plan: Mapping[str, object],
        fields: Mapping[str, object],
    ) -> None:
        """Give an attempt another plan, and fields of its server's spec other values."""
        with self.writing() as tx:
            admission.replan(tx, token, number, plan, fields)

    def secrets_of(self, token: Token) -> Mapping[str, Any]:
        """Read the operation's secrets; there are none after its end."""
        with self.writing() as tx:
            operations.fenced(tx, token)
            return kept.secrets_of(tx, token)

    def amend(self, token: Token, params: Mapping[str, object]) -> None:
        """Write the operation's parameters anew."""
        with self.writing() as tx:
            operations.amend(tx, token, params)

    def begin(
        self,
        lease: Lease,
        new: NewOperation,
        *,
        expect: Collection[ServerState] = (),
        task: str | None = None,
        despite: bool = False,
        event: Event | None = None,
        instead: Sequence[tuple[Token, Event]] = (),
    ) -> Token:
        """Put an operation on record, if its server is in an expected state, idle and unlocked."""
        lease.check()
        with self.writing() as tx:
            for given_up, told in instead:
                operations.finish(tx, given_up, OperationState.UNWOUND, _fault_in(told))
                kept.wipe_secrets(tx, given_up.operation)
                _tell(tx, told, given_up)
            token = operations.begin(tx, lease.operation, new, expect, task, despite=despite)
            if new.secrets:
                kept.save_secrets(tx, lease.operation, new.secrets)
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
        self,
        token: Token,
        number: int,
        state: AttemptState,
        fault: str | None = None,
        *,
        boot: str | None = None,
        stands: bool = False,
    ) -> None:
        """Say how far an attempt went; to release one is to free its claim and addresses."""
        with self.writing() as tx:
            server = operations.fenced(tx, token)
            admission.mark(tx, server, number, state, fault, boot=boot, stands=stands)

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
            if state.over or state is OperationState.OWED:
                kept.wipe_secrets(tx, token.operation)
            _tell(tx, event, token)

    def save_placement(self, server: str, trace: Mapping[str, object]) -> None:
        """Keep why a server was placed where it is."""
        with self.writing() as tx:
            kept.save_placement(tx, server, trace)

    # What is said of a server by hand

    def lock(self, server: str, reason: str | None, *, event: Event) -> bool:
        """Lock a server for a reason, or with None unlock it; say whether that is news."""
        with self.writing() as tx:
            return marks.lock(tx, server, reason, event)

    def protect(self, server: str, *, on: bool, event: Event) -> bool:
        """Have a server protected from being deleted, or not; say whether that is news."""
        with self.writing() as tx:
            return marks.protect(tx, server, event, on=on)

    def reset(self, server: str, state: ServerState, *, event: Event) -> bool:
        """Have an idle server be active or in error; say whether that is news."""
        with self.writing() as tx:
            return marks.reset(tx, server, state, event)

    # What was found on hosts

    def observe(
        self, observations: Iterable[Observation], *, event: Event | None = None
    ) -> tuple[Turn, ...]:
        """Keep what was seen of servers that no operation is at, and say what turned."""
        with self.writing() as tx:
            return observing.observe(tx, observations, event)

    def move(
        self, server: Server, wanted: Wanted, *, operation: str, owed: NewOperation, event: Event
    ) -> Turn | None:
        """Have a server that was moved by hand be on its new host, and its old one owed."""
        with self.writing() as tx:
            return following.move(tx, server, wanted, operation, owed, event=event)

    def rename_host(
        self, before: str, after: str, at_rest: Collection[str], *, event: Event
    ) -> tuple[Turn, ...] | None:
        """Have all that is on record of a host be of its new name, unless somebody is at it."""
        with self.writing() as tx:
            return host_names.rename(tx, before, after, at_rest, event)

    def rename(
        self, server: Server, name: str, plan: Mapping[str, object], *, event: Event
    ) -> Turn | None:
        """Have a server be called what its domain is called; NameTaken if another one is."""
        with self.writing() as tx:
            return following.rename(tx, server, name, plan, event)

    def renew(
        self,
        server: Server,
        plan: Mapping[str, object],
        fields: Mapping[str, object],
        *,
        event: Event,
    ) -> Turn | None:
        """Have a record say of a later system that boots where its server stands."""
        with self.writing() as tx:
            return following.renew(tx, server, plan, fields, event)

    def import_server(self, found: FoundServer, *, event: Event | None = None) -> bool:
        """Bring a server that stands on a host back on record; False if it is there as found."""
        with self.writing() as tx:
            new = rebuild.import_server(tx, found)
            if new and event is not None:
                events.record(tx, event)
            return new

    def is_on_record(self, found: FoundServer) -> bool:
        """Whether a server is there as found; Conflict if it could not be brought back either."""
        with self.reading() as tx:
            return rebuild.is_on_record(tx, found)

    def assume(self, uuid: str) -> None:
        """Be the database that domains name as their owner; Conflict once there are servers."""
        with self.writing() as tx:
            rebuild.assume(tx, uuid)

    # Hosts and events

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


def _fault_in(event: Event) -> str | None:
    """Give what an event says went wrong."""
    fault = event.detail.get("fault")
    return fault if isinstance(fault, str) else None


def _tell(tx: Tx, event: Event | None, token: Token) -> None:
    if event is not None:
        events.record(tx, replace(event, operation=token.operation))
