"""All that placing asks of the record, seen at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from vmctl.adapters.host_rows import host_of
from vmctl.adapters.schema import attempts, claims, hosts, operations
from vmctl.adapters.store.catalog import groups_at
from vmctl.adapters.store.servers import rows
from vmctl.collecting import no_collecting
from vmctl.domain.fleet_record import FleetRecord, Room
from vmctl.domain.operation import OperationState

if TYPE_CHECKING:
    from vmctl.adapters.store import SqlStore
    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.host_record import HostRecord

_DAY = 86400.0
_AT_WORK = (OperationState.RUNNING, OperationState.STUCK)


def fleet_record(store: SqlStore) -> FleetRecord:
    """Read the hosts, claims, groups and jobs that placing goes by, in one transaction."""
    with no_collecting(), store.reading() as tx:
        return FleetRecord(
            hosts=_hosts(tx),
            claims=_claims(tx),
            groups=groups_at(tx),
            jobs=_jobs(tx),
            failed_builds=_failed_builds(tx),
        )


def _hosts(tx: Tx) -> dict[str, HostRecord]:
    # Without the sums of the claims by host: placing has the claims themselves.
    return {row["name"]: host_of(row, {}) for row in rows(tx, select(hosts))}


def _claims(tx: Tx) -> tuple[Room, ...]:
    found = tx.connection.execute(select(*(claims.c[name] for name in Room._fields)))
    # Sorted here: the order is the same on every database, whatever its collation.
    return tuple(sorted(map(Room._make, found.all())))


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
