"""Databases of every version there ever was, kept as text to be upgraded by tests.

`python -m tests.support.goldens` writes the one of the newest version, if it is not there yet.
Files of versions that were released are never written again.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import MetaData, Table, text

from tests.support.stores import Clock, populate
from vmctl.adapters.leases import open_leases
from vmctl.adapters.migrations import MIGRATIONS
from vmctl.adapters.store import open_store
from vmctl.adapters.store.catalog import Catalog
from vmctl.domain.catalog import (
    Flavor,
    Image,
    Keypair,
    SecurityGroup,
    SecurityRule,
    ServerGroup,
)
from vmctl.domain.spec import RuleUse

if TYPE_CHECKING:
    from sqlalchemy import Connection

FOLDER = Path(__file__).parents[1] / "golden" / "state"


def golden(version: int) -> Path:
    return FOLDER / f"{version}.json"


def schema(connection: Connection) -> list[str]:
    """Say by which statements an SQLite database was made."""
    made = "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%'"
    return [" ".join(sql.split()) for (sql,) in connection.execute(text(made))]


def load(connection: Connection, version: int) -> None:
    """Make a database as the code of that version left it."""
    content = json.loads(golden(version).read_text())
    if connection.dialect.name == "sqlite":
        for statement in content["schema"]:
            connection.execute(text(statement.replace(":", r"\:")))
    else:
        for migration in MIGRATIONS[:version]:
            migration(connection)
    for name, rows in content["rows"].items():
        table = Table(name, MetaData(), autoload_with=connection)
        connection.execute(table.delete())  # what migrations put there stands in the rows too
        for row in rows:
            connection.execute(table.insert().values(**row))


def write(version: int) -> None:
    rows: dict[str, list[dict[str, Any]]] = {}
    with (
        tempfile.TemporaryDirectory() as folder,
        open_store(f"{folder}/state.db", clock=Clock()) as store,
    ):
        populate(store, open_leases(store.location), Clock(), seed=version)
        _fill(Catalog(store), [server.id for server in store.servers()])
        with store.reading() as tx:
            everything = MetaData()
            everything.reflect(tx.connection)
            for table in everything.sorted_tables:
                found = tx.connection.execute(table.select()).mappings()
                rows[table.name] = [dict(row) for row in found]
            content = {"schema": schema(tx.connection), "rows": rows}
    FOLDER.mkdir(parents=True, exist_ok=True)
    golden(version).write_text(json.dumps(content, indent=1) + "\n")


def _fill(catalog: Catalog, servers: list[str]) -> None:
    catalog.add_flavor(Flavor(id="f", name="wide", properties={"ssd": "true"}, public=False))
    catalog.add_image(
        Image(id="i", name="tiny", properties={"os_distro": "h\u00e4"}, min_disk=1024)
    )
    catalog.add_group(ServerGroup(id="g", name="apart", project="p", policy="anti-affinity"))
    for server in servers[:2]:
        catalog.join_group(server, "g")
    catalog.add_keypair(Keypair(name="k", public_key="ssh-ed25519 AAAA h\u00e4", fingerprint="f"))
    group = SecurityGroup(id="s", name="web", project="p", description="h\u00e4")
    catalog.add_security_group(group)
    for port in (80, 443):
        rule = RuleUse(protocol="tcp", port_min=port, port_max=port, remote="10.0.0.0/8")
        catalog.add_rule("web", SecurityRule(id=f"r{port}", rule=rule))
    catalog.set_quota("p", {"cores": 99, "ram": 999_999})


if __name__ == "__main__":
    newest = len(MIGRATIONS)
    if golden(newest).exists():
        sys.exit(f"{golden(newest)} is there already")
    write(newest)
