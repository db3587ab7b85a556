"""The inventory shown as it holds after defaults and groups, in the words of its own files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.cpus import format_cpus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.host import Host, Limits, Pool
    from vmctl.domain.inventory import Inventory
    from vmctl.domain.network import AddressRange, Network, Source
    from vmctl.domain.resources import Resources


def describe_inventory(inventory: Inventory) -> dict[str, object]:
    """Give all that holds, every default said; it reads as an inventory that means the same."""
    groups = [group for host in inventory.hosts.values() for group in host.groups]
    groups += [group for network in inventory.networks.values() for group in network.source.groups]
    return {
        "groups": {group: {} for group in groups},
        "hosts": {name: describe_host(host) for name, host in inventory.hosts.items()},
        "networks": {name: describe_network(one) for name, one in inventory.networks.items()},
        "aggregates": {
            name: {"hosts": list(one.hosts), "metadata": dict(one.metadata)}
            for name, one in inventory.aggregates.items()
        },
        "scheduler": dict(inventory.scheduler),
    }


def describe_host(host: Host) -> dict[str, object]:
    """Give what holds for one host; a key is missing where ssh's configuration or nobody says."""
    return _said(
        {
            "address": host.address,
            "user": host.user,
            "port": host.port,
            "identity_file": host.identity_file,
            "ssh_config": host.ssh_config,
            "known_hosts": host.known_hosts,
            "host_key": list(host.host_key) or None,
            "connection": host.connection,
            "become": host.become,
            "libvirt_uri": host.libvirt_uri,
            "virt_type": host.virt_type,
            "zone": host.zone,
            "groups": list(host.groups),
            "labels": dict(host.labels),
            "pools": [_pool(pool) for pool in host.pools],
            "allocation_ratios": {
                "cpu": host.allocation_ratios.cpu,
                "ram": host.allocation_ratios.ram,
                "disk": host.allocation_ratios.disk,
            },
            "reserved": _amounts(host.reserved),
            "capacity": _amounts(host.capacity),
            "dedicated_cpus": format_cpus(host.dedicated_cpus) or None,
            "networks": list(host.networks),
            "count_stopped": host.count_stopped,
        }
    )


def describe_network(network: Network) -> dict[str, object]:
    """Give what holds for one network."""
    return _said(
        {
            "source": {network.source.kind: _carrier(network.source)},
            "cidrs": list(network.cidrs),
            "gateway": list(network.gateway),
            "dns": list(network.dns),
            "search": list(network.search),
            "mtu": network.mtu,
            "allocation_pool": [_span(one) for one in network.allocation_pool],
            "exclude": [_span(one) for one in network.exclude],
            "addressing": network.addressing,
            "security_group": network.security_group or "none",
            "default": network.default,
            "vlan": network.vlan,
            "spans": network.spans,
            "arbiter": network.arbiter,
        }
    )


def size_text(mebibytes: int) -> str:
    """Say MiB in the largest unit that loses nothing, as an inventory reads it: `4GiB`."""
    unit = "MiB"
    for larger in ("GiB", "TiB", "PiB"):
        if mebibytes == 0 or mebibytes % 1024:
            break
        mebibytes, unit = mebibytes // 1024, larger
    return f"{mebibytes}{unit}"


def _said(values: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in values.items() if value is not None}


def _pool(pool: Pool) -> dict[str, object]:
    return _said({"name": pool.name, "default": pool.default, "shared": pool.shared})


def _amounts(amounts: Resources | Limits) -> dict[str, object]:
    return _said(
        {
            "vcpus": amounts.vcpus,
            "memory": None if amounts.memory is None else size_text(amounts.memory),
            "disk": None if amounts.disk is None else size_text(amounts.disk),
        }
    )


def _carrier(source: Source) -> object:
    if source.name is not None and not source.groups and not source.hosts:
        return source.name
    by_name = {"groups": dict(source.groups), "hosts": dict(source.hosts)}
    return _said({"default": source.name, **by_name})


def _span(span: AddressRange) -> str:
    return span.first if span.first == span.last else f"{span.first}-{span.last}"
