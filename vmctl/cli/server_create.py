"""``vmctl server create``: from the words to a running server, or to several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import shower
from vmctl.cli.create_again import (
    TIMEOUT,
    as_one,
    as_they_are,
    by_key,
    by_name,
    key_of,
    with_those_taken,
    with_those_there,
)
from vmctl.cli.create_options import Words, create_options
from vmctl.cli.create_result import result
from vmctl.cli.output import Record, Table
from vmctl.errors import KeyTaken, NoValidHost, VmctlError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from typing import Unpack

    from vmctl.cli.context import Context
    from vmctl.domain.placement import Placement
    from vmctl.domain.record import Server
    from vmctl.domain.spec import ServerSpec
    from vmctl.scheduler.policy import Policy
    from vmctl.services.order import Order
    from vmctl.services.site import Made, Site


@shower
@click.argument("name", metavar="NAME")
@create_options
def server_create(context: Context, *, name: str, **words: Unpack[Words]) -> Record | Table:
    """Create a server, or several, and wait until they are there.

    Names of several end in -1, -2, …. Each ends by itself: those that are up are kept. Fewer than
    --min end with 14, no host for them with 10, a wait that took too long with 12.
    """
    from vmctl.cli.create_words import wish_of
    from vmctl.scheduler.unheard import unheard
    from vmctl.services.order import order_of

    app = context.app
    wish = wish_of(context, name, words)
    there = by_name(context, wish, words) if words["if_not_exists"] else ()
    if len(there) == wish.count:
        return as_they_are(context, there, words)
    order = order_of(wish, app.catalog, app.inventory)
    key = key_of(words, wish, order)
    if key is not None and (before := by_key(context, key, words)):
        if len(before) >= wish.count:
            return as_they_are(context, before, words)
        there, order = before, as_one(order, before)
    order = _cut(context, order, there, keep=words["if_not_exists"] or bool(there))
    for warning in order.warnings:
        context.say(f"warning: {warning}")
    placement, policy = _place(context, order, refresh=words["refresh"])
    for one in unheard(order.request, policy):
        context.say(f"warning: {one}")
    dry = words["dry_run"] or words["explain"]
    if placement.failed is not None and not dry and (owed := _owed_here(context)):
        from vmctl.cli.debts import pay

        # What earlier servers hold there, on hosts that answer again, may be all that is missing.
        pay(context, owed)
        placement, policy = _place(context, order, refresh=True)
    if dry:
        return _dry(context, order, placement, explain=words["explain"])
    site = replace(
        _site(context, policy, words, key),
        again=lambda spec, tried: _again(context, order, spec, tried),
    )
    if placement.failed is not None:
        raise _no_host(site, order, placement)
    made = _make(context, site, order, placement, _traces(order, placement, policy))
    if words["if_not_exists"]:
        made, taken = with_those_taken(context, made, words)
        there = (*there, *taken)
    late = key is not None and any(isinstance(one.fault, KeyTaken) for one in made)
    if late and key is not None and len(before := by_key(context, key, words)) >= wish.count:
        # Someone else has made them while we looked for room.
        return as_they_are(context, before, words)
    ended = result(context, order, made, there, adminpass=wish.password)
    return with_those_there(context, ended, there, words)


def _owed_here(context: Context) -> set[str]:
    """Name the hosts that are owed a cleanup and answered when they were asked last."""
    store = context.app.store
    hosts = {debt.attempt.host for debt in store.owed()}
    return {host for host in hosts if store.host(host).answered}


def _cut(context: Context, order: Order, there: tuple[Server, ...], *, keep: bool) -> Order:
    """Leave of an order what is not there, and what the quota allows."""
    from vmctl.services.cutting import refuse_names, standing, within, without

    app = context.app
    if keep:
        order = without(order, there)
    else:
        refuse_names(standing(order, app.store.servers()))
    return within(order, app.catalog.quota(order.specs[0].project))


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


def _again(
    context: Context, order: Order, spec: ServerSpec, tried: Collection[str]
) -> tuple[str, ...]:
    """Place one server once more on the fleet as it is now, without the hosts that were tried."""
    from vmctl.cli.fleet import live_fleet
    from vmctl.scheduler.engine import place
    from vmctl.services.judging import request_for
    from vmctl.services.policy import tables_for

    if spec.force_host is not None:
        return ()
    fleet, policy = live_fleet(context)
    filters, weighers = tables_for(policy)
    wanted = order.request
    request = replace(
        request_for(spec), group=wanted.group, ignore_hosts=frozenset(tried), seed=wanted.seed
    )
    found = place(request, fleet, policy, filters=filters, weighers=weighers)
    return tuple(host for choice in found.choices for host in (choice.host, *choice.alternates))


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
    from vmctl.services.site import Site
    from vmctl.services.waiting import Patience

    app = context.app
    patience = None
    if words["wait_for"] != "active":
        patience = Patience(
            neighbours=app.neighbours,
            what=words["wait_for"],
            seconds=words["timeout"] or TIMEOUT,
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
        reason=words["reason"] or context.options.reason,
        patience=patience,
    )


def _no_host(site: Site, order: Order, placement: Placement) -> VmctlError:
    """Keep the servers that found no host on record, in ERROR, and give the error to raise."""
    from vmctl.services.site import record_failed

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
    from vmctl.cli.debts import pay
    from vmctl.cli.interrupts import interruptible
    from vmctl.cli.progress import progress_of
    from vmctl.services.create import make_all

    names = tuple(spec.name for spec in order.specs[: len(placement.choices)])
    with interruptible("undoing what was begun") as check:
        pay(context, {choice.host for choice in placement.choices})
        with progress_of(context, names) as progress:
            site = replace(site, check=check, tell=progress.step, note=progress.note)
            return make_all(site, order, placement.choices, traces)
