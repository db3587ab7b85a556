from __future__ import annotations

import shutil
import sqlite3
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.stores import ACTOR, Clock, admit
from vmctl.adapters.leases import open_leases
from vmctl.adapters.migrations import MIGRATIONS
from vmctl.adapters.store import SqlStore, open_store, restore
from vmctl.domain.operation import OperationState
from vmctl.errors import Busy, Conflict, NotFound, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.postgres import Postgres


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.db"


@pytest.fixture
def mine(path: Path, clock: Clock) -> Iterator[SqlStore]:
    with open_store(str(path), clock=clock) as opened:
        yield opened


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    (tmp_path / "backups").mkdir()
    return tmp_path / "backups" / "monday.db"


def names(db: Path) -> list[str]:
    with open_store(str(db)) as store:
        return [host.name for host in store.hosts()]


def test_a_backup_is_one_whole_private_file_made_while_others_write(
    mine: SqlStore, copy: Path
) -> None:
    mine.enable("kvm1", actor=ACTOR)
    with mine.writing() as tx:
        tx.connection.exec_driver_sql("DELETE FROM hosts")

        mine.backup(copy)

    assert [path.name for path in copy.parent.iterdir()] == ["monday.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert names(copy) == ["kvm1"]
    with open_store(str(copy)) as other:
        assert other.uuid() == mine.uuid()


def test_a_backup_takes_nothings_place_unless_told(mine: SqlStore, copy: Path, path: Path) -> None:
    copy.write_text("precious")
    mine.enable("kvm1", actor=ACTOR)

    with pytest.raises(Conflict, match="is there already"):
        mine.backup(copy)
    assert copy.read_text() == "precious"
    with pytest.raises(Conflict):
        mine.backup(path, replace=True)
    mine.backup(copy, replace=True)

    assert names(copy) == ["kvm1"]


def test_a_backup_takes_no_place_that_only_seems_free(mine: SqlStore, copy: Path) -> None:
    copy.symlink_to("not-mounted-now")

    with pytest.raises(Conflict, match="is there already"):
        mine.backup(copy)

    assert copy.is_symlink()


def test_a_backup_that_cannot_be_written_is_a_plain_error(mine: SqlStore, copy: Path) -> None:
    with pytest.raises(StateError, match="cannot be written"):
        mine.backup(copy.parent / "no" / "such" / "folder.db")

    assert list(copy.parent.iterdir()) == []


def test_a_restored_database_is_the_backup_and_the_replaced_one_is_kept(
    mine: SqlStore, copy: Path, path: Path, clock: Clock
) -> None:
    mine.enable("kvm1", actor=ACTOR)
    mine.backup(copy)
    mine.enable("kvm2", actor=ACTOR)
    uuid = mine.uuid()
    mine.close()

    aside = restore(str(path), copy, clock=clock)

    assert names(path) == ["kvm1"]
    assert aside is not None
    assert aside.parent == path.parent
    assert stat.S_IMODE(aside.stat().st_mode) == 0o600
    assert names(aside) == ["kvm1", "kvm2"]
    with open_store(str(path)) as store:
        assert store.uuid() == uuid
    again = restore(str(path), copy, clock=clock)
    assert again not in {None, aside}
    assert [left for left in path.parent.iterdir() if left.name.startswith(".")] == []


def test_a_restore_begins_where_nothing_was(mine: SqlStore, copy: Path, tmp_path: Path) -> None:
    mine.enable("kvm1", actor=ACTOR)
    mine.backup(copy)
    new = tmp_path / "new" / "machine" / "state.db"

    assert restore(str(new), copy) is None

    assert names(new) == ["kvm1"]
    assert stat.S_IMODE(new.stat().st_mode) == 0o600


def test_a_log_that_outlived_its_database_is_not_replayed(
    mine: SqlStore, copy: Path, path: Path, tmp_path: Path
) -> None:
    mine.enable("kvm1", actor=ACTOR)
    mine.backup(copy)
    mine.enable("kvm2", actor=ACTOR)
    left = tmp_path / "left" / "state.db"
    left.parent.mkdir()
    for suffix in ("-wal", "-shm"):
        shutil.copy(f"{path}{suffix}", f"{left}{suffix}")

    assert restore(str(left), copy) is None

    assert names(left) == ["kvm1"]


def test_a_damaged_databases_log_is_not_replayed(mine: SqlStore, copy: Path, path: Path) -> None:
    mine.enable("kvm1", actor=ACTOR)
    mine.backup(copy)
    mine.close()  # from here on, the log has only what is changed
    mine.enable("kvm2", actor=ACTOR)
    log = Path(f"{path}-wal").read_bytes()
    mine.close()
    path.write_bytes(b"\xa5" * 8192)
    Path(f"{path}-wal").write_bytes(log)

    aside = restore(str(path), copy)

    assert names(path) == ["kvm1"]
    assert aside is not None
    assert aside.read_bytes() == b"\xa5" * 8192
    assert Path(f"{aside}-wal").read_bytes() == log


@pytest.mark.parametrize("damage", [b"\xa5" * 8192, b"not a database at all"])
def test_a_damaged_database_is_replaced_and_kept(
    mine: SqlStore, copy: Path, path: Path, damage: bytes
) -> None:
    mine.enable("kvm1", actor=ACTOR)
    mine.backup(copy)
    mine.close()
    path.write_bytes(damage)

    aside = restore(str(path), copy)

    assert names(path) == ["kvm1"]
    assert aside is not None
    assert aside.read_bytes() == damage


def test_a_database_of_another_version_is_replaced(
    mine: SqlStore, copy: Path, tmp_path: Path
) -> None:
    mine.enable("kvm1", actor=ACTOR)
    mine.backup(copy)
    newer = tmp_path / "newer" / "state.db"
    open_store(str(newer), migrations=(*MIGRATIONS, lambda _: None)).close()

    assert restore(str(newer), copy) is not None

    assert names(newer) == ["kvm1"]


def test_nothing_is_restored_under_a_running_operation(
    mine: SqlStore, copy: Path, path: Path
) -> None:
    mine.backup(copy)
    leases = open_leases(mine.location)
    token = admit(mine, leases)

    with leases.hold(token.operation), pytest.raises(Busy, match=token.operation):
        restore(str(path), copy, busy=0.1)

    assert [server.name for server in mine.servers()] == ["web"]
    mine.close()
    restore(str(path), copy, busy=0.1)  # its owner is dead: what it left is in the one kept aside
    assert mine.servers() == ()


def test_a_restore_waits_for_whoever_has_the_database_open(
    mine: SqlStore, copy: Path, path: Path
) -> None:
    mine.backup(copy)
    mine.enable("kvm1", actor=ACTOR)

    with pytest.raises(StateError, match="is locked by another process"):
        restore(str(path), copy, busy=0.1)

    assert [host.name for host in mine.hosts()] == ["kvm1"]


def damaged(copy: Path) -> None:
    content = bytearray(copy.read_bytes())
    content[4096:] = b"\xa5" * (len(content) - 4096)
    copy.write_bytes(content)


def newer(copy: Path) -> None:
    with sqlite3.connect(copy) as connection:
        connection.execute("UPDATE meta SET version = 99")
    connection.close()


def other(copy: Path) -> None:
    copy.unlink()
    with sqlite3.connect(copy) as connection:
        connection.execute("CREATE TABLE songs (id)")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (damaged, "damaged|malformed"),
        (newer, "at version 99"),
        (other, "no backup of a vmctl database"),
        (lambda copy: copy.write_text("notes " * 999), "is no SQLite database"),
        (lambda copy: copy.write_text(""), "no backup of a vmctl database"),
    ],
    ids=["damaged", "newer", "another program's", "no database", "empty"],
)
def test_what_is_no_good_backup_changes_nothing(
    mine: SqlStore, copy: Path, path: Path, spoil: object, what: str
) -> None:
    mine.backup(copy)
    mine.enable("kvm1", actor=ACTOR)
    mine.close()
    assert callable(spoil)
    spoil(copy)

    with pytest.raises(StateError, match=what):
        restore(str(path), copy)

    assert names(path) == ["kvm1"]
    assert sorted(left.name for left in path.parent.iterdir()) == ["state.db"]
    with pytest.raises(NotFound):
        restore(str(path), copy.parent / "tuesday.db")


def test_postgresql_has_its_own_tools(postgres: Postgres, copy: Path) -> None:
    with postgres.database() as url, open_store(url) as store:
        with pytest.raises(StateError) as caught:
            store.backup(copy)
        assert "pg_dump" in str(caught.value.hint)
        with pytest.raises(StateError) as caught:
            restore(url, copy)
        assert "pg_restore" in str(caught.value.hint)


def test_a_stuck_operation_does_not_keep_a_backup_away(
    mine: SqlStore, copy: Path, path: Path
) -> None:
    token = admit(mine, open_leases(mine.location))
    mine.finish(token, OperationState.STUCK)
    mine.backup(copy)
    mine.close()

    assert restore(str(path), copy) is not None
    assert [o.state for o in mine.operations()] == [OperationState.STUCK]
