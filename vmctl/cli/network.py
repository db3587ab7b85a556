"""``vmctl network …`` and ``vmctl subnet list``: the inventory's networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.command import lister, shower
from vmctl.cli.output import Column, Record, Table

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.network import AddressRange, Network


@lister
@click.option("--name", metavar="NAME", help="only the one of this name")
def network_list(context: Context, *, name: str | None) -> Table:
    """List the networks that servers can be on; a network's id is its name."""
    inventory = context.app.inventory
    return Table(
        columns=(
            "ID",
            "Name",
            "Subnets",
            Column("Status", "long"),
            Column("State", "long"),
            Column("Network Type", "long"),
            Column("Hosts", "long"),
        ),
        rows=[
            (
                one.name,
                one.name,
                list(one.cidrs),
                "ACTIVE",
                "UP",
                _kind(one),
                [host.name for host in inventory.carriers(one)],
            )
            for one in inventory.networks.values()
            if name in (None, one.name)
        ],
    )


@shower
@click.argument("network", metavar="NETWORK")
def network_show(context: Context, *, network: str) -> Record:
    """Show one network."""
    inventory = context.app.inventory
    found = inventory.network(network)
    arbiter = inventory.arbiter(found)
    return Record(
        fields={
            "admin_state_up": True,
            "id": found.name,
            "is_default": found.default,
            "is_vlan_transparent": None,
            "mtu": found.mtu,
            "name": found.name,
            "provider:network_type": _kind(found),
            "provider:physical_network": found.source.name,
            "provider:segmentation_id": found.vlan,
            "shared": True,
            "status": "ACTIVE",
            "subnets": list(found.cidrs),
            "vmctl:addressing": found.addressing,
            "vmctl:allocation_pools": _ranges(found.allocation_pool),
            "vmctl:arbiter": arbiter.name if arbiter else None,
            "vmctl:dns": list(found.dns),
            "vmctl:excluded": _ranges(found.exclude),
            "vmctl:gateway": list(found.gateway),
            "vmctl:hosts": [host.name for host in inventory.carriers(found)],
            "vmctl:search": list(found.search),
            "vmctl:security_group": found.security_group,
            "vmctl:spans": found.spans if found.spans is not None else _is_bridge(found) or None,
        }
    )


@lister
@click.option("--network", metavar="NETWORK", help="only those of this network")
def subnet_list(context: Context, *, network: str | None) -> Table:
    """List the subnets of the networks."""
    inventory = context.app.inventory
    chosen = inventory.networks.values() if network is None else [inventory.network(network)]
    return Table(
        columns=("ID", "Name", "Network", "Subnet"),
        rows=[
            (f"{one.name}:{cidr}", f"{one.name}-{_family(cidr)}", one.name, cidr)
            for one in chosen
            for cidr in one.cidrs
        ],
    )


def _kind(network: Network) -> str:
    if network.vlan is not None:
        return "vlan"
    return "flat" if network.spans or (network.spans is None and _is_bridge(network)) else "local"


def _is_bridge(network: Network) -> bool:
    return network.source.kind == "bridge"


def _family(cidr: str) -> str:
    return "ipv6" if ":" in cidr else "ipv4"


def _ranges(ranges: tuple[AddressRange, ...]) -> list[str]:
    return [one.first if one.first == one.last else f"{one.first}-{one.last}" for one in ranges]
