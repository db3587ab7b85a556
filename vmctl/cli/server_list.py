"""``vmctl server list``: the servers as they are on record, or looked at anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from vmctl.cli.command import lister, watch_option
from vmctl.cli.output import Column, Table
from vmctl.cli.server_columns import columns_of
from vmctl.cli.server_options import list_options, resolved, wanted_of
from vmctl.cli.server_words import say_doubled, say_lost, zones_of_hosts
from vmctl.collecting import no_collecting
from vmctl.errors import NotFound
from vmctl.services.finding import choose

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.cli.context import Context
    from vmctl.domain.server_line import ServerLine
    from vmctl.services.finding import Wanted


@lister
@list_options
@click.option("--refresh", is_flag=True, help="ask all hosts for the servers now, side by side")
@watch_option
@click.option("--count", is_flag=True, help="say only how many there are")
@click.option("-n", "--no-name-lookup", "as_ids", is_flag=True, help="images by their ids")
@click.option("--marker", metavar="ID", help="only those that stand after this server")
@click.option("--max-items", metavar="N", type=click.IntRange(min=0), help="at most N servers")
@click.option("--all-projects", is_flag=True, help="of all projects, with a column that names them")
@click.option("--name-lookup-one-by-one", is_flag=True, hidden=True)
@click.option("--user-domain", hidden=True)
@click.option("--project-domain", hidden=True)
def server_list(
    context: Context,
    *,
    refresh: bool,
    every: float | None,
    all_projects: bool,
    **asked: Any,
) -> Table:
    """List servers from the record, those whose host is down or has booted since as UNKNOWN.

    Several tests must all be met. If a project is chosen, only its servers are listed.
    """
    wanted = wanted_of(context, asked, all_projects=all_projects)
    if every is not None:
        from vmctl.cli.live import watch
        from vmctl.cli.server_refresh import host_by_host

        hosts, ask = host_by_host(context)

        def draw(quiet: Context) -> Table:
            return _table(quiet, wanted, asked, all_projects=all_projects)

        return watch(context, every, hosts=hosts, ask=ask, draw=draw)
    if refresh:
        from vmctl.cli.server_refresh import look_again

        look_again(context)
    return _table(context, wanted, asked, all_projects=all_projects)


def _table(
    context: Context, wanted: Wanted, asked: Mapping[str, Any], *, all_projects: bool
) -> Table:
    """List what is on record."""
    app = context.app
    output = context.output
    more = bool(output.long or output.columns or output.sort_columns)
    # Thousands of values that all live until the end: there is no garbage among them.
    with no_collecting():
        lines, hosts = app.server_lines(
            deleted=wanted.of_the_deleted, whole=more or wanted.of_specs
        )
        zones = zones_of_hosts(context) if more or wanted.zone is not None else {}
        wanted = resolved(context, wanted, lines)
        found = choose(lines, wanted, hosts=hosts, zones=zones, now=time.time())
        say_lost(context, found, hosts)
        say_doubled(context, found)
        found = _page(found, asked["marker"], asked["max_items"])
        if asked["count"]:
            return Table(columns=("Count",), rows=[(len(found),)])
        columns = columns_of(
            hosts,
            zones,
            flavors=_flavor_ids(context),
            long=output.long,
            as_ids=asked["as_ids"],
            projects=all_projects,
            more=more,
        )
        cells = [cell for _, _, cell in columns]
        return Table(
            columns=[Column(name, when) for name, when, _ in columns],
            rows=[[cell(line) for cell in cells] for line in found],
        )


def _flavor_ids(context: Context) -> dict[str, str]:
    """Give the flavors' ids by their names, where they are asked for: no other list pays for it."""
    asked = {*context.output.columns, *context.output.sort_columns}
    if "flavor id" not in {name.replace("_", " ").casefold() for name in asked}:
        return {}
    return {one.name: one.id for one in context.app.catalog.flavors()}


def _page(found: list[ServerLine], marker: str | None, most: int | None) -> list[ServerLine]:
    if marker is not None:
        places = [place for place, line in enumerate(found) if marker in (line.id, line.name)]
        if not places:
            raise NotFound(
                f"marker [{marker}] not found", hint="it is the last ID of what you have"
            )
        found = found[places[0] + 1 :]
    return found if most is None else found[:most]
