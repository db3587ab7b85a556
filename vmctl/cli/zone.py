"""``vmctl availability zone …`` and ``vmctl aggregate …``: how the inventory groups its hosts."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import lister, shower
from vmctl.cli.output import Column, Record, Table
from vmctl.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.cli.context import Context
    from vmctl.domain.inventory import Aggregate

_NAMESPACE = uuid.UUID("3b1c1bb2-8f0a-5a8e-9a5f-6a1d3a3c5f11")


@lister
@click.option("--compute", is_flag=True, hidden=True)
@click.option("--network", is_flag=True, hidden=True)
@click.option("--volume", is_flag=True, hidden=True)
def availability_zone_list(context: Context, **_others: bool) -> Table:
    """List the availability zones; with --long, each of their hosts."""
    inventory, (records, _) = context.app.inventory, context.app.on_record()
    rows: list[tuple[object, ...]] = []
    for zone in inventory.zones:
        hosts = [host for host in inventory.hosts.values() if host.zone == zone]
        enabled = {h.name: h.name not in records or records[h.name].enabled for h in hosts}
        status = "available" if any(enabled.values()) else "not available"
        if not context.output.long:
            rows.append((zone, status, "", "", "", ""))
            continue
        for host in hosts:
            record = records.get(host.name)
            word = "enabled" if enabled[host.name] else "disabled"
            sign = {None: "???", True: ":-)", False: "XXX"}[record.answered if record else None]
            rows.append((zone, status, "", host.name, "nova-compute", f"{word} {sign}"))
    return Table(
        columns=(
            "Zone Name",
            "Zone Status",
            Column("Zone Resource", "long"),
            Column("Host Name", "long"),
            Column("Service Name", "long"),
            Column("Service Status", "long"),
        ),
        rows=rows,
    )


@lister
@click.option("--availability-zone", "zone", metavar="ZONE", help="only those of this zone")
@click.option("--host", metavar="HOST", help="only those that this host is in")
def aggregate_list(context: Context, *, zone: str | None, host: str | None) -> Table:
    """List the aggregates of the inventory."""
    return Table(
        columns=(
            "ID",
            "UUID",
            "Name",
            "Availability Zone",
            Column("Properties", "long"),
            Column("Hosts", "long"),
        ),
        rows=[
            (number, _uuid(one), one.name, _zone(one), _properties(one), list(one.hosts))
            for number, one in _numbered(context)
            if (zone is None or _zone(one) == zone) and (host is None or host in one.hosts)
        ],
    )


@shower
@click.argument("aggregate", metavar="AGGREGATE")
def aggregate_show(context: Context, *, aggregate: str) -> Record:
    """Show one aggregate, by name, number or uuid."""
    for number, one in _numbered(context):
        if aggregate in (one.name, str(number), _uuid(one)):
            return Record(
                fields={
                    "availability_zone": _zone(one),
                    "created_at": None,
                    "deleted_at": None,
                    "hosts": list(one.hosts),
                    "id": number,
                    "is_deleted": False,
                    "name": one.name,
                    "properties": _properties(one),
                    "updated_at": None,
                    "uuid": _uuid(one),
                }
            )
    raise NotFound(f"No Aggregate found for {aggregate}")


def _numbered(context: Context) -> Iterator[tuple[int, Aggregate]]:
    # The inventory's own order gives the numbers: they change only when its text does.
    return enumerate(context.app.inventory.aggregates.values(), start=1)


def _uuid(aggregate: Aggregate) -> str:
    return str(uuid.uuid5(_NAMESPACE, aggregate.name))


def _zone(aggregate: Aggregate) -> str | None:
    return aggregate.metadata.get("availability_zone")


def _properties(aggregate: Aggregate) -> dict[str, str]:
    return {k: v for k, v in aggregate.metadata.items() if k != "availability_zone"}
