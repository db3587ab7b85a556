"""``vmctl server show``: all that is on record of a server, in openstack's fields and in ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.command import shower
from vmctl.cli.output import Record
from vmctl.cli.server_fields import Story, fields_of
from vmctl.cli.server_words import the_server, zones_of_hosts

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.record import Server


@shower
@click.argument("server", metavar="SERVER")
@click.option("--refresh", is_flag=True, help="ask its host now, for its addresses too")
@click.option("--placement", is_flag=True, help="with why it stands where it does")
def server_show(context: Context, *, server: str, refresh: bool, placement: bool) -> Record:
    """Show one server, by name or id."""
    found = the_server(context, server)
    if refresh:
        from vmctl.cli.server_refresh import look_at

        look_at(context, found)
        found = context.app.store.server(found.id)
    return Record(fields=fields_of(story_of(context, found), placement=placement))


def story_of(context: Context, server: Server) -> Story:
    """Gather all that is told of a server."""
    from vmctl.domain.operation import OperationState
    from vmctl.domain.server_line import word_of

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
        host=word_of(store.host(server.host)) if server.host else None,
        zones=zones_of_hosts(context),
        operation=in_the_way[0] if in_the_way else None,
        groups=groups,
        trace=store.placement_of(server.id),
    )
