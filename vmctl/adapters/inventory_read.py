"""The files of an inventory made one plain record, or everything that is wrong with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from yaml.nodes import Node, SequenceNode

from vmctl.adapters import inventory_hosts, inventory_networks
from vmctl.adapters.inventory_hosts import Member, known_hosts_of, read_hosts
from vmctl.adapters.inventory_keys import AGGREGATE, SCHEDULER, SECTIONS
from vmctl.adapters.inventory_networks import place_networks, read_networks
from vmctl.adapters.inventory_values import name as read_name
from vmctl.adapters.inventory_yaml import (
    Add,
    Pairs,
    Problems,
    Wrong,
    compose,
    did_you_mean,
    pairs,
    place,
    quote,
    read_settings,
    unique,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

CheckPolicy = Callable[[Mapping[str, object]], list[str]]
"""Says what is wrong with the scheduler's section beyond the types of its values.

A message that begins with `scheduler.KEY` is told where that key's value stands.
"""

_Sections = dict[str, list[tuple[Node, "Node | None"]]]


def read(
    files: Iterable[tuple[str, bytes]], check_policy: CheckPolicy | None = None
) -> dict[str, Any]:
    """Give what the files say as plain data, or raise InventoryError with all that is wrong."""
    problems = Problems()
    sections, keys = _sections(files, problems)
    add = problems.add
    groups = _named(sections["groups"], "group", add)
    members, known_groups = read_hosts(
        _mapped(sections["defaults"]), groups, sections["hosts"], add
    )
    networks = read_networks(_named(sections["networks"], "network", add), add)
    sources, carried = place_networks(networks, members, known_groups, add)
    aggregates = _read_aggregates(_named(sections["aggregates"], "aggregate", add), members, add)
    settings = read_settings(_mapped(sections["scheduler"]), SCHEDULER, add)
    scheduler = {key: value for key, (value, _) in settings.items()}
    if check_policy is not None and "scheduler" in keys:
        for message in check_policy(scheduler):
            key = message.removeprefix("scheduler.").partition(":")[0].partition(".")[0]
            add(settings[key][1] if key in settings else keys["scheduler"], message)
    problems.raise_if_any()
    return {
        "hosts": [
            {**inventory_hosts.plain(member), "networks": carried[name]}
            for name, member in members.items()
        ],
        "networks": [
            inventory_networks.plain(name, settings, sole=len(networks) == 1, source=sources[name])
            for name, (settings, _) in networks.items()
        ],
        "aggregates": aggregates,
        "scheduler": scheduler,
    }


def _sections(
    files: Iterable[tuple[str, bytes]], problems: Problems
) -> tuple[_Sections, dict[str, Node]]:
    """Gather each section's entries from all files; that of a first key stands for the section."""
    sections: _Sections = {section: [] for section in SECTIONS}
    keys: dict[str, Node] = {}
    for file, content in files:
        root = compose(file, content, problems)
        if root is None:
            continue
        try:
            found = unique(pairs(root, problems.add), problems.add)
        except Wrong as wrong:
            for node, message in wrong.notes:
                problems.add(node, message)
            continue
        for key, value in found:
            if key.value not in sections:
                words = f"unknown section {quote(key.value)}; {did_you_mean(key.value, SECTIONS)}"
                problems.add(key, words)
                continue
            keys.setdefault(key.value, key)
            try:
                sections[key.value] += _entries(key.value, value, problems.add)
            except Wrong as wrong:
                for node, message in wrong.notes:
                    problems.add(node, f"{key.value}: {message}")
    return sections, keys


def _entries(section: str, value: Node, add: Add) -> list[tuple[Node, Node | None]]:
    if section == "hosts" and isinstance(value, SequenceNode):
        return [(item, None) for item in value.value]
    return list(pairs(value, add))


def _mapped(entries: list[tuple[Node, Node | None]]) -> Pairs:
    return [(key, value) for key, value in entries if value is not None]  # type: ignore[misc]  # keys that `pairs` gave are scalars


def _named(entries: list[tuple[Node, Node | None]], what: str, add: Add) -> Pairs:
    return unique(_mapped(entries), lambda node, message: add(node, f"{what} {message}"))


def _read_aggregates(found: Pairs, members: Mapping[str, Member], add: Add) -> list[dict[str, Any]]:
    """Read the aggregates; one with an availability zone puts its hosts there."""
    aggregates = []
    said: dict[str, tuple[str, str]] = {}
    for key, value in found:
        try:
            name = read_name(key)
            settings = read_settings(pairs(value, add), AGGREGATE, add)
        except Wrong as wrong:
            for node, message in wrong.notes:
                add(node, f"aggregate {quote(key.value)}: {message}")
            continue
        hosts = list(dict.fromkeys(known_hosts_of(settings, members, f"aggregate {name}", add)))
        metadata, node = settings.get("metadata", ({}, key))
        zone = metadata.get("availability_zone")
        if zone is not None:
            _check_zone_name(zone, node, add)
            for host in hosts:
                _put_in_zone(members[host], zone, (name, key), said, add)
        aggregates.append({"name": name, "hosts": hosts, "metadata": metadata})
    return aggregates


def _check_zone_name(zone: str, node: Node, add: Add) -> None:
    if "," in zone:
        add(node, f"availability_zone: {quote(zone)} must be one zone: no host is in two")


def _put_in_zone(
    member: Member,
    zone: str,
    aggregate: tuple[str, Node],
    said: dict[str, tuple[str, str]],
    add: Add,
) -> None:
    name, key = aggregate
    if member.zone is None:
        member.zone = zone
        said[member.name] = (zone, f"aggregate {name}, {place(key)}")
    elif member.zone != zone:
        before = said.get(member.name) or (member.zone, place(member.settings["zone"][1]))
        add(
            key,
            f"the host {member.name} is in two zones: {zone} (aggregate {name})"
            f" and {before[0]} ({before[1]})",
        )
