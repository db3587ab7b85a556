"""``vmctl placement …``: where servers would go, and why not elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import click

from vmctl.cli.command import teller
from vmctl.cli.fleet import in_zone, live_fleet, what_if
from vmctl.cli.output import render
from vmctl.cli.placement_request import Wishes, read_file, request_of, what_if_options, wish_options
from vmctl.errors import NoValidHost, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Unpack

    from vmctl.cli.context import Context
    from vmctl.cli.output import Table
    from vmctl.domain.fleet import Fleet
    from vmctl.domain.placement import Placement
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.policy import Policy

T = TypeVar("T")

_COUNT = click.IntRange(min=1)
_REFRESH = click.option("--refresh", is_flag=True, help="ask every host now")


@teller
@click.argument("server", metavar="[SERVER]", required=False)
@wish_options
@click.option("--count", metavar="N", type=_COUNT, default=1, help="so many servers (1)")
@click.option("--min", "at_least", metavar="N", type=_COUNT, help="so few would do (all)")
@what_if_options
@_REFRESH
def placement_explain(
    context: Context,
    *,
    server: str | None,
    count: int,
    at_least: int | None,
    removed: tuple[str, ...],
    added: tuple[str, ...],
    refresh: bool,
    **wishes: Unpack[Wishes],
) -> int:
    """Say where servers would go, and of every host why or why not; nothing is created.

    Hosts are asked whose last answer is older than a create would accept. Ends with 10 where no
    host can take them. With a server: why it stands where it does, as it was decided then.
    """
    if server is not None:
        from vmctl.cli.placement_kept import explain_server

        said = [name for name, value in wishes.items() if value] + [*removed, *added]
        if said or count > 1 or at_least or refresh:
            raise UsageError("a server's placement is on record: nothing can be asked with it")
        return explain_server(context, server)
    request = request_of(context, wishes, count=count, at_least=at_least)
    quota = context.app.catalog.quota(context.config.project or "")
    excess = quota.excess(request.flavor, request.count)
    fleet, policy = live_fleet(context, refresh=refresh)
    if excess:
        context.say(f"a create would be refused: {excess}")
    return _answer(context, request, what_if(fleet, removed, added), policy)


@teller
@click.option(
    "--fleet",
    "fleet_path",
    metavar="FILE",
    required=True,
    help="the fleet, as fleet save writes it; - is stdin",
)
@click.option(
    "--request", "request_path", metavar="FILE", required=True, help="the request; - is stdin"
)
@click.option("--trace", type=click.Choice(("all",)), help="verdicts for each server in turn")
@what_if_options
def placement_simulate(
    context: Context,
    *,
    fleet_path: str,
    request_path: str,
    trace: str | None,
    removed: tuple[str, ...],
    added: tuple[str, ...],
) -> int:
    """Place a request from a file on a fleet from a file: no inventory, database or host is asked.

    The files are JSON or YAML. Ends with 10 where no host can take the servers.
    """
    from vmctl.scheduler.fleet_file import fleet_from
    from vmctl.scheduler.request_file import request_from

    if fleet_path == request_path == "-":
        raise UsageError("the fleet and the request cannot both come from stdin")
    found = _checked(fleet_path, fleet_from)
    request = _checked(request_path, request_from)
    fleet = what_if(found.fleet, removed, added)
    return _answer(context, request, fleet, found.policy, trace=trace is not None)


@teller
@wish_options
@click.option("--zone", "only", metavar="ZONE", help="the hosts of this zone alone")
@click.option("--survive-one", is_flag=True, help="also: how many, so that any one host may die")
@what_if_options
@_REFRESH
def placement_capacity(
    context: Context,
    *,
    only: str | None,
    survive_one: bool,
    removed: tuple[str, ...],
    added: tuple[str, ...],
    refresh: bool,
    **wishes: Unpack[Wishes],
) -> int | None:
    """Say how many more servers of a flavor fit: per host, per zone and in all, and what binds."""
    from vmctl.cli.placement_words import capacity_data, capacity_table, capacity_words
    from vmctl.scheduler.capacity import capacity
    from vmctl.services.policy import tables_for

    request = request_of(context, wishes)
    fleet, policy = live_fleet(context, refresh=refresh)
    fleet = what_if(fleet, removed, added)
    if only is not None:
        fleet = in_zone(fleet, only, policy)
    _say_unheard(context, request, policy)
    filters, weighers = tables_for(policy)
    found = capacity(
        request, fleet, policy, survive_one=survive_one, filters=filters, weighers=weighers
    )
    if whole(context):
        write_json(context, capacity_data(found))
    else:
        tell(context, capacity_table(found), capacity_words(found, request.flavor.name))
    return None


def _answer(
    context: Context,
    request: RequestSpec,
    fleet: Fleet,
    policy: Policy,
    *,
    trace: bool = False,
) -> int:
    from vmctl.scheduler.engine import place
    from vmctl.scheduler.request_file import answer
    from vmctl.services.policy import tables_for

    _say_unheard(context, request, policy)
    filters, weighers = tables_for(policy)
    placement = place(request, fleet, policy, filters=filters, weighers=weighers, trace=trace)
    if whole(context):
        write_json(context, answer(placement))
    else:
        _tell(context, request, fleet, policy, placement)
    return 0 if placement.failed is None else NoValidHost.exit_code


def _tell(
    context: Context,
    request: RequestSpec,
    fleet: Fleet,
    policy: Policy,
    placement: Placement,
) -> None:
    from vmctl.cli.placement_words import miss_words, placed_words, verdict_table, zones_of
    from vmctl.scheduler.nearest import nearest_misses
    from vmctl.services.policy import tables_for

    filters, weighers = tables_for(policy)
    # Where all find a host, the others are judged as they were for the first one.
    whole = len(placement.choices) == request.count
    misses = nearest_misses(
        replace(request, count=1, min_count=None) if whole else request,
        fleet,
        policy,
        filters=filters,
        weighers=weighers,
    )
    zones = zones_of(fleet)
    rounds = placement.trace or (placement.verdicts,)
    for index, verdicts in enumerate(rounds):
        if placement.trace and context.output.format == "table":
            context.write(f"server {index}:\n")
        table = verdict_table(placement, verdicts, zones, misses)
        last = index == len(rounds) - 1
        words = [*placed_words(placement, request), *miss_words(misses)] if last else ()
        tell(context, table, words)


def tell(context: Context, table: Table, words: Iterable[str]) -> None:
    """Write a table, and under one for people what cannot stand in it."""
    context.write(render(table, context.output, context.screen))
    if context.output.format == "table":
        context.write("".join(f"{line}\n" for line in words))


def whole(context: Context) -> bool:
    """Tell whether the whole answer is wanted as data, of which a table shows a part."""
    output = context.output
    if output.format == "json" and (output.columns or output.sort_columns):
        raise UsageError(
            "-c and --sort-column are for tables; json is the whole answer",
            hint="-f ndjson has the table, an object on each line",
        )
    return output.format == "json"


def write_json(context: Context, data: object) -> None:
    """Write the whole answer."""
    import json

    indent = None if context.output.noindent else 2
    context.write(json.dumps(data, indent=indent, ensure_ascii=False) + "\n")


def _say_unheard(context: Context, request: RequestSpec, policy: Policy) -> None:
    from vmctl.scheduler.unheard import unheard

    for words in unheard(request, policy):
        context.say(words)


def _checked(path: str, read: Callable[[object], T]) -> T:
    try:
        return read(read_file(path))
    except UsageError as error:
        if error.message.startswith(path):
            raise
        lines = "\n".join(f"{path}: {line}" for line in error.message.splitlines())
        raise UsageError(lines, hint="docs/scheduler.md has the format") from error
