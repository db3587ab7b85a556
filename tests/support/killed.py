"""Kill a process before each single statement of making or upgrading a database.

`python -m tests.support.killed make|upgrade DATABASE` says at how many moments it killed, and
fails on the first after which something was half done or could not be mended by going on.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, event, inspect, text

from tests.support.children import must_end_within
from tests.support.stores import admit
from vmctl.adapters.leases import open_leases
from vmctl.adapters.location import PostgresUrl, parse_location
from vmctl.adapters.migrations import MIGRATIONS
from vmctl.adapters.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable


def next_migration(connection: Connection) -> None:
    """Stand for a migration to come, of every kind of statement."""
    connection.execute(text("ALTER TABLE servers ADD COLUMN note TEXT"))
    connection.execute(text("UPDATE servers SET note = name"))
    connection.execute(text("CREATE TABLE notes (id TEXT PRIMARY KEY)"))


NEXT = (*MIGRATIONS, next_migration)


def main(what: str, database: str) -> None:
    moment = 0
    while True:
        empty(database)
        if what == "upgrade":
            with open_store(database) as store:
                admit(store, open_leases(store.location), "kept")
        survived = killed_before(moment, lambda: deed(what, database))
        (made if what == "make" else upgraded)(database)
        if survived:
            break
        moment += 1
    sys.stdout.write(f"{moment}\n")


def deed(what: str, database: str) -> None:
    if what == "make":
        open_store(database).close()
    else:
        with open_store(database, migrations=NEXT, any_version=True) as store:
            store.upgrade()


def made(database: str) -> None:
    with open_store(database) as store:
        assert store.version() == len(MIGRATIONS)
        assert store.uuid()
        admit(store, open_leases(store.location), "web")


def upgraded(database: str) -> None:
    with open_store(database, migrations=NEXT, any_version=True) as store:
        with store.reading() as tx:
            tables = inspect(tx.connection)
            columns = {column["name"] for column in tables.get_columns("servers")}
            new = ("note" in columns, tables.has_table("notes"))
        assert new == (store.version() == len(NEXT),) * 2, (new, store.version())
        assert store.upgrade()[1] == len(NEXT)
        (server,) = store.servers()
        with store.reading() as tx:
            assert tx.connection.execute(text("SELECT note FROM servers")).scalar() == server.name


def empty(database: str) -> None:
    location = parse_location(database)
    if not isinstance(location, PostgresUrl):
        shutil.rmtree(Path(database).parent, ignore_errors=True)
        return
    import psycopg

    url = location.url.replace("+psycopg", "")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")


def killed_before(moment: int, act: Callable[[], None]) -> bool:
    """Act in a child that is killed before its n-th statement, and say whether it came through."""
    child = os.fork()
    if child == 0:
        must_end_within(60)
        count_down(moment)
        act()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return False
    assert os.WEXITSTATUS(status) == 0
    return True


def count_down(left: int) -> None:
    def strike(*_: object) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    @event.listens_for(Engine, "connect", insert=True)
    def _connected(connection: Any, record: object) -> None:
        del record
        if hasattr(connection, "set_trace_callback"):
            connection.set_trace_callback(strike)  # PRAGMA, BEGIN and COMMIT too
        else:
            event.listen(Engine, "before_cursor_execute", strike)
            event.listen(Engine, "commit", strike)


if __name__ == "__main__":
    main(*sys.argv[1:])
