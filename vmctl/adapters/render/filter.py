"""The network filter of one card: what groups let through, and no other's address as its own.

Where the card's addresses are known, it may use those and no others. Where a DHCP server that
we do not know gives them, only its MAC is held to: libvirt can learn an address by watching,
but forgets it, knows one for each card, and none of IPv6.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from vmctl.errors import VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vmctl.domain.spec import GroupUse, RuleUse

_NUMBERS = {
    "1": "icmp",
    "2": "igmp",
    "6": "tcp",
    "17": "udp",
    "50": "esp",
    "51": "ah",
    "58": "icmpv6",
    "132": "sctp",
    "136": "udplite",
}
_PORTED = ("tcp", "udp", "udplite", "sctp")
_KNOWN = (*_PORTED, "esp", "ah", "igmp", "icmp", "icmpv6", "all")
_PING, _PONG = "128", "129"
_ALIASES = {"any": "all", "ipv6-icmp": "icmpv6", "icmp6": "icmpv6", "0": "all"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One thing that passes, as libvirt says it: an element and its attributes."""

    direction: str  # in or out, as the guest sees it
    element: str
    attributes: Mapping[str, str]


def filter_values(
    name: str, groups: tuple[GroupUse, ...], mac: str, addresses: tuple[str, ...]
) -> dict[str, object]:
    """Give what the filter's template is filled in with."""
    passes: dict[tuple[str, str, tuple[tuple[str, str], ...]], Pass] = {}
    for group in groups:
        for rule in group.rules:
            one = _pass(rule, group.name)
            for each in (one, *_answer(one)):
                passes[each.direction, each.element, tuple(each.attributes.items())] = each
    found = [ip_address(address) for address in addresses]
    return {
        "name": name,
        # libvirt refuses a filter of a known name and another uuid.
        "uuid": str(uuid5(NAMESPACE_URL, f"urn:vmctl:filter:{name}")),
        "mac": mac,
        "known": bool(found),
        "ipv4": [str(one) for one in found if one.version == 4],
        "ipv6": [str(one) for one in found if one.version == 6],
        "open_icmpv6": {one.direction for one in passes.values() if _is_all_icmpv6(one)},
        "passes": list(passes.values()),
    }


def _is_all_icmpv6(one: Pass) -> bool:
    return one.element in ("icmpv6", "all-ipv6") and not one.attributes


def _pass(rule: RuleUse, group: str) -> Pass:
    def refused(why: str) -> VmctlError:
        return VmctlError(
            f"a rule of the security group {group} cannot be enforced: {why}",
            hint=f"vmctl security group show {group}",
        )

    if rule.direction not in ("ingress", "egress"):
        raise refused(f"its direction is {rule.direction!r}")
    if rule.ethertype not in ("IPv4", "IPv6"):
        raise refused(f"its ethertype is {rule.ethertype!r}")
    is_v6 = rule.ethertype == "IPv6"
    protocol = (rule.protocol or "all").lower()
    protocol = _ALIASES.get(protocol) or _NUMBERS.get(protocol) or protocol
    if protocol == "icmp" and is_v6:
        protocol = "icmpv6"
    if protocol not in _KNOWN:
        raise refused(f"libvirt filters no protocol {rule.protocol!r}")
    if (protocol == "icmpv6" and not is_v6) or (protocol == "igmp" and is_v6):
        raise refused(f"{protocol} is no protocol of {rule.ethertype}")
    attributes: dict[str, str] = {}
    if rule.remote is not None:
        try:
            remote = ip_network(rule.remote, strict=False)
        except ValueError as error:
            raise refused(f"its remote is {rule.remote!r}") from error
        if (remote.version == 6) != is_v6:
            raise refused(f"its remote {rule.remote} is no {rule.ethertype} address")
        if remote.prefixlen:
            side = "src" if rule.direction == "ingress" else "dst"
            attributes[f"{side}ipaddr"] = str(remote.network_address)
            attributes[f"{side}ipmask"] = str(remote.prefixlen)
    if rule.port_min is not None or rule.port_max is not None:
        attributes |= _ports(rule, protocol, refused)
    plain = protocol == "icmpv6" or not is_v6
    return Pass(
        direction="in" if rule.direction == "ingress" else "out",
        element=protocol if plain else f"{protocol}-ipv6",
        attributes=attributes,
    )


def _answer(one: Pass) -> Iterator[Pass]:
    """Let the answer to an IPv6 ping through: it is of another type than what passes."""
    if one.element == "icmpv6" and one.attributes.get("type") == _PING:
        there = {
            name.replace("src", "\0").replace("dst", "src").replace("\0", "dst"): value
            for name, value in one.attributes.items()
            if name not in ("type", "code")
        }
        back = "out" if one.direction == "in" else "in"
        yield Pass(direction=back, element="icmpv6", attributes={**there, "type": _PONG})


def _ports(rule: RuleUse, protocol: str, refused: Callable[[str], VmctlError]) -> dict[str, str]:
    first, last = rule.port_min, rule.port_max
    if protocol in ("icmp", "icmpv6"):
        if first is None or not all(0 <= one <= 255 for one in (first, last or 0)):
            raise refused(f"its ICMP type and code are {first} and {last}")
        return {"type": str(first)} | ({} if last is None else {"code": str(last)})
    if protocol not in _PORTED:
        raise refused(f"{protocol} has no ports")
    first = last if first is None else first
    last = first if last is None else last
    if first is None or last is None or not 0 <= first <= last <= 65535:
        raise refused(f"its ports are {first} to {last}")
    return {"dstportstart": str(first), "dstportend": str(last)}
