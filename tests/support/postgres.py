"""A PostgreSQL of the test run's own: a private folder, a private socket, gone at the end."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DEBIAN = Path("/usr/lib/postgresql")
_INITDB = ("-U", "vmctl", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync")
_SETTINGS = (
    "-F",
    *("-c", "listen_addresses=", "-c", "max_connections=250", "-c", "shared_buffers=32MB"),
    *("-c", "full_page_writes=off", "-c", "synchronous_commit=off"),
)


def missing() -> str | None:
    """Say what keeps a PostgreSQL from being started here."""
    if _binaries() is None:
        return "PostgreSQL's initdb is not installed (apt-get install postgresql)"
    if shutil.which("setpriv") is None:
        return "setpriv is not installed (apt-get install util-linux)"
    if os.geteuid() == 0 and not _unprivileged():
        return "PostgreSQL does not run as root, and there is no user postgres"
    return None


class Postgres:
    """A server that listens on a socket in its own folder and nowhere else."""

    def __init__(self) -> None:
        binaries = _binaries()
        assert binaries is not None
        self._numbers = itertools.count(1)
        self._spare: list[str] = []
        # A socket's path must be short, so not in pytest's own folders.
        self.folder = Path(tempfile.mkdtemp(prefix="vmctl-pg-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        try:
            if os.geteuid() == 0:
                user = pwd.getpwnam("postgres")
                os.chown(self.folder, user.pw_uid, user.pw_gid)
            data = self.folder / "data"
            subprocess.run(
                [*_as_user(), str(binaries / "initdb"), "-D", str(data), *_INITDB],
                check=True,
                capture_output=True,
                cwd="/",
            )
            with (self.folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [
                        # Even a test run that is killed takes its server with it.
                        *_as_user("--pdeathsig=QUIT"),
                        *(str(binaries / "postgres"), "-D", str(data), "-k", str(self.folder)),
                        *_SETTINGS,
                    ],
                    stdout=subprocess.DEVNULL,
                    stderr=log,
                    cwd="/",
                )
            self._wait()
        except BaseException:
            self.stop()
            raise

    def url(self, database: str) -> str:
        return f"postgresql://vmctl@/{database}?host={self.folder}"

    @contextmanager
    def database(self) -> Iterator[str]:
        """Give the URL of an empty database; making one costs ten times as much as emptying it."""
        if self._spare:
            name = self._spare.pop()
        else:
            name = f"test{next(self._numbers)}"
            self.execute(f"CREATE DATABASE {name}")
        try:
            yield self.url(name)
        finally:
            self.empty(name)
            self._spare.append(name)

    def empty(self, database: str) -> None:
        """End all sessions of a database and drop all that is in it."""
        # Without a server's wait for their end, what they had locked could not be dropped.
        self.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid();"
            "DROP SCHEMA public CASCADE; CREATE SCHEMA public",
            database,
        )

    def execute(self, statement: str, database: str = "postgres") -> None:
        import psycopg

        with psycopg.connect(
            host=str(self.folder), dbname=database, user="vmctl", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(3)  # SIGQUIT: at once
            self._process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait(self) -> None:
        import psycopg

        assert self._process is not None
        deadline = time.monotonic() + 30
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return


def _binaries() -> Path | None:
    versions = sorted(DEBIAN.glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _unprivileged() -> bool:
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return False
    return True


def _as_user(*more: str) -> list[str]:
    if os.geteuid() != 0:
        return ["setpriv", *more] if more else []
    return ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *more]
