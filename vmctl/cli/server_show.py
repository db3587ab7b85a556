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


_WHAT = "--diagnostics, --xml and --placement exclude each other"


@shower
@click.argument("server", metavar="SERVER")
@click.option("--refresh", is_flag=True, help="ask the hosts now, its own for its addresses too")
@click.option("--placement", is_flag=True, help="with why it stands where it does")
@click.option("--diagnostics", is_flag=True, help="what its host counts of it, and nothing else")
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
    xml: bool,
    inactive: bool,
) -> Record | str:
    """Show one server, by name or id."""
    if diagnostics + xml + placement > 1:
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
    return Record(fields=fields_of(story_of(context, found), placement=placement))


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
