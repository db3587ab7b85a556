"""``vmctl host check``: what is wrong with a host, and what mends it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action
from vmctl.cli.output import Table, render
from vmctl.cli.sheet import Options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmctl.cli.context import Context
    from vmctl.domain.check import Finding
    from vmctl.domain.check_facts import Need
    from vmctl.domain.host import Host
    from vmctl.domain.network import Network

_FORMATS = ("text", "table", "json", "yaml", "csv", "value", "ndjson", "markdown")
_GRADES = {"pass": "pass", "warn": "WARN", "fail": "FAIL", "skip": "skip"}


@action
@click.argument("hosts", metavar="[HOST…]", nargs=-1)
@click.option("--network", metavar="NETWORK", help="whether servers on this network can run there")
@click.option("--flavor", metavar="FLAVOR", help="whether a server of this flavor has room there")
@click.option("--again", is_flag=True, help="try KVM anew, whatever this boot's last try said")
@click.option("--long", is_flag=True, help="tell the steps that passed or were skipped too")
@click.option(
    "-f", "--format", "form", type=click.Choice(_FORMATS), default="text",
    help="output format (text)",
)  # fmt: skip
def host_check(
    context: Context,
    *,
    hosts: tuple[str, ...],
    network: str | None,
    flavor: str | None,
    again: bool,
    long: bool,
    form: str,
) -> int:
    """Check hosts step by step, each fault with the command that mends it.

    Without a name, all of them. Ends with 0 where all is well, 16 where there are warnings, and 1
    where something fails.
    """
    from vmctl.domain.check import exit_code
    from vmctl.services.check import check_hosts

    app = context.app
    inventory = app.inventory
    chosen = [inventory.host(name) for name in dict.fromkeys(hosts)]
    chosen = chosen or list(inventory.hosts.values())
    wanted = inventory.network(network) if network else None
    found = check_hosts(
        chosen,
        inventory.hosts,
        {host.name: _networks(context, host, wanted) for host in chosen},
        _needs(context, chosen, flavor) if flavor else {},
        examiner=app.examiner,
        prober=app.prober,
        store=app.store,
        clock=time.time,
        again=again,
    )
    if form == "text":
        context.write("".join(_told(name, each, long=long) for name, each in found.items()))
    else:
        table = Table(
            columns=("Host", "Step", "Result", "Found", "Remedy", "Where"),
            rows=[
                (name, one.step, one.grade, one.text, one.remedy, one.where if one.remedy else None)
                for name, each in found.items()
                for one in each
            ],
        )
        context.write(render(table, Options(format=form), context.screen))
    return exit_code(finding for each in found.values() for finding in each)


def _networks(context: Context, host: Host, wanted: Network | None) -> tuple[Network, ...]:
    if wanted is not None:
        return (wanted,)
    networks = context.app.inventory.networks
    return tuple(networks[name] for name in host.networks)


def _needs(context: Context, hosts: Sequence[Host], flavor: str) -> dict[str, Need]:
    """Say what the flavor asks of each host, and what is free there as far as that is on record."""
    from vmctl.cli.host import see
    from vmctl.domain.check_facts import Need
    from vmctl.domain.request import RequestSpec
    from vmctl.domain.resources import Resources

    found = context.app.catalog.flavor(flavor)
    needs = {}
    for view in see(context, hosts, refresh=False):
        free = view.usage.free
        known = free.vcpus is not None and free.memory is not None and free.disk is not None
        needs[view.host.name] = Need(
            flavor=found.name,
            resources=RequestSpec(flavor=found.spec).claim,
            free=Resources(
                vcpus=free.vcpus or 0,
                memory=free.memory or 0,
                disk=free.disk or 0,
                dedicated=len(view.usage.dedicated) - len(view.usage.dedicated_taken),
            )
            if known
            else None,
        )
    return needs


def _told(name: str, findings: Sequence[Finding], *, long: bool) -> str:
    """Tell one host's findings as a person wants to read them: what passed is a number."""
    counts: Mapping[str, int] = {
        grade: sum(1 for one in findings if one.grade == grade) for grade in _GRADES
    }
    words = [f"{count} {grade}" for grade, count in counts.items() if count]
    lines = [f"{name}: {', '.join(words)}"]
    for one in findings:
        if one.grade in ("pass", "skip") and not long:
            continue
        lines.append(f"  {_GRADES[one.grade]}  {one.step}: {one.text}")
        if one.remedy:
            where = "" if one.where == "here" else f" on {name}"
            lines.append(f"        mend{where}: {one.remedy}")
    return "\n".join(lines) + "\n"
