"""The hosts of an inventory: ranges made names, groups and defaults laid under what each says."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from vmctl.adapters.inventory_keys import GROUP, HOST, HOST_ELSEWHERE, SETTINGS, Names, host_names
from vmctl.adapters.inventory_ranges import fill
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
from vmctl.domain.libvirt_uri import check_libvirt_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from yaml.nodes import Node

_LAYERED = {"labels", "allocation_ratios", "reserved", "capacity"}
"""Mappings, which are laid over each other key by key; all else replaces what was there."""


@dataclass(slots=True, kw_only=True)
class Member:
    """One host while it is being read: its settings still know where they stand."""

    name: str
    node: Node
    numbers: tuple[int, ...]
    groups: tuple[str, ...]
    settings: Settings
    address: str = ""
    zone: str | None = None

    def value(self, key: str, default: Any = None) -> Any:
        """Give what the host's settings say after groups and defaults."""
        return self.settings[key][0] if key in self.settings else default


def read_hosts(
    defaults: Pairs, groups: Pairs, hosts: list[tuple[Node, Node | None]], add: Add
) -> tuple[dict[str, Member], dict[str, Settings]]:
    """Give every host with all that holds for it, and the groups."""
    base = read_settings(defaults, SETTINGS, add, HOST_ELSEWHERE)
    known_groups = _read_groups(groups, add)
    entries = _read_entries(hosts, add)
    names = {name: entry for entry in entries for name, _ in entry.names}
    listed = _listed(known_groups, names, add)
    layers: dict[tuple[str, ...], Settings] = {(): base}
    members: dict[str, Member] = {}
    for entry in entries:
        own_groups = _own_groups(entry, known_groups, add)
        merged: dict[tuple[str, ...], Settings] = {}
        for name, numbers in entry.names:
            if names[name] is not entry or name in members:
                continue
            chosen = tuple(one for one in listed.get(name, ()) if one not in own_groups)
            chosen += own_groups
            if chosen not in merged:
                if chosen not in layers:
                    layers[chosen] = _stack(base, [known_groups[group] for group in chosen])
                merged[chosen] = overlay(layers[chosen], entry.settings)
                _check_zones(name, entry, chosen, known_groups, add)
            members[name] = Member(
                name=name,
                node=entry.node,
                numbers=numbers,
                groups=chosen,
                settings=merged[chosen],
                zone=merged[chosen]["zone"][0] if "zone" in merged[chosen] else None,
            )
    _find_addresses(members.values(), add)
    return members, known_groups


def overlay(under: Settings, over: Settings) -> Settings:
    """Lay settings over others: mappings key by key, all else as a whole."""
    merged = {**under, **over}
    for key in _LAYERED & under.keys() & over.keys():
        merged[key] = ({**under[key][0], **over[key][0]}, over[key][1])
    return merged


def plain(member: Member) -> dict[str, Any]:
    """Give a host as plain data; what nothing was said of is left to the domain's defaults."""
    settings = {key: value for key, (value, _) in member.settings.items()}
    settings.pop("groups", None)
    if "host_key" in settings:
        settings["host_key"] = [value for value, _ in settings["host_key"]]
    if "libvirt_uri" in settings:
        settings["libvirt_uri"] = fill(settings["libvirt_uri"], member.name, member.numbers)
    settings["name"] = member.name
    settings["address"] = member.address
    settings["groups"] = list(member.groups)
    if member.zone is not None:
        settings["zone"] = member.zone
    return settings


@dataclass(slots=True, kw_only=True, eq=False)
class _Entry:
    """One line under `hosts`: the names it stands for and what it says of them."""

    node: Node
    names: Names
    settings: Settings


def _read_groups(found: Pairs, add: Add) -> dict[str, Settings]:
    groups: dict[str, Settings] = {}
    for key, value in found:
        try:
            name = read_name(key)
            groups[name] = read_settings(pairs(value, add), GROUP, add, HOST_ELSEWHERE)
        except Wrong as wrong:
            for node, message in wrong.notes:
                add(node, f"group {quote(key.value)}: {message}")
    return groups


def _read_entries(hosts: list[tuple[Node, Node | None]], add: Add) -> list[_Entry]:
    entries: list[_Entry] = []
    first: dict[str, Node] = {}
    for key, value in hosts:
        try:
            names = host_names(key)
            found = pairs(value, add) if value is not None else []
        except Wrong as wrong:
            for node, message in wrong.notes:
                add(node, message if node is key else f"host {quote(str(key.value))}: {message}")
            continue
        again = [name for name, _ in names if name in first]
        if again:
            more = f" (and {len(again) - 1} more of these)" if len(again) > 1 else ""
            add(key, f"the host {again[0]} is there already, at {place(first[again[0]])}{more}")
        first.update({name: key for name, _ in names if name not in first})
        settings = read_settings(found, HOST, add, HOST_ELSEWHERE)
        fresh = [one for one in names if one[0] not in set(again)] if again else names
        entries.append(_Entry(node=key, names=fresh, settings=settings))
    return entries


def _listed(
    groups: Mapping[str, Settings], names: Mapping[str, object], add: Add
) -> dict[str, tuple[str, ...]]:
    """Give for each host the groups whose own `hosts` name it, in the order of the file."""
    found: dict[str, tuple[str, ...]] = {}
    for group, settings in groups.items():
        for name in known_hosts_of(settings, names, f"group {group}", add):
            if group not in found.get(name, ()):
                found[name] = (*found.get(name, ()), group)
    return found


def known_hosts_of(
    settings: Settings, known: Mapping[str, object], what: str, add: Add
) -> list[str]:
    """Give the hosts that a list names; each item with unknown ones in it is noted once."""
    found = []
    for names, node in settings["hosts"][0] if "hosts" in settings else ():
        unknown = [name for name, _ in names if name not in known]
        if unknown:
            add(node, f"{what}: no host {unknown[0]}; {did_you_mean(unknown[0], known)}")
        found += [name for name, _ in names if name in known]
    return found


def _own_groups(entry: _Entry, known: Mapping[str, Settings], add: Add) -> tuple[str, ...]:
    found: list[str] = []
    for group, node in entry.settings["groups"][0] if "groups" in entry.settings else ():
        if group not in known:
            add(node, f"no group {group}; {did_you_mean(group, known)}")
        elif group not in found:
            found.append(group)
    return tuple(found)


def _stack(base: Settings, layers: Iterable[Settings]) -> Settings:
    for layer in layers:
        base = overlay(base, {key: value for key, value in layer.items() if key != "hosts"})
    return base


def _check_zones(
    name: str, entry: _Entry, chosen: tuple[str, ...], groups: Mapping[str, Settings], add: Add
) -> None:
    """Note a host whose groups put it in two zones, unless it says itself which one it is in."""
    if "zone" in entry.settings:
        return
    said = {group: groups[group]["zone"] for group in chosen if "zone" in groups[group]}
    if len({zone for zone, _ in said.values()}) > 1:
        places = " and ".join(
            f"{zone} (group {group}, {place(node)})" for group, (zone, node) in said.items()
        )
        add(entry.node, f"the host {name} is in two zones: {places}")


def _find_addresses(members: Iterable[Member], add: Add) -> None:
    """Give each host its address, and note machines that bear two names."""
    seen: dict[tuple[Any, ...], Member] = {}
    told: set[int] = set()
    for member in members:
        try:
            member.address = _address(member)
            identities = _identities(member)
        except Wrong as wrong:
            for node, message in wrong.notes:
                add(node, message)
            continue
        for words, *identity in identities:
            other = seen.setdefault(tuple(identity), member)
            if other is member or id(member.node) in told:
                continue
            told.add(id(member.node))
            hint = "; for a range, {n} or {name} must be in it" if member.node is other.node else ""
            where = "" if member.node is other.node else f", at {place(other.node)}"
            add(
                member.node,
                f"{member.name} is the machine {other.name} again{where}: {words}{hint}",
            )


def _address(member: Member) -> str:
    if "address" not in member.settings:
        return member.name
    template, node = member.settings["address"]
    try:
        address = fill(template, member.name, member.numbers)
        if ":" in address or address.replace(".", "").isdecimal():
            address = str(ip_address(address))
    except ValueError as error:
        raise Wrong((node, f"address: {error}")) from None
    if "{" in address or " " in address or "}" in address or "+" in address or len(address) > 253:
        raise Wrong((node, f"address: {quote(address)} is no name and no IP address"))
    return address


def _identities(member: Member) -> list[tuple[Any, ...]]:
    """Give what can be no other machine's: words for it, then the thing itself.

    An alias of ssh's cannot be looked through here; two of them are two machines until a probe
    says otherwise. The same address behind two ssh configurations may well be two machines.
    """
    if "libvirt_uri" in member.settings:
        template, node = member.settings["libvirt_uri"]
        try:
            uri = check_libvirt_uri(fill(template, member.name, member.numbers))
        except ValueError as error:
            raise Wrong((node, f"libvirt_uri: {error}")) from None
        found: list[tuple[Any, ...]] = [(f"libvirt_uri {uri}", "uri", uri)]
    else:
        found = []
    if member.value("connection") == "local":
        return found or [("connection: local", "local")]
    port = member.value("port") or 22
    address = member.address.lower().rstrip(".")
    words = f"{member.address} port {port}"
    return [*found, (words, "ssh", address, port, member.value("ssh_config"))]
