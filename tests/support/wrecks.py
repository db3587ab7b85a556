"""What a process leaves behind when it dies, told apart from what others leave.

Two that left the same are recovered in the same way: nothing else of them outlives them. What is
random is numbered in the order in which it appears, and times by this machine's own clock, which
decide nothing on a stage, are left out.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from sqlalchemy import Double

from vmctl.adapters.schema import metadata

if TYPE_CHECKING:
    from sqlalchemy import Table

    from tests.support.stage import Stage

_MINTED = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|52:54:00(?::[0-9a-f]{2}){3}")
_PASSWORD = re.compile(r'(\\*"console_password\\*": ?\\*")[^"\\]*')


def _whole(table: Table) -> str:
    """Ask for all that decides anything; what is random is in no order of its own."""
    names = [one.name for one in table.columns if not isinstance(one.type, Double)]
    # By the server, whose id is not random, or else as they came.
    key = list(table.primary_key.columns.keys())
    order = key if "server" in key else ["rowid"]
    columns = ", ".join(f'"{name}"' for name in names)
    return f"SELECT {columns} FROM {table.name} ORDER BY {', '.join(order)}"  # noqa: S608 - ours


_ALL = [_whole(one) for one in metadata.sorted_tables]


def wreck_of(stage: Stage) -> str:
    """Give a short word for all that is on the hosts, on record and under way."""
    found: list[object] = [stage.fleet.now()]
    hosts = (stage.fleet.folder / name / "state.json" for name in sorted(stage.hosts))
    found += [one.read_text() for one in hosts]
    with stage.sql.reading() as tx:
        cursor = tx.connection.connection.cursor()
        found += [cursor.execute(query).fetchall() for query in _ALL]
    found.append(sorted(one.name for one in (stage.folder / "leases").glob("*")))
    seen: dict[str, str] = {}
    plain = _MINTED.sub(lambda one: seen.setdefault(one[0], f"#{len(seen)}"), json.dumps(found))
    return hashlib.sha256(_PASSWORD.sub(r"\1", plain).encode()).hexdigest()[:24]
