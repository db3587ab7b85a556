"""What libvirt's own DHCP leased to a domain's cards, and when it last did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.adapters.hypervisor import elements

if TYPE_CHECKING:
    from collections.abc import Iterator

    import libvirt

    from vmctl.adapters.hypervisor.elements import Element
    from vmctl.adapters.hypervisor.link import Link

DEFAULTS = (3600.0, 86400.0)
"""Seconds for which dnsmasq leases where nothing is said, of IPv4 and, since 2.86, of IPv6."""

_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """One lease; it ends at the host's time `until`, and was given for so many seconds."""

    mac: str
    address: str
    bridge: str | None
    until: float = 0.0  # never, if 0
    seconds: float | None = None  # None where the network does not say

    def renewed(self, now: float) -> float | None:
        """Say when the card was last given it; None where that cannot be told."""
        if not self.until:
            return None
        if self.seconds is not None:
            return self.until - self.seconds
        fitting = (one for one in DEFAULTS if self.until - now <= one)
        seconds = next(fitting, None)
        return None if seconds is None else self.until - seconds


def leases(link: Link, xml: str) -> Iterator[Lease]:
    """Give the leases of a domain's cards on libvirt's networks."""
    cards: dict[str, set[str]] = {}
    for card in elements.read(xml).findall("devices/interface[@type='network']"):
        mac, source = card.find("mac"), card.find("source")
        if mac is not None and source is not None:
            cards.setdefault(source.get("network", ""), set()).add(mac.get("address", "").lower())
    for name, macs in cards.items():
        yield from _on(link, name, macs)


def _on(link: Link, name: str, macs: set[str]) -> Iterator[Lease]:
    doing = f"looking at the leases of network {name}"
    network = link.find(doing, lambda on: on.networkLookupByName(name))
    if network is None:
        return
    mine = [one for one in _leased(link, network, doing) if one["mac"].lower() in macs]
    if not mine:
        return
    root = elements.read(link.ask(doing, lambda _: network.XMLDesc(0)))
    bridge = root.find("bridge")
    for one in mine:
        mac = one["mac"].lower()
        yield Lease(
            mac=mac,
            address=one["ipaddr"],
            bridge=None if bridge is None else bridge.get("name"),
            until=float(one["expirytime"]),
            seconds=said_seconds(root, mac, v6=":" in one["ipaddr"]),
        )


def _leased(link: Link, network: libvirt.virNetwork, doing: str) -> list[dict[str, str]]:
    found = link.ask(doing, lambda _: network.DHCPLeases() if network.isActive() else [])
    return [one for one in found if one["mac"]]


def said_seconds(network: Element, mac: str, *, v6: bool) -> float | None:
    """Say for how long a network's definition has its DHCP lease to a card, if it does."""
    for subnet in network.findall("ip"):
        if (":" in subnet.get("address", "")) != v6:
            continue
        own = [one for one in subnet.findall("dhcp/host") if one.get("mac", "").lower() == mac]
        for each in (*own, *subnet.findall("dhcp/range")):
            lease = each.find("lease")
            if lease is not None:
                return float(lease.get("expiry", "0")) * _UNITS[lease.get("unit", "minutes")]
    return None
