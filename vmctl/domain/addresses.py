"""Arithmetic on IP addresses, apart from the values: who only lists hosts need not import it."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_interface,
)
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from vmctl.domain.network import Network

Address = IPv4Address | IPv6Address
Subnet = IPv4Network | IPv6Network


def parse_address(text: str) -> Address:
    """Read one address, or say in a ValueError what is wanted."""
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(f"{text!r} is no IP address") from None
    if isinstance(address, IPv6Address) and address.scope_id:
        raise ValueError(f"{text!r} has a scope, which means something on one machine only")
    return address


def parse_subnet(text: str) -> Subnet:
    """Read `10.0.0.0/24` or `fd00::/64`, or say in a ValueError what is wanted."""
    try:
        interface = ip_interface(text if "/" in text and "%" not in text else "")
    except ValueError:
        raise ValueError(f"{text!r} is no cidr, such as 10.0.0.0/24 or fd00::/64") from None
    subnet = interface.network
    if interface.ip != subnet.network_address:
        raise ValueError(f"{text!r} has bits set beyond its prefix; the network is {subnet}")
    return subnet


def parse_range(text: str) -> tuple[Address, Address]:
    """Read `FIRST-LAST`, one address or a cidr, or say in a ValueError what is wanted."""
    if "/" in text:
        subnet = parse_subnet(text)
        return subnet[0], subnet[-1]
    first_text, dash, last_text = text.partition("-")
    first = parse_address(first_text.strip())
    last = parse_address(last_text.strip()) if dash else first
    if first.version != last.version:
        raise ValueError(f"{text!r} goes from IPv{first.version} to IPv{last.version}")
    if int(last) < int(first):
        raise ValueError(f"{text!r} ends before it begins")
    return first, last


def holds(subnet: Subnet, first: Address, last: Address) -> bool:
    """Whether every address from first to last is one of the subnet's."""
    return subnet.version == first.version and first in subnet and last in subnet


def is_reserved(subnet: Subnet, address: Address) -> bool:
    """Whether the address means the subnet itself, or everyone in it, and so can be nobody's."""
    if subnet.num_addresses <= 2:
        return False
    return address == subnet[0] or (subnet.version == 4 and address == subnet[-1])


def allotable(network: Network) -> Iterator[str]:
    """Every address that may be given to a server on this network, lowest first.

    Left out are gateways, name servers, excluded ranges and the addresses that no machine can
    bear. An IPv6 network has more of them than anyone can list: take what is needed and stop.
    """
    pools = [(parse_address(one.first), parse_address(one.last)) for one in network.allocation_pool]
    barred = [(parse_address(one.first), parse_address(one.last)) for one in network.exclude]
    barred += [(one, one) for one in map(parse_address, (*network.gateway, *network.dns))]
    for subnet in map(parse_subnet, network.cidrs):
        within = (
            [pool for pool in pools if holds(subnet, *pool)] if pools else [(subnet[0], subnet[-1])]
        )
        for first, last in sorted(within, key=_first):
            for address in _between(first, last, barred):
                if not is_reserved(subnet, address):
                    yield str(address)


def _between(
    first: Address, last: Address, barred: Iterable[tuple[Address, Address]]
) -> Iterator[Address]:
    """Count from first to last past the barred ranges, which cost no steps."""
    make = type(first)
    cursor = int(first)
    for start, end in sorted(
        (one for one in barred if one[0].version == first.version), key=_first
    ):
        for number in range(cursor, min(int(start), int(last) + 1)):
            yield make(number)
        cursor = max(cursor, int(end) + 1)
    for number in range(cursor, int(last) + 1):
        yield make(number)


def _first(span: tuple[Address, Address]) -> int:
    return int(span[0])
