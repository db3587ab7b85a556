"""A security group's rule from words, as openstack's users write it."""

from __future__ import annotations

from ipaddress import ip_network

from vmctl.domain.spec import RuleUse
from vmctl.errors import UsageError

_PORTED = ("tcp", "udp", "udplite", "sctp")
_PLAIN = ("esp", "ah", "igmp")
_NUMBERS = {
    "1": "icmp", "2": "igmp", "6": "tcp", "17": "udp", "50": "esp", "51": "ah",
    "58": "icmpv6", "132": "sctp", "136": "udplite",
}  # fmt: skip
_ALIASES = {"ipv6-icmp": "icmpv6", "any": None, "all": None, "0": None}
_V4, _V6 = "IPv4", "IPv6"


def read_rule(
    *,
    direction: str = "ingress",
    ethertype: str | None = None,
    protocol: str | None = None,
    ports: str | None = None,
    icmp_type: int | None = None,
    icmp_code: int | None = None,
    remote: str | None = None,
) -> RuleUse:
    """Make a rule of what was said; UsageError for what no host could enforce."""
    family = _family(ethertype)
    network = None
    if remote is not None:
        try:
            network = ip_network(remote, strict=False)
        except ValueError:
            raise UsageError(f"--remote-ip: {remote!r} is no address and no cidr") from None
        found = _V6 if network.version == 6 else _V4
        if family not in (None, found):
            raise UsageError(f"--remote-ip: {remote} is no {family} address")
        family = found
    name = _protocol(protocol)
    if name == "icmpv6" and family == _V4:
        raise UsageError("--protocol icmpv6 is of IPv6, not of IPv4")
    family = family or (_V6 if name == "icmpv6" else _V4)
    if name == "icmp" and family == _V6:
        name = "icmpv6"
    if name == "igmp" and family == _V6:
        raise UsageError("--protocol igmp is of IPv4, not of IPv6")
    first, last = _ports(name, ports)
    if icmp_type is not None or icmp_code is not None:
        first, last = _icmp(name, icmp_type, icmp_code)
    return RuleUse(
        direction=direction,
        ethertype=family,
        protocol=name,
        port_min=first,
        port_max=last,
        remote=str(network) if network is not None and network.prefixlen else None,
    )


def _family(word: str | None) -> str | None:
    if word is None:
        return None
    for family in (_V4, _V6):
        if word.lower() == family.lower():
            return family
    raise UsageError(f"--ethertype: {word!r} is neither IPv4 nor IPv6")


def _protocol(word: str | None) -> str | None:
    if word is None:
        return None
    name = word.lower()
    if name in _ALIASES:
        return _ALIASES[name]
    name = _NUMBERS.get(name, name)
    known = (*_PORTED, "icmp", "icmpv6", *_PLAIN)
    if name not in known:
        raise UsageError(
            f"--protocol: hosts filter no protocol {word!r}", hint=f"any, {', '.join(known)}"
        )
    return name


def _ports(protocol: str | None, ports: str | None) -> tuple[int | None, int | None]:
    if ports is None:
        return None, None
    if protocol not in _PORTED:
        raise UsageError(f"--dst-port needs a --protocol of {', '.join(_PORTED)}")
    first, colon, last = ports.partition(":")
    if not colon:
        last = first
    both = [int(one) if one.isdecimal() and one.isascii() else -1 for one in (first, last)]
    if not 0 <= both[0] <= both[1] <= 65535:
        raise UsageError(f"--dst-port: {ports!r} is no port and no range such as 80:90")
    return both[0], both[1]


def _icmp(protocol: str | None, kind: int | None, code: int | None) -> tuple[int, int | None]:
    if protocol not in ("icmp", "icmpv6"):
        raise UsageError("--icmp-type and --icmp-code need --protocol icmp or icmpv6")
    if kind is None:
        raise UsageError("--icmp-code needs --icmp-type")
    return kind, code
