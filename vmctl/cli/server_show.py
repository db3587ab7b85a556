"""``vmctl server show``: all that is on record of a server, in openstack's fields and in ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.command import shower
from vmctl.cli.output import Record
from vmctl.cli.server_fields import Story, fields_of
from vmctl.cli.server_words import host_word, the_server, zones_of_hosts
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.record import Server


_WHAT = "--diagnostics, --topology, --xml and --placement exclude each other"


@shower
@click.argument("server", metavar="SERVER")
@click.option("--refresh", is_flag=True, help="ask the hosts now, its own for its addresses too")
@click.option("--placement", is_flag=True, help="with why it stands where it does")
@click.option("--diagnostics", is_flag=True, help="what its host counts of it, and nothing else")
@click.option("--topology", is_flag=True, help="with its NUMA nodes, and the CPUs that are its own")
@click.option(
    "--xml", is_flag=True, help="its domain on its host, as it runs; no password is in it"
)
@click.option("--inactive", is_flag=True, help="with --xml: as it will be at its next start")
def server_show(
    context: Context,
    *,
    server: str,
    refresh: bool,
    placement: bool,
    diagnostics: bool,
    topology: bool,
    xml: bool,
    inactive: bool,
) -> Record | str:
    """Show one server, by name or id."""
    if diagnostics + topology + xml + placement > 1:
        raise UsageError(_WHAT)
    if inactive and not xml:
        raise UsageError("--inactive goes with --xml")
    found = the_server(context, server)
    if xml:
        from vmctl.cli.server_figures import definition

        return definition(context, found, live=not inactive)
    if diagnostics:
        from vmctl.cli.server_figures import diagnosed

        return diagnosed(context, found)
    if refresh:
        from vmctl.cli.server_refresh import look_at

        look_at(context, found, elsewhere=True)
        found = context.app.store.server(found.id)
    fields = fields_of(story_of(context, found), placement=placement)
    if topology:
        fields["topology"] = _topology(context, found)
    return Record(fields=fields)


def _topology(context: Context, server: Server) -> dict[str, object]:
    """Tell its NUMA nodes and pinned CPUs, as they were planned where it stands."""
    from vmctl.domain.plain import from_plain
    from vmctl.domain.spec import ServerSpec
    from vmctl.domain.topology import topology_of

    attempts = context.app.store.attempts(server.id)
    plan = next((one.plan for one in attempts if one.number == server.attempt), {})
    cpus = plan.get("cpus")
    held = tuple(one for one in cpus if isinstance(one, int)) if isinstance(cpus, list) else ()
    return topology_of(from_plain(ServerSpec, server.spec), held)


def story_of(context: Context, server: Server) -> Story:
    """Gather all that is told of a server."""
    from vmctl.domain.operation import OperationState

    store = context.app.store
    in_the_way = [
        one
        for one in store.operations(unfinished=True, server=server.id)
        if one.state is not OperationState.OWED
    ]
    groups = [group.id for group in context.app.catalog.groups() if server.id in group.members]
    return Story(
        server=server,
        attempts=store.attempts(server.id),
        host=host_word(context, server.host) if server.host else None,
        zones=zones_of_hosts(context),
        operation=in_the_way[0] if in_the_way else None,
        groups=groups,
        trace=store.placement_of(server.id),
    )
