from __future__ import annotations

import json
from typing import Any

import pytest
from sqlalchemy import inspect
from sqlalchemy.types import Boolean, Float, Integer, String, TypeEngine

from tests.support.goldens import golden, load, schema
from vmctl.adapters import fastread
from vmctl.adapters import schema as tables
from vmctl.adapters.location import parse_location
from vmctl.adapters.migrations import MIGRATIONS
from vmctl.adapters.store import SqlStore, engine, open_store

VERSIONS = range(1, len(MIGRATIONS) + 1)
FAMILIES = (Boolean, Integer, Float, String)


def family(kind: TypeEngine[Any]) -> object:
    plain = getattr(kind, "impl_instance", kind)
    (found,) = [family for family in FAMILIES if isinstance(plain, family)]
    return found


def described(store: SqlStore) -> dict[str, object]:
    """Say all that a database enforces, in a form that two databases can be compared by."""
    with store.reading() as tx:
        found = inspect(tx.connection)
        return {
            name: (
                [
                    (column["name"], str(column["type"]), column["nullable"])
                    for column in found.get_columns(name)
                ],
                found.get_pk_constraint(name)["constrained_columns"],
                sorted(
                    (index["name"], index["unique"], index["column_names"])
                    for index in found.get_indexes(name)
                ),
                sorted(
                    (key["constrained_columns"], key["referred_table"])
                    for key in found.get_foreign_keys(name)
                ),
            )
            for name in found.get_table_names()
        }


def test_the_tables_are_what_the_migrations_lead_to(store: SqlStore) -> None:
    with store.reading() as tx:
        found = inspect(tx.connection)
        assert set(found.get_table_names()) == set(tables.metadata.tables)
        for name, table in tables.metadata.tables.items():
            made = {column["name"]: column for column in found.get_columns(name)}
            assert list(made) == [column.name for column in table.columns], name
            for column in table.columns:
                there = made[column.name]
                assert family(there["type"]) is family(column.type), column
                assert there["nullable"] == column.nullable or column.primary_key, column
            key = [column.name for column in table.primary_key]
            assert found.get_pk_constraint(name)["constrained_columns"] == key


def test_the_quick_path_knows_the_newest_version() -> None:
    assert len(MIGRATIONS) == fastread.VERSION


@pytest.mark.parametrize("version", VERSIONS)
def test_a_released_migration_is_never_changed(version: int, tmp_path: object) -> None:
    at_version = open_store(f"{tmp_path}/state.db", migrations=MIGRATIONS[:version])
    with at_version as store, store.reading() as tx:
        made = schema(tx.connection)

    assert made == json.loads(golden(version).read_text())["schema"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_database_of_every_version_is_upgraded(version: int, db: str, tmp_path: object) -> None:
    location = parse_location(db)
    before = engine.connect(location, 1)
    with engine.transaction(before, location, lambda: 0.0, write=True) as tx:
        load(tx.connection, version)
    before.dispose()
    rows = json.loads(golden(version).read_text())["rows"]

    with open_store(db, any_version=True) as store:
        assert store.upgrade() == (version, len(MIGRATIONS))

        assert store.uuid() == rows["meta"][0]["uuid"]
        assert {server.id for server in store.servers(deleted=True)} == {
            row["id"] for row in rows["servers"]
        }
        assert len(store.claims()) == len(rows["claims"]) > 0
        assert len(store.hosts()) == len(rows["hosts"]) > 0
        assert len(store.operations()) == len(rows["operations"]) > 0
        assert len(store.events()) == len(rows["events"]) > 0
        assert any(store.journal_of(operation.id) for operation in store.operations())
        assert any(server.nics for server in store.servers())
        assert all(store.attempts(server.id) for server in store.servers(deleted=True))
        upgraded = described(store)
    if not db.startswith("postgresql"):
        with open_store(f"{tmp_path}/new.db") as new:
            assert described(new) == upgraded
