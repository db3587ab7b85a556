"""Grading a host's networks, and whether security groups hold on their bridges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain import remedies
from vmctl.domain.check import Finding, failure, unknown, well

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.domain.check_facts import Facts
    from vmctl.domain.network import Network
    from vmctl.domain.sample import HostSample


def grade_networks(facts: Facts) -> Iterable[Finding]:
    """Grade each network: the host carries it, by a libvirt network or a bridge that is there."""
    sample = facts.sample
    if sample is None:
        return ()
    if not facts.networks:
        return (unknown("networks", "the inventory names none for this host"),)
    return [_network(facts, sample, network) for network in facts.networks]


def _network(facts: Facts, sample: HostSample, network: Network) -> Finding:
    name = network.source.on(facts.host)
    if name is None or network.name not in facts.host.networks:
        return failure(
            "networks",
            f"{network.name}: the inventory does not give it to this host",
            f"add {network.name} to the networks of {facts.host.name} in the inventory",
            where="here",
        )
    if network.source.kind == "bridge":
        if any(bridge.name == name for bridge in sample.bridges):
            return well("networks", f"{network.name}: bridge {name}")
        user = facts.contact.user or facts.host.user
        remedy = remedies.as_root(f"ip link add {name} type bridge", user)
        remedy += " && " + remedies.as_root(f"ip link set {name} up", user)
        return failure("networks", f"{network.name}: there is no bridge {name}", remedy)
    found = sample.network(name)
    if found is None:
        remedy = remedies.virsh("net-define /usr/share/libvirt/networks/default.xml")
        if name != "default":
            remedy = remedies.virsh("net-list --all")
        return failure("networks", f"{network.name}: libvirt has no network {name}", remedy)
    if not found.active:
        remedy = remedies.virsh("net-start", name)
        return failure(
            "networks", f"{network.name}: libvirt's network {name} is not active", remedy
        )
    if network.vlan is not None and found.told and not found.tags:
        return failure(
            "networks",
            f"{network.name}: libvirt's network {name} cannot tag for the VLAN {network.vlan}",
            f"name a bridge on the VLAN's own interface in the source of {network.name}, without"
            " vlan",
            where="here",
        )
    return well("networks", f"{network.name}: libvirt's network {name}")


def grade_filters(facts: Facts) -> Iterable[Finding]:
    """Grade whether a security group would hold: without br_netfilter all passes, silently."""
    sample = facts.sample
    if sample is None:
        return ()
    guarded = [network for network in facts.networks if network.security_group is not None]
    if not guarded:
        return (unknown("security groups", "no network of this host asks for one"),)
    user = facts.contact.user or facts.host.user
    tried = facts.trial.nwfilter if facts.trial else None
    if tried is not None and tried.fault is not None:
        text = f"libvirt has no packet filters: {tried.fault}"
        return (failure("security groups", text, remedies.start_libvirt(sample, user)),)
    missing = [tool for tool in ("iptables", "ebtables") if tool not in sample.tools]
    if sample.tools and missing:
        text = f"{' and '.join(missing)} not there: libvirt builds its packet filters with them"
        return (failure("security groups", text, remedies.install("filter", sample, user)),)
    return [_filter(facts, sample, network, user) for network in guarded]


def _filter(facts: Facts, sample: HostSample, network: Network, user: str | None) -> Finding:
    name = network.source.on(facts.host)
    if network.source.kind == "network":
        found = sample.network(name) if name else None
        name = found.bridge if found else None
    bridge = next((one for one in sample.bridges if one.name == name), None)
    if bridge is None:
        return unknown("security groups", f"{network.name}: its bridge is not there")
    open_to = []
    if not (sample.bridge_filter or bridge.filtered):
        open_to.append("IPv4")
    if not (sample.bridge_filter6 or bridge.filtered6):
        open_to.append("IPv6")
    if not open_to:
        return well("security groups", f"{network.name}: bridge {bridge.name} is filtered")
    why = "br_netfilter is not loaded" if sample.bridge_filter is None else "bridge-nf-call is 0"
    what = f"{' and '.join(open_to)} on bridge {bridge.name} would pass unfiltered"
    text = f"{network.name}: {what} ({why})"
    return failure("security groups", text, remedies.filter_bridges(user))
