"""The networks of an inventory: addresses that agree, on hosts that can carry them."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Any

from vmctl.adapters.inventory_keys import NETWORK, NETWORK_ELSEWHERE
from vmctl.adapters.inventory_values import name as read_name
from vmctl.adapters.inventory_yaml import (
    Add,
    Pairs,
    Settings,
    Wrong,
    did_you_mean,
    pairs,
    place,
    quote,
    read_settings,
)
from vmctl.domain.addresses import holds, is_reserved
from vmctl.domain.network import Source

if TYPE_CHECKING:
    from collections.abc import Mapping

    from yaml.nodes import Node

    from vmctl.adapters.inventory_hosts import Member
    from vmctl.domain.addresses import Address, Subnet

Draft = dict[str, tuple[Settings, "Node"]]
"""Networks while they are being read: the settings of each, and where its name stands."""


def read_networks(found: Pairs, add: Add) -> Draft:
    """Give each network's settings, checked as far as they stand alone."""
    networks: Draft = {}
    for key, value in found:
        try:
            name = read_name(key)
            keys = pairs(value, add)
            settings = read_settings(keys, NETWORK, add, NETWORK_ELSEWHERE)
        except Wrong as wrong:
            for node, message in wrong.notes:
                add(node, f"network {quote(key.value)}: {message}")
            continue
        networks[name] = (settings, key)
        if not any(one.value == "source" for one, _ in keys):
            add(key, f"network {name} needs a source: `{{network: NAME}}` or `{{bridge: NAME}}`")
        _check_addresses(name, settings, add)
        _check_vlan(settings, add)
    _check_default(networks, add)
    return networks


def place_networks(
    networks: Draft, members: Mapping[str, Member], groups: Mapping[str, Settings], add: Add
) -> tuple[dict[str, Source], dict[str, list[str]]]:
    """Give each network's source, and for each host the networks it carries."""
    sources = {
        name: _source(settings["source"][0], members, groups, add)
        for name, (settings, _) in networks.items()
        if "source" in settings
    }
    told: set[int] = set()
    carried = {
        member.name: _carried(member, networks, sources, told, add) for member in members.values()
    }
    for name, (settings, _) in networks.items():
        if "arbiter" in settings:
            arbiter, node = settings["arbiter"]
            if arbiter not in members:
                add(node, f"arbiter: no host {arbiter}; {did_you_mean(arbiter, members)}")
            elif name in sources and name not in carried[arbiter]:
                add(node, f"arbiter: the host {arbiter} does not carry the network {name}")
    _check_overlaps(networks, sources, members, carried, add)
    return sources, carried


def plain(name: str, settings: Settings, *, sole: bool, source: Source) -> dict[str, Any]:
    """Give a network as plain data."""
    said = {key: value for key, (value, _) in settings.items()}
    for key in ("cidrs", "gateway", "dns", "search"):
        if key in said:
            said[key] = [str(value) for value, _ in said[key]]
    for key in ("allocation_pool", "exclude"):
        if key in said:
            said[key] = [[str(first), str(last)] for (first, last), _ in said[key]]
    said.setdefault("addressing", "static" if said.get("cidrs") else "dhcp")
    said.setdefault("default", sole)
    if said.get("security_group") == "none":
        said["security_group"] = None
    said["name"] = name
    said["source"] = {
        "kind": source.kind,
        "name": source.name,
        "groups": source.groups,
        "hosts": source.hosts,
    }
    return said


def _values(settings: Settings, key: str) -> tuple[tuple[Any, Node], ...]:
    found: tuple[tuple[Any, Node], ...] = settings[key][0] if key in settings else ()
    return found


def _check_addresses(name: str, settings: Settings, add: Add) -> None:
    subnets: list[tuple[Subnet, Node]] = []
    for subnet, node in _values(settings, "cidrs"):
        for other, _ in subnets:
            if subnet.version == other.version and subnet.overlaps(other):
                add(node, f"cidrs: {subnet} overlaps {other}")
        subnets.append((subnet, node))
    known = [subnet for subnet, _ in subnets]
    cidrs = ", ".join(str(subnet) for subnet in known) or "no cidr"
    served: set[Subnet] = set()
    for gateway, node in _values(settings, "gateway"):
        home = next((one for one in known if holds(one, gateway, gateway)), None)
        if home is None:
            add(node, f"gateway: {gateway} is outside of {cidrs}")
        elif is_reserved(home, gateway):
            add(node, f"gateway: {gateway} is no machine's address in {home}")
        elif home in served:
            add(node, f"gateway: {home} has one already")
        else:
            served.add(home)
    spans: list[tuple[Address, Address]] = []
    for what in ("allocation_pool", "exclude"):
        for (first, last), node in _values(settings, what):
            words = str(first) if first == last else f"{first}-{last}"
            if not any(holds(subnet, first, last) for subnet in known):
                add(node, f"{what}: {words} is outside of {cidrs}")
            elif what == "allocation_pool":
                if any(_overlap(span, (first, last)) for span in spans):
                    add(node, f"{what}: {words} overlaps another range of the pool")
                spans.append((first, last))
    if not known and settings.get("addressing", ("",))[0] == "static":
        add(settings["addressing"][1], f"addressing: static needs the cidrs of {name}")
    if settings.get("mtu", (1500,))[0] < 1280 and any(subnet.version == 6 for subnet in known):
        add(settings["mtu"][1], "mtu: IPv6 needs at least 1280")


def _overlap(one: tuple[Address, Address], other: tuple[Address, Address]) -> bool:
    return one[0].version == other[0].version and (
        int(one[0]) <= int(other[1]) and int(other[0]) <= int(one[1])
    )


def _check_vlan(settings: Settings, add: Add) -> None:
    """Refuse a tag on a Linux bridge: libvirt 9 takes the definition and refuses the start."""
    if "vlan" in settings and "source" in settings and settings["source"][0]["kind"] == "bridge":
        add(
            settings["vlan"][1],
            "vlan: a Linux bridge cannot tag; libvirt would take the definition and refuse the"
            " start. Make a bridge on the VLAN's own interface and name it in `source`",
        )


def _check_default(networks: Draft, add: Add) -> None:
    first = None
    for name, (settings, _) in networks.items():
        if settings.get("default", (False,))[0]:
            if first is not None:
                before, node = first
                add(
                    settings["default"][1],
                    f"default: {name} cannot be it too, {before} is, at {place(node)}",
                )
            else:
                first = (name, settings["default"][1])


def _source(
    said: Mapping[str, Any], members: Mapping[str, Member], groups: Mapping[str, Settings], add: Add
) -> Source:
    by_group, by_host = {}, {}
    for group, carrier, node in said["groups"]:
        if group not in groups:
            add(node, f"source: no group {group}; {did_you_mean(group, groups)}")
        by_group[group] = carrier
    for names, carrier, node in said["hosts"]:
        for host, _ in names:
            if host not in members:
                add(node, f"source: no host {host}; {did_you_mean(host, members)}")
                break
            if host in by_host:
                add(node, f"source: {host} is there already")
                break
            by_host[host] = carrier
    return Source(kind=said["kind"], name=said["name"], groups=by_group, hosts=by_host)


def _carried(
    member: Member, networks: Draft, sources: Mapping[str, Source], told: set[int], add: Add
) -> list[str]:
    """Give the networks that a host lists; without a list, those that have a source on it."""
    if "networks" not in member.settings:
        return [
            name
            for name, source in sources.items()
            if source.name_on(member.name, member.groups) is not None
        ]
    found: list[str] = []
    for name, node in _values(member.settings, "networks"):
        if name not in networks:
            add(node, f"networks: no network {name}; {did_you_mean(name, networks)}")
        elif name in sources and sources[name].name_on(member.name, member.groups) is None:
            at = place(networks[name][1])
            if id(node) not in told:
                told.add(id(node))
                add(node, f"networks: the source of {name} ({at}) names nothing for {member.name}")
        elif name not in found:
            found.append(name)
    return found


def _check_overlaps(
    networks: Draft,
    sources: Mapping[str, Source],
    members: Mapping[str, Member],
    carried: Mapping[str, list[str]],
    add: Add,
) -> None:
    """Two networks may share addresses only where they never share a wire."""
    for one, other in combinations(sources, 2):
        for subnet, _ in _values(networks[one][0], "cidrs"):
            for against, node in _values(networks[other][0], "cidrs"):
                if subnet.version != against.version or not subnet.overlaps(against):
                    continue
                wire = _shared(one, other, sources, members, carried)
                if wire:
                    at = place(networks[one][1])
                    add(
                        node,
                        f"cidrs: {against} overlaps {subnet} of the network {one} ({at}),"
                        f" which is on the same {wire}",
                    )


def _shared(
    one: str,
    other: str,
    sources: Mapping[str, Source],
    members: Mapping[str, Member],
    carried: Mapping[str, list[str]],
) -> str | None:
    first, second = sources[one], sources[other]
    if first.kind != second.kind:
        return None
    if first.name is not None and first.name == second.name:
        return f"{first.kind} {first.name}"
    for member in members.values():
        if one in carried[member.name] and other in carried[member.name]:
            name = first.name_on(member.name, member.groups)
            if name is not None and name == second.name_on(member.name, member.groups):
                return f"{first.kind} {name} of the host {member.name}"
    return None
