"""Rows of hosts made values, apart from servers' so that listing hosts costs little."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vmctl.domain.cpus import read_cpus
from vmctl.domain.host_record import HostRecord, KvmCheck, Used

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Row = Mapping[str, Any]

_UNUSED = Used()


def as_json(value: Mapping[str, object]) -> str:
    """Write a value so that the same value is always the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def host_of(row: Row, used: Mapping[str, Used]) -> HostRecord:
    """Make a host's record of its row and of what the claims take of each host."""
    checked = row["kvm_alive"] is not None
    return HostRecord(
        name=row["name"],
        enabled=bool(row["enabled"]),
        reason=row["reason"],
        libvirt=row["libvirt"],
        machine=row["machine"],
        boot=row["boot"],
        seen=row["seen"],
        error=row["error"],
        failed=row["failed"],
        kept=row["sample"],
        kvm=KvmCheck(alive=bool(row["kvm_alive"]), boot=row["kvm_boot"], at=row["kvm_at"])
        if checked
        else None,
        used=used.get(row["name"], _UNUSED),
    )


def used_of(rows: Iterable[Row]) -> Mapping[str, Used]:
    """Make sums of claims by host."""
    return {
        row["host"]: Used(
            servers=row["servers"],
            # PostgreSQL sums whole numbers as decimals.
            vcpus=int(row["vcpus"]),
            memory=int(row["memory"]),
            disk=int(row["disk"]),
            cpus=read_cpus(row["cpus"]),
        )
        for row in rows
    }
