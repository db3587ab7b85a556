from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import event

from tests.support.stores import ACTOR
from vmctl.adapters import fastread
from vmctl.adapters.location import SqliteFile
from vmctl.adapters.migrations import MIGRATIONS
from vmctl.adapters.store import open_store
from vmctl.domain.host_record import Sighting
from vmctl.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

NOBODY = 65534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "vmctl" / "state.db"


def modes(folder: Path) -> dict[str, int]:
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}


def test_only_the_owner_can_read_what_was_made(path: Path) -> None:
    before = os.umask(0)
    try:
        with open_store(str(path)) as store:
            store.enable("kvm1", actor=ACTOR)

            found = modes(path.parent)
    finally:
        os.umask(before)

    assert found == dict.fromkeys(("state.db", "state.db-wal", "state.db-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_that_others_can_read_is_closed_to_them(path: Path) -> None:
    open_store(str(path)).close()
    path.chmod(0o644)

    with open_store(str(path)) as store:
        store.enable("kvm1", actor=ACTOR)

        assert set(modes(path.parent).values()) == {0o600}


def test_every_connection_is_set_up_to_be_safe(path: Path) -> None:
    with open_store(str(path)) as store, store.reading() as tx:
        asked = {
            name: tx.connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert asked == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 20_000,
    }


def test_reading_waits_for_no_writer_and_writing_says_who_is_in_the_way(path: Path) -> None:
    with open_store(str(path)) as first, open_store(str(path), busy=0.1) as second:
        with first.writing():
            assert second.hosts() == ()
            with pytest.raises(StateError, match="is locked by another process") as caught:
                second.enable("kvm1", actor=ACTOR)
        second.enable("kvm1", actor=ACTOR)

    assert caught.value.exit_code == 13
    assert caught.value.hint


def test_a_paths_odd_characters_are_the_paths_own(tmp_path: Path) -> None:
    path = tmp_path / "a%20b?mode=memory#é" / "state.db"

    with open_store(SqliteFile(path)) as store:
        with fastread.reading(path) as db:
            assert fastread.hosts(db) == store.hosts()
        assert path.is_file()


def overwritten(path: Path, at: int, what: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(what)


@pytest.mark.parametrize("share", [0.0, 0.5], ids=["all but its head", "its second half"])
def test_a_damaged_file_is_named_and_left_alone(path: Path, share: float) -> None:
    with open_store(str(path)) as store:
        store.save_samples(
            Sighting(host=f"kvm{n}", at=1, sample={"x": "y" * 1000}) for n in range(400)
        )
    start = max(4096, int(path.stat().st_size * share))
    overwritten(path, start, b"\xa5" * (path.stat().st_size - start))
    content = path.read_bytes()

    with pytest.raises(StateError, match="is damaged") as caught, open_store(str(path)) as store:
        store.hosts()

    assert "vmctl db restore" in str(caught.value.hint)
    assert path.read_bytes() == content


def test_a_file_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("These are my notes. " * 300)
    content = path.read_bytes()

    with pytest.raises(StateError, match="is no SQLite database"):
        open_store(str(path))

    assert path.read_bytes() == content


@pytest.mark.parametrize("table", ["songs (id)", "meta (key, value)", "meta (uuid, version)"])
def test_another_programs_database_is_refused(path: Path, table: str) -> None:
    path.parent.mkdir(parents=True)
    with sqlite3.connect(path) as other:
        other.execute(f"CREATE TABLE {table}")
    other.close()

    with pytest.raises(StateError, match="something else than vmctl's state"):
        open_store(str(path))


def test_a_folder_in_the_files_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)

    with pytest.raises(StateError, match="is a folder"):
        open_store(str(path))


def test_a_file_in_the_folders_place_is_refused(path: Path) -> None:
    path.parent.parent.mkdir()
    path.parent.write_text("")

    with pytest.raises(StateError, match="cannot be opened"):
        open_store(str(path))


@contextmanager
def without_rights() -> Iterator[None]:
    """Be someone whom the rights of files bind, where the tests are run by root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def readable() -> Iterator[Path]:
    """Give a folder that everyone may read and only we may write to."""
    with tempfile.TemporaryDirectory(prefix="vmctl-test-") as name:
        folder = Path(name)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o700)


def test_a_folder_without_the_right_to_write_is_named(readable: Path) -> None:
    with without_rights(), pytest.raises(StateError) as caught:
        open_store(str(readable / "state.db"))

    assert "cannot be opened: Permission denied" in str(caught.value)
    assert "rights" in str(caught.value.hint)


def test_a_file_without_the_right_to_write_is_named(readable: Path) -> None:
    path = readable / "state.db"
    readable.chmod(0o755)
    open_store(str(path)).close()
    path.chmod(0o444)
    readable.chmod(0o555)

    with without_rights(), pytest.raises(StateError) as caught, open_store(str(path)) as store:
        store.enable("kvm1", actor=ACTOR)

    assert str(path) in str(caught.value)
    assert "rights" in str(caught.value.hint)


def test_a_full_disk_loses_nothing(path: Path) -> None:
    with open_store(str(path)) as store:
        store.enable("kept", actor=ACTOR)
        many = [Sighting(host=f"kvm{n}", at=1, sample={"x": "y" * 4000}) for n in range(50)]

        @event.listens_for(store._connections, "begin")
        def _no_room(connection: Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        with pytest.raises(StateError, match="the disk is full") as caught:
            store.save_samples(many)

        assert [host.name for host in store.hosts()] == ["kept"]
    assert caught.value.exit_code == 13
    with open_store(str(path)) as store:
        store.save_samples(many)
        assert len(store.hosts()) == 51


def test_a_newer_database_is_refused_with_both_versions(db: str) -> None:
    more = (*MIGRATIONS, lambda _: None)
    open_store(db, migrations=more).close()

    with pytest.raises(StateError) as caught:
        open_store(db)

    assert f"at version {len(more)}" in str(caught.value)
    assert f"up to {len(MIGRATIONS)}" in str(caught.value)
    with open_store(db, any_version=True) as store:
        assert store.version() == len(more)
        with pytest.raises(StateError, match=f"at version {len(more)}"):
            store.upgrade()
        assert store.version() == len(more)


def test_an_older_database_waits_for_its_upgrade(db: str) -> None:
    open_store(db).close()
    more = (*MIGRATIONS, lambda _: None)

    with pytest.raises(StateError) as caught:
        open_store(db, migrations=more)

    assert "vmctl db upgrade" in str(caught.value.hint)
    with open_store(db, migrations=more, any_version=True) as store:
        assert store.upgrade() == (len(MIGRATIONS), len(more))
        assert store.upgrade() == (len(more), len(more))
    open_store(db, migrations=more).close()


def test_a_failing_migration_leaves_all_as_it_was(db: str) -> None:
    open_store(db).close()

    def half(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE half (id TEXT)")
        raise StateError("a server's row cannot be carried over")

    with open_store(db, migrations=(*MIGRATIONS, half), any_version=True) as store:
        with pytest.raises(StateError, match="carried over"):
            store.upgrade()
        assert store.version() == len(MIGRATIONS)
        with store.writing() as tx:
            tx.connection.exec_driver_sql("CREATE TABLE half (id TEXT)")


def test_a_file_that_is_no_database_keeps_its_mode(tmp_path: Path) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("not a database, and long enough to be asked")
    notes.chmod(0o664)

    with pytest.raises(StateError):
        open_store(str(notes))

    assert notes.stat().st_mode & 0o777 == 0o664


def test_the_words_of_another_database_are_not_imported(path: Path) -> None:
    code = (
        "import sys; from vmctl.adapters.store import open_store\n"
        "from vmctl.adapters.store.hosts import ensure\n"
        f"with open_store({str(path)!r}) as store, store.writing() as tx: ensure(tx, 'kvm1')\n"
        "print([m for m in sys.modules if m.startswith('sqlalchemy.dialects.postgresql')])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.stderr) == ("[]\n", "")
