"""What is owed to hosts: attempts that may have left something behind."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select

from vmctl.adapters.rows import attempts_of
from vmctl.adapters.schema import attempts, claims, operations, servers
from vmctl.adapters.store.servers import nics_at, rows
from vmctl.domain.kept import Debt
from vmctl.domain.operation import OperationState
from vmctl.domain.record import AttemptState
from vmctl.sagas import SET

if TYPE_CHECKING:
    from vmctl.adapters.store.engine import Tx


def owed(tx: Tx, host: str) -> tuple[Debt, ...]:
    """List the attempts that a host, or every host, is owed the cleanup of.

    Whatever a deleted server still holds is owed, too.
    """
    left = (attempts.c.state == AttemptState.OWED) | (
        servers.c.deleted.is_not(None) & (attempts.c.state != AttemptState.RELEASED)
    )
    query = select(attempts).join(servers, servers.c.id == attempts.c.server).where(left)
    if host:
        query = query.where(attempts.c.host == host)
    found = rows(tx, query)
    ids = sorted({row["server"] for row in found})
    payers = defaultdict(list)
    waiting = operations.c.server.in_(ids) & (operations.c.state == OperationState.OWED)
    # What a host is only to be told cleans up nothing there.
    waiting &= operations.c.saga != SET.name
    ordered = select(operations).where(waiting).order_by(operations.c.started, operations.c.id)
    for row in rows(tx, ordered):
        payers[row["server"]].append(row["id"])
    held = rows(tx, select(claims).where(claims.c.server.in_(ids)))
    return tuple(
        Debt(attempt=attempt, operations=tuple(payers[attempt.server]))
        for attempt in attempts_of(found, held, nics_at(tx, ids))
    )


def bases_left(tx: Tx, since: float) -> frozenset[tuple[str, str]]:
    """Give the hosts and base images that attempts were released from since then."""
    query = select(attempts.c.host, attempts.c.plan).where(
        attempts.c.state == AttemptState.RELEASED, attempts.c.updated >= since
    )
    found = ((row["host"], json.loads(row["plan"]).get("base")) for row in rows(tx, query))
    return frozenset((host, base) for host, base in found if base)
