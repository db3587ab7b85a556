"""All that placing asks of the record, seen at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from vmctl.adapters.schema import attempts, operations
from vmctl.adapters.store.catalog import groups_at
from vmctl.adapters.store.hosts import listing
from vmctl.adapters.store.servers import claims_on, rows
from vmctl.collecting import no_collecting
from vmctl.domain.fleet_record import FleetRecord
from vmctl.domain.operation import OperationState

if TYPE_CHECKING:
    from vmctl.adapters.store import SqlStore
    from vmctl.adapters.store.engine import Tx

_DAY = 86400.0
_AT_WORK = (OperationState.RUNNING, OperationState.STUCK)


def fleet_record(store: SqlStore) -> FleetRecord:
    """Read the hosts, claims, groups and jobs that placing goes by, in one transaction."""
    with no_collecting(), store.reading() as tx:
        return FleetRecord(
            hosts={host.name: host for host in listing(tx)},
            claims=claims_on(tx, ""),
            groups=groups_at(tx),
            jobs=_jobs(tx),
            failed_builds=_failed_builds(tx),
        )


def _jobs(tx: Tx) -> dict[str, int]:
    query = (
        select(operations.c.host, func.count().label("jobs"))
        .where(operations.c.state.in_(_AT_WORK), operations.c.host.is_not(None))
        .group_by(operations.c.host)
    )
    return {row["host"]: row["jobs"] for row in rows(tx, query)}


def _failed_builds(tx: Tx) -> dict[str, int]:
    recent = attempts.c.updated > tx.now - _DAY
    # Few hosts fail, and only of those is it asked what went well since.
    where = select(attempts.c.host).where(recent, attempts.c.fault.is_not(None))
    query = select(attempts.c.host, attempts.c.updated, attempts.c.fault)
    counts: dict[str, int] = {}
    found = rows(tx, query.where(recent, attempts.c.host.in_(where)))
    for row in sorted(found, key=lambda row: row["updated"]):
        failed = row["fault"] is not None
        counts[row["host"]] = counts.get(row["host"], 0) + 1 if failed else 0
    return {host: count for host, count in counts.items() if count}
