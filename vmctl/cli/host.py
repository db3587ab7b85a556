"""``vmctl host list|show|enable|disable``: the hosts as they are on record, or asked anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from vmctl.cli.cells import Shown, memory
from vmctl.cli.command import action, lister, shower, watch_option
from vmctl.cli.output import Column, Record, Table
from vmctl.errors import NotFound
from vmctl.services.hosts import HostView, look, never_asked, views

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from vmctl.cli.context import Context
    from vmctl.domain.host import Host
    from vmctl.domain.host_record import HostRecord

_COLUMNS = (
    "Host Name",
    "Zone",
    "Status",
    "State",
    "Servers",
    "vCPUs Used",
    "vCPUs",
    "RAM Used",
    "RAM",
    "Disk Used",
    "Disk",
    "Pressure",
    "Last Seen",
    Column("vCPUs Free", "long"),
    Column("RAM Free", "long"),
    Column("Disk Free", "long"),
    Column("Foreign Guests", "long"),
    Column("Labels", "long"),
    Column("Disabled Reason", "long"),
    Column("Fault", "long"),
)


@lister
@click.option("--zone", metavar="ZONE", help="only the hosts in this zone")
@click.option("--refresh", is_flag=True, help="ask every host now, side by side")
@watch_option
def host_list(context: Context, *, zone: str | None, refresh: bool, every: float | None) -> Table:
    """List the hosts and what each has, as it is on record; hosts never asked are asked."""
    inventory = context.app.inventory
    if zone is not None and zone not in inventory.zones:
        raise NotFound(f"no host is in zone {zone}", hint="vmctl availability zone list")
    hosts = [host for host in inventory.hosts.values() if zone is None or host.zone == zone]
    if every is not None:
        return _watched(context, hosts, every, strays=zone is None)
    return _table(see(context, hosts, refresh=refresh, strays=zone is None))


def _table(seen: Sequence[HostView]) -> Table:
    return Table(columns=_COLUMNS, rows=[_row(view) for view in seen])


def _watched(context: Context, hosts: Sequence[Host], every: float, *, strays: bool) -> Table:
    """Draw them again and again, and ask each of them behind it."""
    from vmctl.cli.live import watch

    app = context.app
    # Built before there are threads that use them.
    prober, store = app.prober, app.store

    def ask(host: Host) -> None:
        records, _ = app.on_record()
        for failure in look([host], prober, records, lambda: store, time.time).values():
            raise failure

    def draw(_: Context) -> Table:
        records, claimed = app.on_record()
        seen = views(hosts, records, claimed, time.time())
        return _table([view for view in seen if view.known or strays])

    return watch(context, every, hosts=lambda: hosts, ask=ask, draw=draw)


def _follow_names(context: Context, lost: Collection[str]) -> None:
    """Have hosts that are in the inventory by other names now go by these on record, and say so."""
    from vmctl.cli.server_refresh import eyes_of
    from vmctl.services.believing import seen_by
    from vmctl.services.renaming import follow_names

    app = context.app
    for one in follow_names(eyes_of(context), app.inventory.hosts, lost, seen_by(app.actor)):
        context.say(one.words)


def see(
    context: Context,
    hosts: Sequence[Host],
    *,
    refresh: bool,
    strays: bool = False,
    whole: bool = False,
) -> list[HostView]:
    """See these hosts, after asking all of them, or those of which nothing is on record."""
    app = context.app
    records, claimed = app.on_record()
    asked = list(hosts) if refresh else never_asked(hosts, records)
    if asked:
        failures = look(asked, app.prober, records, lambda: app.store, time.time)
        for failure in failures.values():
            context.say(failure.message)
        if lost := claimed.keys() - app.inventory.hosts.keys():
            _follow_names(context, lost)
        records, claimed = app.on_record()
    seen = views(hosts, records, claimed, time.time(), whole=whole)
    return [view for view in seen if view.known or strays]


def _row(view: HostView) -> tuple[object, ...]:
    usage = view.usage
    return (
        view.host.name,
        view.host.zone if view.known else Shown(None, "(not in the inventory)"),
        "enabled" if view.record.enabled else "disabled",
        view.state,
        usage.servers,
        usage.taken.vcpus,
        usage.total.vcpus,
        memory(usage.taken.memory),
        memory(usage.total.memory),
        memory(usage.taken.disk),
        memory(usage.total.disk),
        Shown(view.pressure, view.pressure or "-"),
        last_seen(view),
        usage.free.vcpus,
        memory(usage.free.memory),
        memory(usage.free.disk),
        usage.foreign_guests,
        dict(view.host.labels),
        view.record.reason,
        view.fault,
    )


def last_seen(view: HostView) -> Shown:
    """Make a cell of when a host last answered: a time for programs, an age for people."""
    seen = view.record.seen
    if seen is None:
        return Shown(None, "never")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seen))
    return Shown(stamp, f"{_age(time.time() - seen)} ago")


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds / length)} {unit}"
    return f"{max(0, int(seconds))} s"


@shower
@click.argument("host", metavar="HOST")
@click.option("--refresh", is_flag=True, help="ask the host now")
def host_show(context: Context, *, host: str, refresh: bool) -> Record:
    """Show all that is known of one host, and which guests there are not ours."""
    from vmctl.cli.host_fields import fields_of

    app = context.app
    found = app.inventory.host(host)

    def view(records: Mapping[str, HostRecord], claimed: Mapping[str, set[str]]) -> HostView:
        seen = views([found], records, claimed, time.time(), whole=True)
        return next(one for one in seen if one.known)

    records, claimed = app.on_record()
    known = view(records, claimed)
    if refresh or known.sample is None or known.sample.facts_at is None:
        failures = look([found], app.prober, records, lambda: app.store, time.time, depth="full")
        for failure in failures.values():
            context.say(failure.message)
            if failure.hint:
                context.say(f"hint: {failure.hint}")
        records, claimed = app.on_record()
        known = view(records, claimed)
    return Record(fields=fields_of(known, claimed.get(host, set()), last_seen(known)))


@action
@click.argument("host", metavar="HOST")
def host_enable(context: Context, *, host: str) -> None:
    """Let new servers be placed on a host again."""
    app = context.app
    app.store.enable(app.inventory.host(host).name, actor=app.actor)


@action
@click.argument("host", metavar="HOST")
def host_disable(context: Context, *, host: str) -> None:
    """Keep new servers off a host; those that are there stay. --reason says why."""
    from vmctl.errors import UsageError

    if not context.options.reason:
        raise UsageError(
            f"disabling {host} needs a reason",
            hint=f'vmctl host disable {host} --reason "why, and who will enable it again"',
        )
    app = context.app
    app.store.disable(app.inventory.host(host).name, context.options.reason, actor=app.actor)
