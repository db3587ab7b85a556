"""Hosts on record: enabled or not, last seen, last sample."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, func, select, update

from vmctl.adapters.host_rows import as_json, host_of, used_of
from vmctl.adapters.schema import claims, hosts
from vmctl.adapters.store.servers import rows
from vmctl.adapters.store.upsert import upsert
from vmctl.domain.host_record import HostRecord

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Update

    from vmctl.adapters.store.engine import Tx
    from vmctl.domain.host_record import KvmCheck, Sighting, Used


def listing(tx: Tx) -> tuple[HostRecord, ...]:
    """List the hosts on record by name."""
    used = _used(tx)
    found = (host_of(row, used) for row in rows(tx, select(hosts)))
    return tuple(sorted(found, key=lambda host: host.name))


def host_at(tx: Tx, name: str) -> HostRecord:
    """Read one host's record, empty if nothing was ever heard of it."""
    used = _used(tx, claims.c.host == name)
    for row in rows(tx, select(hosts).where(hosts.c.name == name)):
        return host_of(row, used)
    return HostRecord(name=name)


def ensure(tx: Tx, *names: str) -> None:
    """Make the rows of hosts that are seen for the first time."""
    new = upsert(tx, hosts).on_conflict_do_nothing()
    tx.connection.execute(new, [{"name": name, "enabled": True} for name in names])


def save_samples(tx: Tx, sightings: Iterable[Sighting]) -> None:
    """Keep samples and errors; what is older than the record changes nothing."""
    ordered = sorted(sightings, key=lambda sighting: sighting.at)
    names = sorted({sighting.host for sighting in ordered})
    if not names:
        return
    ensure(tx, *names)
    # All of them first and in one order, so that two PostgreSQL transactions never wait for each
    # other.
    lock = select(hosts.c.name).where(hosts.c.name.in_(names)).order_by(hosts.c.name)
    tx.connection.execute(lock.with_for_update())
    good = [
        {
            "host": sighting.host,
            "at": sighting.at,
            "new_sample": as_json(sighting.sample),
            "new_libvirt": sighting.libvirt,
            "new_machine": sighting.machine,
            "new_boot": sighting.boot,
        }
        for sighting in ordered
        if sighting.sample is not None
    ]
    bad = [
        {"host": sighting.host, "at": sighting.at, "new_error": sighting.error or "no answer"}
        for sighting in ordered
        if sighting.sample is None
    ]
    if good:
        tx.connection.execute(_update("seen", "sample", "libvirt", "machine", "boot"), good)
    if bad:
        tx.connection.execute(_update("failed", "error"), bad)


def _update(time: str, *columns: str) -> Update:
    kept = hosts.c[time]
    return (
        update(hosts)
        .where(hosts.c.name == bindparam("host"), kept.is_(None) | (kept <= bindparam("at")))
        .values({time: bindparam("at"), **{name: bindparam(f"new_{name}") for name in columns}})
    )


def forget_machine(tx: Tx, host: str, machine: str) -> None:
    """Take a machine that is proven gone out of the host's last sample: it takes nothing there."""
    here = hosts.c.name == host
    kept = tx.connection.execute(select(hosts.c.sample).where(here).with_for_update()).scalar()
    if kept is None or machine not in kept:
        return
    sample = json.loads(kept)
    rows = sample.get("guests")
    if isinstance(rows, list):
        sample["guests"] = [one for one in rows if not isinstance(one, list) or machine not in one]
        tx.connection.execute(update(hosts).where(here).values(sample=as_json(sample)))


def save_kvm(tx: Tx, host: str, check: KvmCheck) -> None:
    """Keep whether KVM works in the host's present boot."""
    values = {"kvm_alive": check.alive, "kvm_boot": check.boot, "kvm_at": check.at}
    _change(tx, host, values)


def set_enabled(tx: Tx, host: str, *, enabled: bool, reason: str | None) -> None:
    """Let new servers onto a host, or keep them off it."""
    _change(tx, host, {"enabled": enabled, "reason": reason})


def _change(tx: Tx, host: str, values: Mapping[str, Any]) -> None:
    ensure(tx, host)
    tx.connection.execute(update(hosts).where(hosts.c.name == host).values(**values))


def _used(tx: Tx, which: ColumnElement[bool] | None = None) -> Mapping[str, Used]:
    query = select(
        claims.c.host,
        func.count(claims.c.server.distinct()).label("servers"),
        func.sum(claims.c.vcpus).label("vcpus"),
        func.sum(claims.c.memory).label("memory"),
        func.sum(case((claims.c.pool == "", claims.c.disk), else_=0)).label("disk"),
        func.aggregate_strings(func.nullif(claims.c.cpus, ""), ",").label("cpus"),
    ).group_by(claims.c.host)
    return used_of(rows(tx, query if which is None else query.where(which)))
