"""``vmctl server create``: from the words to a running server, or to several."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import shower
from vmctl.cli.create_options import Words, create_options
from vmctl.cli.create_result import result, shown
from vmctl.cli.output import Record, Table
from vmctl.errors import KeyTaken, NameTaken, NoValidHost, UsageError, VmctlError

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
    from vmctl.services.wish import Wish

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
    there = _there(context, wish) if words["if_not_exists"] else ()
    if len(there) == wish.count:
        return shown(context, there)
    order = order_of(wish, app.catalog, app.inventory)
    key = _key(words["idempotency_key"], order)
    if key is not None and (before := _before(context, key, wish.count)):
        return shown(context, before)
    order = _cut(context, order, there, keep=words["if_not_exists"])
    for warning in order.warnings:
        context.say(f"warning: {warning}")
    placement, policy = _place(context, order, refresh=words["refresh"])
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
        made = tuple(_or_there(context, one) for one in made)
    late = key is not None and any(isinstance(one.fault, KeyTaken) for one in made)
    if late and key is not None and (before := _before(context, key, wish.count)):
        # Someone else has made them while we looked for room.
        return shown(context, before)
    return result(context, order, made, there, adminpass=wish.password)


def _owed_here(context: Context) -> set[str]:
    """Name the hosts that are owed a cleanup and answered when they were asked last."""
    store = context.app.store
    hosts = {debt.attempt.host for debt in store.owed()}
    return {host for host in hosts if store.host(host).answered}


def _there(context: Context, wish: Wish) -> tuple[Server, ...]:
    """Give the live servers that bear one of the names already, and say so."""
    from vmctl.domain.names import numbered

    live = {one.name: one for one in context.app.store.servers() if one.holds_name}
    found = tuple(live[name] for name in numbered(wish.name, wish.count) if name in live)
    if found:
        context.say(f"{', '.join(one.name for one in found)}: there already")
    return found


def _or_there(context: Context, made: Made) -> Made:
    """Take the server that someone else was quicker to make for the one that was asked for."""
    if not isinstance(made.fault, NameTaken):
        return made
    found = context.app.store.server(made.spec.name)
    if not found.holds_name:
        return made  # a machine on the host bears the name, and it is not ours
    context.say(f"{made.spec.name}: there already")
    return replace(made, spec=replace(made.spec, id=found.id), fault=None, up=True)


def _cut(context: Context, order: Order, there: tuple[Server, ...], *, keep: bool) -> Order:
    """Leave of an order what is not there, and what the quota allows."""
    from vmctl.services.cutting import refuse_names, standing, within, without

    app = context.app
    if keep:
        order = without(order, there)
    else:
        refuse_names(standing(order, app.store.servers()))
    return within(order, app.catalog.quota(order.specs[0].project))


def _key(word: str | None, order: Order) -> tuple[str, str] | None:
    """Give the idempotency key with the digest of what was asked for with it."""
    if word is None:
        return None
    from vmctl.services.order import digest_of

    if not 0 < len(word) <= 64 or not word.isascii() or not word.isprintable():
        raise UsageError("--idempotency-key: 1 to 64 printable ASCII characters")
    return word, digest_of(order)


def _before(context: Context, key: tuple[str, str], count: int) -> tuple[Server, ...]:
    """Give what was made with this key before; what failed with it may be tried again.

    Who is at it just now puts its servers on record one by one: all of them are waited for.
    """
    from vmctl.domain.record import ServerState

    store, until = context.app.store, time.monotonic() + _ADMITTED
    while True:
        found = store.idempotent(key[0])
        alive = tuple(one for one in found.servers if one.holds_name) if found else ()
        if found is not None and alive and found.request != key[1]:
            raise UsageError(
                f"--idempotency-key: {key[0]} was used for another request",
                hint="the same key means the same request; choose another one",
            )
        coming = any(one.state is ServerState.BUILDING for one in alive)
        if len(alive) >= count or not coming or time.monotonic() > until:
            break
        time.sleep(_LOOK)
    if alive:
        context.say(f"{', '.join(one.name for one in alive)}: made with this key already")
    return alive


_ADMITTED, _LOOK = 30.0, 0.2


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
