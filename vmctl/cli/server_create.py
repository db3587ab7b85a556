"""``vmctl server create``: from the words to a running server, or to several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import shower
from vmctl.cli.create_options import Words, create_options
from vmctl.cli.output import Record, Table
from vmctl.errors import NoValidHost, Partial, UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Unpack

    from vmctl.cli.context import Context
    from vmctl.domain.placement import Placement
    from vmctl.domain.record import Server
    from vmctl.scheduler.policy import Policy
    from vmctl.services.create import Made, Site
    from vmctl.services.order import Order

_TIMEOUT = 600.0


@shower
@click.argument("name", metavar="NAME")
@create_options
def server_create(context: Context, *, name: str, **words: Unpack[Words]) -> Record | Table:
    """Create a server, or several, and wait until they are there.

    Names of several end in -1, -2, …. Each ends by itself: those that are up are kept. Fewer than
    --min end with 14, no host for them with 10, a wait that took too long with 12.
    """
    from vmctl.cli.create_words import wish_of
    from vmctl.services.order import order_of

    app = context.app
    wish = wish_of(context, name, words)
    if words["if_not_exists"] and (there := _there(context, wish.name, wish.count)):
        return there
    order = order_of(wish, app.catalog, app.inventory)
    for warning in order.warnings:
        context.say(f"warning: {warning}")
    key = _key(words["idempotency_key"], order)
    if key is not None and (before := _before(context, key)):
        return before
    placement, policy = _place(context, order, refresh=words["refresh"])
    if words["dry_run"]:
        return _dry(context, order, placement, explain=words["explain"])
    if words["explain"]:
        _explain(context, order, placement)
    site = _site(context, policy, words, key)
    if placement.failed is not None:
        raise _no_host(site, order, placement)
    traces = _traces(order, placement, policy)
    from vmctl.cli.progress import progress_of

    names = tuple(spec.name for spec in order.specs[: len(placement.choices)])
    with progress_of(context, names) as progress:
        site = replace(site, tell=progress.step)
        made = _make(context, site, order, placement, traces)
    return _result(context, order, made, adminpass=wish.password)


def _there(context: Context, name: str, count: int) -> Record | None:
    """Show the live server that bears the name already, if there is one."""
    from vmctl.domain.names import numbered

    found = [one for one in context.app.store.servers() if one.holds_name]
    by_name = {one.name: one for one in found}
    names = numbered(name, count)
    if not all(one in by_name for one in names):
        return None
    context.say(f"{', '.join(names)}: there already")
    return _shown(context, by_name[names[0]])


def _shown(context: Context, server: Server) -> Record:
    from vmctl.cli.server_fields import fields_of
    from vmctl.cli.server_show import story_of

    return Record(fields=fields_of(story_of(context, server), placement=False))


def _key(word: str | None, order: Order) -> tuple[str, str] | None:
    """Give the idempotency key with the digest of what was asked for with it."""
    if word is None:
        return None
    from vmctl.services.order import digest_of

    if not 0 < len(word) <= 64 or not word.isascii() or not word.isprintable():
        raise UsageError("--idempotency-key: 1 to 64 printable ASCII characters")
    return word, digest_of(order)


def _before(context: Context, key: tuple[str, str]) -> Record | None:
    """Show what was made with this key before; what failed with it may be tried again."""
    found = context.app.store.idempotent(key[0])
    if found is None:
        return None
    if found.request != key[1]:
        raise UsageError(
            f"--idempotency-key: {key[0]} was used for another request",
            hint="the same key means the same request; choose another one",
        )
    alive = [one for one in found.servers if one.holds_name]
    return _shown(context, alive[0]) if alive else None


def _place(context: Context, order: Order, *, refresh: bool) -> tuple[Placement, Policy]:
    """Place the order on the fleet as it is; hosts that were not asked lately are asked first."""
    from vmctl.cli.fleet import live_fleet
    from vmctl.scheduler.engine import place
    from vmctl.services.policy import tables_for

    fleet, policy = live_fleet(context, refresh=refresh)
    filters, weighers = tables_for(policy)
    many = order.request.count > _TRACED
    placement = place(
        order.request, fleet, policy, filters=filters, weighers=weighers, trace=not many
    )
    return placement, policy


_TRACED = 100
"""Of so many servers each has its own verdicts kept; of more, those of the first."""


def _traces(
    order: Order, placement: Placement, policy: Policy
) -> Mapping[str, Mapping[str, object]]:
    """Give what is kept of each server's placement, to be explained afterwards."""
    from vmctl.scheduler.request_file import answer

    found = {}
    for choice, spec in zip(placement.choices, order.specs, strict=False):
        rounds = placement.trace
        verdicts = rounds[choice.index] if choice.index < len(rounds) else placement.verdicts
        one = replace(placement, choices=(choice,), verdicts=verdicts, trace=())
        found[spec.id] = {
            **answer(one),
            "seed": order.request.seed,
            "filters": list(policy.filters),
            "weighers": dict(policy.weighers),
            "forced": spec.force_host,
        }
    return found


def _dry(context: Context, order: Order, placement: Placement, *, explain: bool) -> Table:
    """Say where the servers would go; nothing was changed."""
    if explain:
        _explain(context, order, placement)
    if placement.failed is not None:
        raise NoValidHost(placement.failed, hint="--explain tells what each host says")
    rows = [
        (spec.name, choice.host, round(choice.weight, 3), list(choice.alternates))
        for spec, choice in zip(order.specs, placement.choices, strict=False)
    ]
    return Table(columns=("Name", "Host", "Weight", "Alternates"), rows=rows)


def _explain(context: Context, order: Order, placement: Placement) -> None:
    """Write every host's verdict to stderr, for the result goes to stdout."""
    from vmctl.cli.output import render
    from vmctl.cli.placement_words import placed_words, verdict_table
    from vmctl.cli.sheet import Options

    zones = {name: host.zone for name, host in context.app.inventory.hosts.items()}
    table = verdict_table(placement, placement.verdicts, zones, ())
    context.say(render(table, Options(), context.screen).rstrip("\n"))
    for line in placed_words(placement, order.request):
        context.say(line)


def _site(context: Context, policy: Policy, words: Words, key: tuple[str, str] | None) -> Site:
    from vmctl.services.create import Site
    from vmctl.services.waiting import Patience

    app = context.app
    patience = None
    if words["wait_for"] != "active":
        patience = Patience(
            neighbours=app.neighbours,
            what=words["wait_for"],
            seconds=words["timeout"] or _TIMEOUT,
        )
    return Site(
        world=app.world,
        inventory=app.inventory,
        claims=app.claims,
        actor=app.actor,
        owner=app.owner,
        max_attempts=policy.max_attempts,
        keep=words["on_error"] == "keep",
        key=key,
        reason=words["reason"],
        patience=patience,
    )


def _no_host(site: Site, order: Order, placement: Placement) -> VmctlError:
    """Keep the servers that found no host on record, in ERROR, and give the error to raise."""
    from vmctl.services.create import record_failed

    fault = NoValidHost(
        placement.failed or "no host can take the server",
        hint=f"vmctl placement explain {order.specs[0].name} tells what each host said; the"
        " server stays on record in ERROR until it is deleted or created again",
    )
    from vmctl.scheduler.request_file import answer

    trace = {**answer(placement), "seed": order.request.seed}
    for spec in order.specs:
        record_failed(site, spec, fault, trace)
    return fault


def _make(
    context: Context,
    site: Site,
    order: Order,
    placement: Placement,
    traces: Mapping[str, Mapping[str, object]],
) -> tuple[Made, ...]:
    from vmctl.cli.interrupts import interruptible
    from vmctl.services.create import make_all
    from vmctl.services.recovery import pay_owed

    with interruptible(context) as check:
        hosts = {choice.host for choice in placement.choices}
        for paid in pay_owed(context.app.recovery(context.say), hosts):
            context.say(f"paid what was owed to {paid.operation.host}: {paid.state}")
        return make_all(replace(site, check=check), order, placement.choices, traces)


def _common_code(failed: list[Made]) -> int:
    """Give the exit code that all of them failed with, or that of any failure."""
    codes = {one.fault.exit_code for one in failed if isinstance(one.fault, VmctlError)}
    return codes.pop() if len(codes) == 1 else 1


def _result(
    context: Context, order: Order, made: tuple[Made, ...], *, adminpass: str | None
) -> Record | Table:
    """Show what there is now: one server as openstack shows it, several in a table."""
    from vmctl.domain.record import networks_of, shown_status

    failed = [one for one in made if one.fault is not None]
    bugs = [one.fault for one in failed if not isinstance(one.fault, VmctlError)]
    if bugs:
        raise bugs[0]  # type: ignore[misc]  # a fault that failed is not None
    for one in made:
        if one.unenforced:
            networks = ", ".join(one.unenforced)
            context.say(
                f"warning: {one.spec.name} on {one.host}: security groups are not enforced on"
                f" {networks}"
            )
    if len(order.specs) == 1:
        if failed:
            raise failed[0].fault  # type: ignore[misc]  # likewise
        record = _shown(context, context.app.store.server(made[0].spec.id))
        if adminpass is None:
            return record
        return replace(record, fields={**record.fields, "adminPass": adminpass})
    up = len(made) - len(failed)
    for one in failed:
        context.say(f"{one.spec.name}: {one.fault}")
    if up < len(order.specs):
        context.say(f"{up} of {len(order.specs)} servers are as far as was asked")
    code = 0
    if up < order.at_least:
        code = Partial.exit_code if up else _common_code(failed)
    servers = {one.id: one for one in context.app.store.servers()}
    rows = []
    for one in made:
        server = servers.get(one.spec.id)
        rows.append(
            (
                one.spec.id,
                one.spec.name,
                "ERROR" if server is None else shown_status(server.state, server.task),
                None if server is None else server.host,
                {} if server is None else networks_of(server.nics),
                None if one.fault is None else str(one.fault),
            )
        )
    return Table(
        columns=("ID", "Name", "Status", "Host", "Networks", "Fault"), rows=rows, exit_code=code
    )
