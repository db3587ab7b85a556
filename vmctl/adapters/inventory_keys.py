"""Every key that an inventory may have, and the reader of its value."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from yaml.nodes import MappingNode, Node, SequenceNode

from vmctl.adapters.inventory_ranges import expand
from vmctl.adapters.inventory_values import (
    converted,
    flag,
    matching,
    name,
    number,
    one_of,
    scalar,
    text,
    verbatim,
    whole,
)
from vmctl.adapters.inventory_yaml import Wrong, listing, mapping_of, pairs, quote, unique, words_to
from vmctl.domain.addresses import parse_address, parse_range, parse_subnet
from vmctl.domain.cpus import parse_cpus
from vmctl.domain.resources import parse_size

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.adapters.inventory_yaml import Reader

Names = list[tuple[str, tuple[int, ...]]]
"""Names of hosts, each with the numbers that its ranges gave it."""

_word = matching(r"[A-Za-z0-9_][A-Za-z0-9_./:-]*", "letters, digits and `_./:-`")
_bridge = matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}", "an interface's name, 15 letters at most")
_vcpus = whole(0)


def host_names(node: Node) -> Names:
    """Read a host's name, or a range of them."""
    names = converted(expand)(node)
    for one in (names[0][0], names[-1][0]):
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", one, re.ASCII):
            wanted = "letters, digits, `.`, `_`, `-` and ranges such as [01:20], 63 at most"
            raise Wrong((node, f"the name {quote(one)} must be {wanted}"))
    return names


def file_path(node: Node) -> str:
    """Read a path; a relative one starts where the inventory lies, so that a team shares it."""
    value = text(node)
    try:
        path = Path(value).expanduser()
    except RuntimeError:
        raise Wrong((node, f"{quote(value)} names a home that this machine has not")) from None
    return str(Path(node.start_mark.name).absolute().parent / path)


def pools(node: Node) -> list[dict[str, Any]]:
    """Read storage pools; exactly one of them ends up as the default."""
    found: list[dict[str, Any]] = []
    defaults = []
    for pool, at in listing(_pool)(node):
        if "name" not in pool:
            raise Wrong((at, "a pool needs a name, such as {name: default}"))
        if any(pool["name"] == other["name"] for other in found):
            raise Wrong((at, f"the pool {pool['name']} is there already"))
        if pool.get("default"):
            defaults.append(at)
        found.append(pool)
    if not found:
        raise Wrong((node, "at least one pool is wanted"))
    if len(defaults) > 1:
        raise Wrong((defaults[1], "a second pool is the default; only one can be"))
    if not defaults:
        found[0]["default"] = True
    return found


def cpus(node: Node) -> list[int]:
    """Read CPUs by their numbers: a text such as `2-7,10`, or a list of such."""
    found: set[int] = set()
    for several, at in listing(converted(parse_cpus))(node):
        for one in several:
            if one in found:
                raise Wrong((at, f"the CPU {one} is there already"))
            found.add(one)
    return sorted(found)


def _pool(node: Node) -> dict[str, Any]:
    if isinstance(node, MappingNode):
        return mapping_of(POOL)(node)
    return {"name": name(node)}


def source(node: Node) -> dict[str, Any]:
    """Read what carries a network; the groups and hosts it names keep their nodes."""
    found = mapping_of(SOURCE, {"vlan": "a Linux bridge cannot tag; name the VLAN's own bridge"})(
        node
    )
    if len(found) != 1:
        raise Wrong((node, "either `network: NAME` (libvirt's) or `bridge: NAME` is wanted"))
    [(kind, carrier)] = found.items()
    return {"kind": kind, **carrier}


def _carrier(one: Reader[str]) -> Reader[dict[str, Any]]:
    def read(node: Node) -> dict[str, Any]:
        if not isinstance(node, MappingNode):
            return {"name": one(node), "groups": [], "hosts": []}
        fields = {"default": one, "groups": _by(name, one), "hosts": _by(host_names, one)}
        found = mapping_of(fields)(node)
        return {
            "name": found.get("default"),
            "groups": found.get("groups", []),
            "hosts": found.get("hosts", []),
        }

    return read


def _by(key_reader: Reader[Any], one: Reader[str]) -> Reader[list[tuple[Any, str, Node]]]:
    def read(node: Node) -> list[tuple[Any, str, Node]]:
        notes: list[tuple[Node, str]] = []

        def add(at: Node, message: str) -> None:
            notes.append((at, message))

        found: list[tuple[Any, str, Node]] = []
        for key, value in unique(pairs(node, add), add):
            try:
                found.append((key_reader(key), one(value), key))
            except Wrong as wrong:
                notes += wrong.notes
        if notes:
            raise Wrong(*notes)
        return found

    return read


def filters(node: Node) -> list[str]:
    """Read a list of filters; a single word is as good as a list of one."""
    return [value for value, _ in listing(_word)(node)]


def weighers(node: Node) -> dict[str, float]:
    """Read the weighers and their multipliers; in a plain list each counts once."""
    if isinstance(node, SequenceNode):
        return {value: 1.0 for value, _ in listing(_word)(node)}
    return words_to(number(positive=False), _word)(node)


def _option(node: Node) -> object:
    if isinstance(node, SequenceNode):
        return [value for value, _ in listing(text)(node)]
    return scalar(node)


POOL: Mapping[str, Reader[Any]] = {"name": name, "default": flag, "shared": name}
RATIOS: Mapping[str, Reader[Any]] = dict.fromkeys(("cpu", "ram", "disk"), number(positive=True))
AMOUNTS: Mapping[str, Reader[Any]] = {
    "vcpus": _vcpus,
    "memory": converted(parse_size),
    "disk": converted(parse_size),
}
SOURCE: Mapping[str, Reader[Any]] = {"network": _carrier(name), "bridge": _carrier(_bridge)}

SETTINGS: Mapping[str, Reader[Any]] = {
    "address": matching(r"[A-Za-z0-9_.:{][A-Za-z0-9_.:%{}+ -]*", "a name or an IP address"),
    "user": matching(r"[^\s-]\S*", "a login, without blanks and no dash first"),
    "port": whole(1, 65535),
    "identity_file": file_path,
    "ssh_config": file_path,
    "known_hosts": file_path,
    "host_key": listing(
        matching(r"SHA256:[A-Za-z0-9+/]{43}", "SHA256: and 43 letters, as `ssh-keygen -lf` says")
    ),
    "connection": one_of("ssh", "local"),
    "become": one_of("none", "sudo"),
    "libvirt_uri": matching(r"[a-z][a-z0-9+]*://\S*", "a libvirt URI, such as qemu:///system"),
    "virt_type": one_of("kvm", "qemu"),
    "zone": name,
    "labels": words_to(verbatim, _word),
    "pools": pools,
    "allocation_ratios": mapping_of(RATIOS),
    "reserved": mapping_of(AMOUNTS),
    "capacity": mapping_of(AMOUNTS),
    "dedicated_cpus": cpus,
    "networks": listing(name),
    "count_stopped": flag,
}
"""What `defaults`, a group and a host may say of hosts."""

GROUP: Mapping[str, Reader[Any]] = {"hosts": listing(host_names), **SETTINGS}
HOST: Mapping[str, Reader[Any]] = {"groups": listing(name), **SETTINGS}

NETWORK: Mapping[str, Reader[Any]] = {
    "source": source,
    "cidrs": listing(converted(parse_subnet)),
    "gateway": listing(converted(parse_address)),
    "dns": listing(converted(parse_address)),
    "search": listing(matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", "a domain's name")),
    "mtu": whole(68, 65535),
    "allocation_pool": listing(converted(parse_range)),
    "exclude": listing(converted(parse_range)),
    "addressing": one_of("static", "dhcp"),
    "security_group": name,
    "default": flag,
    "vlan": whole(1, 4094),
    "spans": flag,
    "arbiter": name,
}
AGGREGATE: Mapping[str, Reader[Any]] = {
    "hosts": listing(host_names),
    "metadata": words_to(verbatim, _word),
}
SCHEDULER: Mapping[str, Reader[Any]] = {
    "filters": filters,
    "weighers": weighers,
    "host_subset_size": whole(1),
    "max_attempts": whole(1),
    "tie": one_of("hash", "order"),
    "options": words_to(_option, _word),
}
SECTIONS = ("defaults", "groups", "hosts", "networks", "aggregates", "scheduler")

HOST_ELSEWHERE: Mapping[str, str] = {
    "ansible_host": "write `address`",
    "ansible_port": "write `port`",
    "ansible_user": "write `user`",
    "availability_zone": "write `zone`",
    "cpu_dedicated_set": "write `dedicated_cpus`",
    "cpu_shared_set": "write `dedicated_cpus`: all others are shared",
    "cpu_allocation_ratio": "write `allocation_ratios: {cpu: …}`",
    "disk_allocation_ratio": "write `allocation_ratios: {disk: …}`",
    "ram_allocation_ratio": "write `allocation_ratios: {ram: …}`",
    "ratios": "write `allocation_ratios`",
    "fingerprint": "write `host_key`",
}
"""What to write of a host for keys that people bring along from other tools."""
NETWORK_ELSEWHERE: Mapping[str, str] = {
    "bridge": "write `source: {bridge: …}`",
    "nameservers": "write `dns`",
    "pool": "write `allocation_pool`",
    "subnets": "write `cidrs`",
}
"""The same, of a network."""
