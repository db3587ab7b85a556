"""The network as a guest is to have it, in the two forms that seeds say it in."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING

from vmctl.errors import NotFound, VmctlError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmctl.domain.build import Build, Card
    from vmctl.domain.network import Network

FIRST_METRIC = 100
"""What routes by DHCP cost on the first card; every further one costs as much more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One card as the guest sets it up; a gateway is named on the first card alone that has one."""

    name: str
    mac: str
    mtu: int | None
    addresses: tuple[str, ...]  # with their prefixes
    dhcp: tuple[int, ...]  # families that it asks by DHCP
    listens: bool | None  # to router advertisements; None: as the guest is used to
    gateways: tuple[tuple[str, bool], ...]  # and whether it is outside the card's own cidrs
    metric: int
    dns: tuple[str, ...]
    search: tuple[str, ...]


def links(build: Build, networks: Mapping[str, Network]) -> tuple[Link, ...]:
    """Say how the guest sets up each of its cards, in their order."""
    routed: set[int] = set()
    return tuple(_link(number, card, networks, routed) for number, card in enumerate(build.cards))


def _link(number: int, card: Card, networks: Mapping[str, Network], routed: set[int]) -> Link:
    network = networks.get(card.network)
    if network is None:
        raise NotFound(f"the network {card.network} of {_named(card)} is not in the inventory")
    cidrs = [ip_network(cidr, strict=False) for cidr in network.cidrs]
    addresses: tuple[str, ...] = ()
    dhcp: tuple[int, ...] = ()
    listens = None
    families: set[int]
    if card.addressing == "static":
        addresses = tuple(_with_prefix(address, cidrs, card) for address in card.addresses)
        families = {ip_address(address).version for address in card.addresses}
    else:
        # An inventory that knows no addresses knows of no IPv6 either.
        families = {cidr.version for cidr in cidrs} or {4}
        dhcp = tuple(sorted(families))
    gateways = [one for one in network.gateway if ip_address(one).version in families]
    if card.addressing == "static":
        # Without a gateway of its own, only a router can tell it the way out.
        listens = 6 in families and not any(ip_address(one).version == 6 for one in gateways)
    elif 6 in families:
        listens = True
    named = []
    for gateway in gateways if card.addressing == "static" else ():
        where = ip_address(gateway)
        if where.version not in routed:
            outside = not where.is_link_local and not any(
                where.version == cidr.version and where in cidr for cidr in cidrs
            )
            named.append((gateway, outside))
            routed.add(where.version)
    if card.addressing != "static":
        told = {ip_address(one).version for one in gateways}
        routed |= told if network.cidrs else families
    return Link(
        name=f"eth{number}",
        mac=card.mac,
        mtu=card.mtu,
        addresses=addresses,
        dhcp=dhcp,
        listens=listens,
        gateways=tuple(named),
        metric=FIRST_METRIC * (number + 1),
        dns=network.dns,
        search=network.search,
    )


def _named(card: Card) -> str:
    """Name a card in an error."""
    return f"the card {card.mac}"


def _with_prefix(address: str, cidrs: list[IPv4Network | IPv6Network], card: Card) -> str:
    where = ip_address(address)
    fitting = [cidr for cidr in cidrs if cidr.version == where.version and where in cidr]
    if not fitting:
        raise VmctlError(
            f"the address {address} of {_named(card)} is in no cidr of its network {card.network}",
            hint=f"vmctl network show {card.network}",
        )
    return f"{address}/{max(cidr.prefixlen for cidr in fitting)}"


def version_2(found: tuple[Link, ...]) -> dict[str, object]:
    """Write links as cloud-init's network configuration of version 2."""
    return {"version": 2, "ethernets": {link.name: dict(_ethernet(link)) for link in found}}


def _ethernet(link: Link) -> Iterator[tuple[str, object]]:
    yield "match", {"macaddress": link.mac}
    for family in (4, 6):
        yield f"dhcp{family}", family in link.dhcp
    if link.dhcp:
        # Copies of one image share the identifier that would be told otherwise.
        yield "dhcp-identifier", "mac"
    if link.metric != FIRST_METRIC:
        for family in link.dhcp:
            yield f"dhcp{family}-overrides", {"route-metric": link.metric}
    if link.listens is not None:
        yield "accept-ra", link.listens
    if link.addresses:
        yield "addresses", list(link.addresses)
    if link.gateways:
        yield "routes", [_route(gateway, outside) for gateway, outside in link.gateways]
    servers = {"addresses": list(link.dns), "search": list(link.search)}
    if any(servers.values()):
        yield "nameservers", {name: value for name, value in servers.items() if value}
    if link.mtu is not None:
        yield "mtu", link.mtu


def _route(gateway: str, outside: bool) -> dict[str, object]:  # noqa: FBT001 - from a pair
    to = "::/0" if ":" in gateway else "0.0.0.0/0"
    return {"to": to, "via": gateway} | ({"on-link": True} if outside else {})


def network_data(found: tuple[Link, ...]) -> dict[str, object]:
    """Write links as the network_data.json of OpenStack."""
    dns = dict.fromkeys(server for link in found for server in link.dns)
    return {
        "links": [
            {
                "id": link.name,
                "type": "phy",
                "ethernet_mac_address": link.mac,
                **({} if link.mtu is None else {"mtu": link.mtu}),
            }
            for link in found
        ],
        "networks": [
            {"id": f"network{number}", **said}
            for number, said in enumerate(one for link in found for one in _networks(link))
        ],
        "services": [{"type": "dns", "address": server} for server in dns],
    }


def _networks(link: Link) -> Iterator[dict[str, object]]:
    # Of a network's services some guests know nothing, and of those above all networks others.
    names: dict[str, object] = {}
    if link.dns:
        names["services"] = [{"type": "dns", "address": server} for server in link.dns]
        names["dns_nameservers"] = list(link.dns)
    if link.search:
        names["dns_search"] = list(link.search)
    for family in link.dhcp:
        yield {"link": link.name, "type": f"ipv{family}_dhcp", **names}
    for address in link.addresses:
        ip, _, prefix = address.partition("/")
        family = 6 if ":" in ip else 4
        whole = "::" if family == 6 else "0.0.0.0"  # noqa: S104 - every address, as a route
        yield {
            "link": link.name,
            "type": f"ipv{family}",
            "ip_address": ip,
            "netmask": str(ip_network(f"{whole}/{prefix}").netmask),
            "routes": [
                {"network": whole, "netmask": whole, "gateway": gateway}
                for gateway, _ in link.gateways
                if (":" in gateway) == (family == 6)
            ],
            **names,
        }
