"""What a create shows in the end: one server as openstack shows it, several in a table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.cli.cells import addresses
from vmctl.cli.output import Record, Table
from vmctl.errors import Interrupted, Partial, VmctlError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmctl.cli.context import Context
    from vmctl.domain.record import Server
    from vmctl.services.order import Order
    from vmctl.services.site import Made

COLUMNS = ("ID", "Name", "Status", "Host", "Networks", "Fault")


def shown(context: Context, servers: Sequence[Server]) -> Record | Table:
    """Show servers that were there before."""
    if len(servers) == 1:
        return record_of(context, servers[0])
    return Table(columns=COLUMNS, rows=[row_of(one, None) for one in servers])


def result(
    context: Context,
    order: Order,
    made: tuple[Made, ...],
    there: tuple[Server, ...],
    *,
    adminpass: str | None,
) -> Record | Table:
    """Show what there is now, or raise what the only server failed with."""
    failed = [one for one in made if one.fault is not None]
    for one in failed:
        if one.fault is not None and not isinstance(one.fault, VmctlError):
            raise one.fault
        if one.kept:
            context.say(
                f"{one.spec.name}: what was made on {one.host} is kept; vmctl server delete"
                f" {one.spec.name} takes it away"
            )
    for one in made:
        if one.unenforced:
            context.say(
                f"warning: {one.spec.name} on {one.host}: security groups are not enforced on"
                f" {', '.join(one.unenforced)}"
            )
    if len(order.specs) == 1 and not there:
        if failed and failed[0].fault is not None:
            raise failed[0].fault
        record = record_of(context, context.app.store.server(made[0].spec.id))
        if adminpass is None:
            return record
        return replace(record, fields={**record.fields, "adminPass": adminpass})
    up = len(made) - len(failed)
    for one in failed:
        context.say(f"{one.spec.name}: {one.fault}")
    if up < len(order.specs):
        context.say(f"warning: {up} of {len(order.specs)} servers are as far as was asked")
    servers = {one.id: one for one in context.app.store.servers()}
    rows = [row_of(one, None) for one in there]
    for one in made:
        fault = None if one.fault is None else str(one.fault)
        server = servers.get(one.spec.id)
        if server is None:
            # It was never put on record: its name was taken, or a quota was full.
            rows.append((None, one.spec.name, "ERROR", None, {}, fault))
        else:
            rows.append(row_of(server, fault))
    return Table(columns=COLUMNS, rows=rows, exit_code=_code(failed, up, order.at_least))


def record_of(context: Context, server: Server) -> Record:
    """Show one server as openstack does."""
    from vmctl.cli.server_fields import fields_of
    from vmctl.cli.server_show import story_of

    return Record(fields=fields_of(story_of(context, server), placement=False))


def row_of(server: Server, fault: str | None) -> tuple[object, ...]:
    """Give one server's row among several."""
    from vmctl.domain.record import shown_status
    from vmctl.domain.server_line import line_of

    status, line = shown_status(server.state, server.task), line_of(server)
    networks = addresses(line.networks, line.sources)
    return (server.id, server.name, status, server.host, networks, fault)


def _code(failed: list[Made], up: int, at_least: int) -> int:
    """Give the exit code: stopped by someone, enough are up, some, or none for one reason."""
    if any(isinstance(one.fault, Interrupted) for one in failed):
        return Interrupted.exit_code
    if up >= at_least:
        return 0
    if up:
        return Partial.exit_code
    codes = {one.fault.exit_code for one in failed if isinstance(one.fault, VmctlError)}
    return codes.pop() if len(codes) == 1 else 1
