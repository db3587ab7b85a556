from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.stores import ACTOR, Clock, populate
from vmctl.adapters import fastread
from vmctl.adapters.leases import open_leases
from vmctl.adapters.store import open_store
from vmctl.errors import StateError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.domain.record import Server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.mark.parametrize("seed", range(12))
def test_the_quick_path_reads_what_the_store_reads(path: Path, seed: int, clock: Clock) -> None:
    with open_store(str(path), clock=clock) as store:
        populate(store, open_leases(store.location), clock, seed)
        with fastread.reading(path) as db:
            assert fastread.hosts(db) == store.hosts()
            assert fastread.names(db, "host") == tuple(host.name for host in store.hosts())
            for host in (*store.hosts(), store.host("never-seen")):
                assert fastread.host(db, host.name) == host
            assert fastread.servers(db) == store.servers()
            every = fastread.servers(db, deleted=True)
            assert every == store.servers(deleted=True)
            live = {server.name for server in store.servers()}
            assert fastread.names(db, "server") == tuple(sorted(live))
            for server in every:
                assert fastread.attempts(db, server.id) == store.attempts(server.id)
                assert fastread.server(db, server.id) == store.server(server.id)
            for word in {server.name for server in every} | {"nobody"}:
                assert said(fastread.server, db, word) == said(store.server, word)


def said(find: Callable[..., Server], *words: object) -> object:
    try:
        return find(*words)
    except VmctlError as error:
        return (error.code, str(error), error.hint)


def test_it_reads_a_database_that_nobody_has_open(path: Path) -> None:
    with open_store(str(path)) as store:
        store.enable("kvm1", actor=ACTOR)
    assert [left.name for left in path.parent.iterdir()] == ["state.db"]

    with fastread.reading(path) as db:
        assert fastread.names(db, "host") == ("kvm1",)

    assert {left.stat().st_mode & 0o777 for left in path.parent.iterdir()} == {0o600}


def test_it_sees_one_moment_and_keeps_no_writer_out(path: Path) -> None:
    with open_store(str(path), busy=0.1) as store:
        store.enable("kvm1", actor=ACTOR)
        with fastread.reading(path) as db:
            store.enable("kvm2", actor=ACTOR)

            assert fastread.names(db, "host") == ("kvm1",)


def test_it_writes_nothing(path: Path) -> None:
    open_store(str(path)).close()

    with pytest.raises(StateError), fastread.reading(path) as db:
        db.execute("DELETE FROM meta")


def another_version(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET version = version + 1")
    db.close()


@pytest.mark.parametrize(
    "spoil",
    [
        another_version,
        Path.unlink,
        lambda path: path.write_text("notes " * 999),
        lambda path: path.write_text(""),
    ],
    ids=["another version", "missing", "no database", "empty"],
)
def test_whatever_is_odd_is_left_to_the_store(path: Path, spoil: object) -> None:
    open_store(str(path)).close()
    assert callable(spoil)
    spoil(path)

    with pytest.raises(StateError), fastread.reading(path):
        pass


def test_it_imports_next_to_nothing(path: Path) -> None:
    with open_store(str(path)) as store:
        store.enable("kvm1", actor=ACTOR)
    code = (
        "import sys; from pathlib import Path; from vmctl.adapters import fastread\n"
        "with fastread.reading(Path(sys.argv[1])) as db:\n"
        "    names = fastread.names(db, 'host')\n"
        "    assert 'dataclasses' not in sys.modules\n"
        "    fastread.hosts(db), fastread.servers(db)\n"
        "print(names, sorted({'sqlalchemy', 'psycopg', 'yaml', 'asyncio'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.stderr) == ("('kvm1',) []\n", "")
