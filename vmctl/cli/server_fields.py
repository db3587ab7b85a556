"""One server, field by field: openstack's names for what it has, and `vmctl:` for the rest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from vmctl.cli.cells import Shown, addresses
from vmctl.cli.server_words import power_cell, stamp
from vmctl.domain.record import ServerState
from vmctl.domain.server_line import NEVER_ASKED, line_of, spec_text, status_of
from vmctl.services.finding import image_of, properties_of, tags_of, zone_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from vmctl.domain.kept import PlacementTrace
    from vmctl.domain.operation import Operation
    from vmctl.domain.record import Attempt, Server
    from vmctl.domain.server_line import HostWord

_MIB_PER_GIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """All that is told of a server."""

    server: Server
    attempts: Sequence[Attempt] = ()
    host: HostWord | None = None
    zones: Mapping[str, str] = field(default_factory=dict)
    operation: Operation | None = None
    groups: Sequence[str] = ()
    trace: PlacementTrace | None = None


def fields_of(story: Story, *, placement: bool = False) -> dict[str, object]:
    """Give every field of a server; one that means nothing here has the value that it would."""
    server = story.server
    line = line_of(server)
    words = {} if server.host is None or story.host is None else {server.host: story.host}
    spec = server.spec
    zone = zone_of(line, story.zones)
    fields: dict[str, object] = {
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-AZ:availability_zone": zone,
        "OS-EXT-SRV-ATTR:host": server.host,
        "OS-EXT-SRV-ATTR:hostname": spec_text(spec, "hostname") or server.name,
        "OS-EXT-SRV-ATTR:hypervisor_hostname": server.host,
        "OS-EXT-SRV-ATTR:instance_name": _plan(story).get("name") or server.name,
        "OS-EXT-SRV-ATTR:kernel_id": "",
        "OS-EXT-SRV-ATTR:launch_index": spec.get("index", 0),
        "OS-EXT-SRV-ATTR:ramdisk_id": "",
        "OS-EXT-SRV-ATTR:reservation_id": server.reservation,
        "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda",
        "OS-EXT-SRV-ATTR:user_data": None,
        "OS-EXT-STS:power_state": power_cell(line.power),
        "OS-EXT-STS:task_state": server.task,
        "OS-EXT-STS:vm_state": line.state,
        "OS-SRV-USG:launched_at": stamp(server.launched),
        "OS-SRV-USG:terminated_at": stamp(server.deleted),
        "accessIPv4": "",
        "accessIPv6": "",
        "addresses": addresses(line.networks, line.sources),
        "config_drive": spec.get("seed") is not None,
        "created": stamp(server.created),
        "description": spec_text(spec, "description"),
        "flavor": _flavor(spec),
        "hostId": _host_id(server),
        "host_status": "" if server.host is None else (story.host or NEVER_ASKED).status,
        "id": server.id,
        "image": _image(image_of(line)),
        "key_name": spec_text(spec, "key_name"),
        "locked": server.locked is not None,
        "locked_reason": server.locked or None,
        "name": server.name,
        "pinned_availability_zone": spec_text(spec, "availability_zone"),
        "progress": 0,
        "project_id": server.project,
        "properties": dict(properties_of(line)),
        "security_groups": _security_groups(story),
        "server_groups": list(story.groups),
        "status": status_of(line, words),
        "tags": tags_of(line),
        "trusted_image_certificates": None,
        "updated": stamp(server.updated),
        "user_id": spec_text(spec, "created_by"),
        "volumes_attached": [],
    }
    if server.state is ServerState.ERROR or (server.deleted is not None and server.fault):
        fault = {"code": 500, "created": stamp(server.updated), "message": server.fault}
        fields["fault"] = Shown(fault, server.fault or "")
    return fields | _ours(story, placement=placement)


def _flavor(spec: Mapping[str, object]) -> dict[str, object]:
    held = spec.get("flavor")
    flavor = held if isinstance(held, dict) else {}
    return {
        "original_name": flavor.get("name"),
        "vcpus": flavor.get("vcpus"),
        "ram": flavor.get("memory"),
        "disk": _gib(flavor.get("disk")),
        "ephemeral": _gib(flavor.get("ephemeral")),
        "swap": flavor.get("swap"),
        "extra_specs": flavor.get("extra_specs", {}),
    }


def _gib(mebibytes: object) -> int | None:
    return mebibytes // _MIB_PER_GIB if isinstance(mebibytes, int) else None


def _image(image: tuple[str | None, str | None]) -> str:
    identity, name = image
    return f"{name} ({identity})" if identity else "N/A (booted from volume)"


def _host_id(server: Server) -> str:
    """Name a host as Nova does to those who are not to know which it is: apart from others."""
    if server.host is None:
        return ""
    return hashlib.sha224(f"{server.project}{server.host}".encode()).hexdigest()


def _security_groups(story: Story) -> list[dict[str, str]]:
    """Give the groups that its cards were given; before there are any, those that were asked."""
    named = dict.fromkeys(name for card in _cards(story) for name in _texts(card, "groups"))
    asked = story.server.spec.get("security_groups")
    if not named and isinstance(asked, list):
        named = dict.fromkeys(map(str, asked))
    return [{"name": name} for name in named]


def _plan(story: Story) -> Mapping[str, object]:
    mine = (one.plan for one in story.attempts if one.number == story.server.attempt)
    return next(mine, {})


def _cards(story: Story) -> list[Mapping[str, object]]:
    """Give the network cards of the attempt that it stands by, as they were planned."""
    cards = _plan(story).get("cards")
    return [card for card in cards if isinstance(card, dict)] if isinstance(cards, list) else []


def _texts(card: Mapping[str, object], key: str) -> list[str]:
    held = card.get(key)
    return [str(one) for one in held] if isinstance(held, list) else []


def _ours(story: Story, *, placement: bool) -> dict[str, object]:
    server = story.server
    cards = _addresses(story)
    fields: dict[str, object] = {
        "vmctl:host": server.host,
        "vmctl:also_on": list(server.also),
        "vmctl:attempts": Shown(
            [
                {
                    "number": one.number,
                    "host": one.host,
                    "state": one.state.value,
                    "fault": one.fault,
                    "created": stamp(one.created),
                }
                for one in story.attempts
            ],
            "\n".join(_attempt(one) for one in story.attempts),
        ),
        "vmctl:addresses": Shown(cards, "\n".join(map(_card_words, cards))),
        "vmctl:enforcement": _enforcement(story),
        "vmctl:last_seen": stamp(server.seen_at),
        "vmctl:protected": server.protected,
        "vmctl:operation": _operation(story.operation),
    }
    if placement:
        trace = story.trace
        known = f"vmctl placement explain {server.name}" if trace else "nothing is on record"
        fields["vmctl:placement"] = Shown(trace.trace if trace else None, known)
    return fields


def _attempt(one: Attempt) -> str:
    fault = f": {one.fault}" if one.fault else ""
    return f"{one.number} on {one.host}, {one.state.value}{fault}"


def _addresses(story: Story) -> list[dict[str, object]]:
    """Say of each card which addresses were planned, and which were seen by whom."""
    server = story.server
    unsure = {card.get("mac") for card in _cards(story) if card.get("probed") is False}
    cards: list[dict[str, object]] = [
        {
            "network": nic.network,
            "mac": nic.mac,
            "planned": list(nic.addresses),
            "observed": [
                {"address": one.address, "source": one.source}
                for one in server.seen
                if one.mac == nic.mac
            ],
            **({"probed": False} if nic.mac in unsure else {}),
        }
        for nic in server.nics
    ]
    own = {nic.mac for nic in server.nics}
    cards += [
        {
            "network": None,
            "mac": one.mac,
            "planned": [],
            "observed": [{"address": one.address, "source": one.source}],
        }
        for one in server.seen
        if one.mac not in own
    ]
    return cards


def _card_words(card: Mapping[str, object]) -> str:
    planned, observed = _list(card["planned"]), _list(card["observed"])
    by: dict[str, list[str]] = {str(address): [] for address in planned}
    for one in observed:
        by.setdefault(one["address"], []).append(one["source"])
    words = []
    for address, sources in by.items():
        said = ["planned"] if address in planned else []
        said.append(f"seen by {', '.join(sources)}" if sources else "never seen")
        words.append(f"{address} {', '.join(said)}")
    if card.get("probed") is False:
        words.append("not probed before")
    return f"{card['network'] or '?'} {card['mac']}: {'; '.join(words) or 'none'}"


def _list(held: object) -> list[Any]:
    return held if isinstance(held, list) else []


def _enforcement(story: Story) -> Shown:
    """Say of each card whether its security groups are enforced on its host."""
    found, words = [], []
    for card in _cards(story):
        groups = _texts(card, "groups")
        word = "no filter"
        if card.get("filter") is not None:
            word = "enforced" if card.get("enforced", True) else "not enforced"
        network = card.get("network")
        found.append({"network": network, "security_groups": groups, "enforcement": word})
        words.append(f"{network}: {word}" + (f" ({', '.join(groups)})" if groups else ""))
    return Shown(found, "\n".join(words))


def _operation(operation: Operation | None) -> Shown:
    """Say what is in the way of the next one, and how to go on."""
    if operation is None:
        return Shown(None, "None")
    hint = f"vmctl operation resume {operation.id}"
    whole = {
        "id": operation.id,
        "kind": operation.kind,
        "state": operation.state.value,
        "owner": operation.owner,
        "fault": operation.fault,
        "started": stamp(operation.started),
        "hint": hint,
    }
    words = [f"{operation.kind} by {operation.owner} is {operation.state.value} ({operation.id})"]
    words += [operation.fault] if operation.fault else []
    words += [f"if its owner is gone: {hint}"]
    return Shown(whole, "\n".join(words))
