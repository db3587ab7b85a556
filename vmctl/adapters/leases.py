"""Who is at work on what: a lock that dies with its holder, beside each kind of database."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from vmctl.adapters.location import SqliteFile
from vmctl.errors import Busy, OwnershipLost, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vmctl.adapters.location import Location, PostgresUrl
    from vmctl.ports import Leases

# Whoever only asks whether a holder lives has the lock for some microseconds.
_PATIENCE = 0.2

_HELD = """
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1 AND granted
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND ((classid::bigint << 32) | objid::bigint) = %s"""


def open_leases(location: Location) -> Leases:
    """Choose the kind of lease that goes with a database."""
    if isinstance(location, SqliteFile):
        return FlockLeases(location.path)
    return AdvisoryLeases(location)


class FlockLeases:
    """Locks on files in a folder beside an SQLite database: the kernel frees them.

    A file that is there and unlocked was left by someone who was killed; one that is not there
    was taken away by its holder at the end. So both prove that nobody is at work.
    """

    def __init__(self, database: Path) -> None:
        self._folder = database.resolve().parent / "leases"

    @contextmanager
    def hold(self, operation: str, *, owner: str = "") -> Iterator[_Flock]:
        """Hold an operation's lease; Busy while someone else does."""
        path = self._folder / f"{operation}.lock"
        handle = self._take(path, operation)
        if owner:
            os.truncate(handle, 0)
            os.pwrite(handle, owner.encode(errors="replace"), 0)
        lease = _Flock(operation, handle)
        try:
            yield lease
        finally:
            lease.handle = None
            # While it is still locked: whoever opened it before sees that it is gone, and tries
            # again on a new one. Where somebody has cleared the folder, it may be another's.
            if _is_at(handle, path):
                path.unlink(missing_ok=True)
            os.close(handle)

    def _take(self, path: Path, operation: str) -> int:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                path.parent.mkdir(mode=0o700, exist_ok=True)
                handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                raise StateError(f"{path} cannot be made: {error.strerror}") from error
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(handle, path):
                    return handle
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(handle)
                    raise _busy(operation) from None
                time.sleep(0.005)
            os.close(handle)

    def holder(self, operation: str) -> str | None:
        """Name the owner who holds a lease; a dead one is none."""
        if self.is_dead(operation):
            return None
        try:
            said = (self._folder / f"{operation}.lock").read_text(errors="replace")
        except OSError:
            return None
        return said or None

    def is_dead(self, operation: str) -> bool:
        """Whether it is known for certain that nobody is at work on it."""
        path = self._folder / f"{operation}.lock"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return True
        except OSError as error:
            raise StateError(f"{path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(handle)


class _Flock:
    def __init__(self, operation: str, handle: int) -> None:
        self.operation = operation
        self.handle: int | None = handle

    def check(self) -> None:
        # Somebody who clears the folder by hand makes room for a second holder.
        if self.handle is None or os.fstat(self.handle).st_nlink == 0:
            raise _lost(self.operation)


class AdvisoryLeases:
    """Locks in PostgreSQL on one connection of their own: the server frees them with it.

    The lock is the session's, and a session may take it twice; so this process keeps count itself.
    """

    def __init__(self, location: PostgresUrl) -> None:
        self._location = location
        self._mutex = threading.Lock()
        self._session: Any = None
        self._held: set[str] = set()

    @contextmanager
    def hold(self, operation: str, *, owner: str = "") -> Iterator[_Advisory]:
        """Hold an operation's lease; Busy while someone else does."""
        with self._mutex:
            if operation in self._held:
                raise _busy(operation)
            session = self._connected()
            if not self._ask(session, "SELECT pg_try_advisory_lock(%s)", operation):
                self._drop_unused()
                raise _busy(operation)
            self._held.add(operation)
            if owner:
                # The one thing that a session tells others of itself, and it is 63 bytes.
                named = "SELECT set_config('application_name', %s, false)"
                self._said(session, named, owner.encode("ascii", "replace")[:63].decode())
        lease = _Advisory(operation, self, session)
        try:
            yield lease
        finally:
            with self._mutex:
                lease.session = None
                self._held.discard(operation)
                if session is self._session and not session.closed:
                    self._ask(session, "SELECT pg_advisory_unlock(%s)", operation)
                self._drop_unused()

    def is_dead(self, operation: str) -> bool:
        """Whether it is known for certain that nobody is at work on it."""
        with self._mutex:
            try:
                return self._said(self._connected(), _HELD, _key(operation)) is None
            finally:
                self._drop_unused()

    def holder(self, operation: str) -> str | None:
        """Name the owner who holds a lease; a dead one is none."""
        query = "SELECT application_name FROM pg_stat_activity WHERE pid = %s"
        with self._mutex:
            try:
                session = self._connected()
                return (
                    self._said(session, query, self._said(session, _HELD, _key(operation))) or None
                )
            finally:
                self._drop_unused()

    def check(self, lease: _Advisory) -> None:
        """Raise OwnershipLost if the connection that held the lease is gone."""
        with self._mutex:
            session = lease.session
            if session is None or session is not self._session:
                raise _lost(lease.operation)
            try:
                self._ask(session, "SELECT %s IS NOT NULL", lease.operation)
            except StateError as error:
                raise _lost(lease.operation) from error

    def _connected(self) -> Any:
        if self._session is None or self._session.closed:
            # Only here: beside SQLite, leases cost nothing to import.
            from vmctl.adapters.store.engine import session

            self._session = session(self._location)
        return self._session

    def _drop_unused(self) -> None:
        if not self._held and self._session is not None:
            self._session.close()
            self._session = None

    def _ask(self, session: Any, query: str, operation: str) -> bool:
        return bool(self._said(session, query, _key(operation)))

    def _said(self, session: Any, query: str, value: object) -> Any:
        import psycopg

        from vmctl.adapters.store.failures import ours

        with ours(self._location, psycopg.Error):
            found = session.execute(query, (value,)).fetchone()
        return found[0] if found else None


class _Advisory:
    def __init__(self, operation: str, leases: AdvisoryLeases, session: Any) -> None:
        self.operation = operation
        self.session = session
        self._leases = leases

    def check(self) -> None:
        self._leases.check(self)


def _key(operation: str) -> int:
    digest = hashlib.blake2b(operation.encode(), digest_size=8, person=b"vmctl").digest()
    return int.from_bytes(digest, signed=True)


def _is_at(handle: int, path: Path) -> bool:
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(handle)
    return (mine.st_dev, mine.st_ino) == (found.st_dev, found.st_ino)


def _busy(operation: str) -> Busy:
    return Busy(
        f"operation {operation} is being worked on by another process",
        hint=f"vmctl operation show {operation}",
    )


def _lost(operation: str) -> OwnershipLost:
    return OwnershipLost(
        f"the lease of operation {operation} is lost", hint=f"vmctl operation show {operation}"
    )
