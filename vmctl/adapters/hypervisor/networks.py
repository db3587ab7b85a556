"""Network filters, and what a libvirt network's own DHCP promises to whom."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libvirt

from vmctl.adapters.hypervisor import elements
from vmctl.adapters.hypervisor.link import ABSENT
from vmctl.errors import AddressTaken, RemoteFailed

if TYPE_CHECKING:
    from vmctl.adapters.hypervisor.elements import Element
    from vmctl.adapters.hypervisor.link import Link

_OTHER_UUID = re.compile(r"already exists with uuid (?P<uuid>[0-9a-f-]{36})")
_DUID_OF_MAC = "00:03:00:01:"
_HOST_NAME = re.compile(r"[A-Za-z][A-Za-z0-9.-]*")


def ensure_filter(link: Link, name: str, xml: str) -> None:
    """Have a network filter with these rules; one that is there keeps its uuid."""
    doing = f"defining network filter {name}"
    try:
        link.call(doing, lambda: link.connection.nwfilterDefineXML(xml))
    except RemoteFailed as error:
        there = _OTHER_UUID.search(error.message)
        if there is None:
            raise
        same = _with_uuid(xml, there["uuid"])
        link.call(doing, lambda: link.connection.nwfilterDefineXML(same))


def remove_filter(link: Link, name: str) -> None:
    """Take a network filter away, if it is there."""
    doing = f"removing network filter {name}"
    found = link.find(doing, lambda on: on.nwfilterLookupByName(name))
    if found is not None:
        link.attempt(doing, found.undefine, ABSENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One address that a network's DHCP keeps for one card; `index` is its subnet's place."""

    index: int
    ip: str
    mac: str | None = None
    id: str | None = None
    name: str | None = None

    @property
    def xml(self) -> str:
        """The promise as libvirt writes it."""
        told = (("mac", self.mac), ("id", self.id), ("name", self.name), ("ip", self.ip))
        words = (f" {key}={elements.quoteattr(value)}" for key, value in told if value)
        return f"<host{''.join(words)}/>"

    @property
    def holder(self) -> str:
        """Whose it is: a MAC, if it is said or a DUID is made of it, else what is said instead."""
        named = (self.mac or self.id or "").lower().removeprefix(_DUID_OF_MAC)
        return named or self.name or "another"

    def is_for(self, mac: str) -> bool:
        """Whether it is for that card: by IPv4, its MAC is named, by IPv6, a DUID made of it."""
        return self.holder == mac

    def replaces(self, old: Promise) -> bool:
        """Whether libvirt takes this for that one changed: it tells them by their MAC alone."""
        return self.mac is not None and (self.mac, self.index) == (old.mac, old.index)


def ensure_reservation(
    link: Link, network: str, *, mac: str, addresses: tuple[str, ...], name: str
) -> None:
    """Have a network's DHCP give these addresses to a MAC, in what runs and in what is defined.

    AddressTaken where the network has promised or leased one of them to another card.

    An address outside all subnets for which the network does DHCP is left out: nobody would
    give it, and to promise it would start a DHCP where the host's owner wants none. So is all of
    it on a network with no DHCP of its own, such as one that is but a bridge.
    """
    found = _network(link, network)
    if found is None:
        host = link.host.name
        raise RemoteFailed(
            host,
            f"{host}: there is no libvirt network {network}",
            hint=f"on {host}: virsh net-list --all tells which there are",
            reason=ABSENT,
        )
    leased = _leased(link, found, mac.lower())
    for definition in _definitions(link, found):
        wanted = wishes(definition.xml, mac=mac, addresses=addresses, name=name)
        others = [one for one in definition.promises if not one.is_for(mac.lower())]
        holders = {one.ip: one.holder for one in others} | leased
        for ip in (one.ip for one in wanted if one.ip in holders):
            host = link.host.name
            kind = "has leased" if ip in leased else "promises"
            raise AddressTaken(
                f"{host}: network {network} {kind} {ip} to {holders[ip]}",
                hint=f"take another address; on {host}: virsh net-dhcp-leases {network} and"
                f" virsh net-dumpxml {network} tell whose it is",
            )
        definition.change(mac.lower(), wanted)


def spoken_for(link: Link, network: str) -> dict[str, str]:
    """Say which addresses a network's DHCP has leased or promised, and to whom.

    None if the network is gone.
    """
    found = _network(link, network)
    if found is None:
        return {}
    told = [one for each in _definitions(link, found) for one in each.promises]
    return {one.ip: one.holder for one in told if one.ip} | _leased(link, found, "")


def remove_reservation(link: Link, network: str, mac: str) -> None:
    """Have a network's DHCP forget a MAC; a network that is gone has forgotten it."""
    found = _network(link, network)
    if found is None:
        return
    for definition in _definitions(link, found):
        definition.change(mac.lower(), [])


def duid(mac: str) -> str:
    """Give the DHCPv6 id that is made of a card's MAC alone (DUID-LL)."""
    return f"{_DUID_OF_MAC}{mac.lower()}"


def promises(xml: str) -> list[Promise]:
    """List what a network's definition promises, in its order."""
    return [
        Promise(
            index=index,
            ip=_shortest(host.get("ip", "")),
            mac=host.get("mac"),
            id=host.get("id"),
            name=host.get("name"),
        )
        for index, subnet in enumerate(elements.read(xml).findall("ip"))
        for host in subnet.findall("dhcp/host")
    ]


def wishes(xml: str, *, mac: str, addresses: tuple[str, ...], name: str) -> list[Promise]:
    """Say what a network's definition should promise; one address of a kind, the first.

    The name is left out where dnsmasq would not take it, or another card bears it: by the rest
    the card is known all the same.
    """
    root = elements.read(xml)
    bearers = {one.name for one in promises(xml) if not one.is_for(mac.lower())}
    told = name if _HOST_NAME.fullmatch(name) and name not in bearers else None
    wanted: dict[int, Promise] = {}
    for address in addresses:
        ip = ipaddress.ip_address(address)
        for index, subnet in enumerate(root.findall("ip")):
            if subnet.find("dhcp") is None or ip not in _subnet(subnet):
                continue
            by_mac = ip.version == 4
            new = Promise(
                index=index,
                ip=str(ip),
                mac=mac.lower() if by_mac else None,
                id=None if by_mac else duid(mac),
                name=told,
            )
            wanted.setdefault(ip.version, new)
    return list(wanted.values())


def _subnet(element: Element) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    address = element.get("address", "")
    default = "64" if ":" in address else "24"
    size = element.get("prefix") or element.get("netmask") or default
    return ipaddress.ip_network(f"{address}/{size}", strict=False)


def _shortest(address: str) -> str:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def _network(link: Link, name: str) -> libvirt.virNetwork | None:
    return link.find(f"looking for network {name}", lambda on: on.networkLookupByName(name))


def _leased(link: Link, network: libvirt.virNetwork, mac: str) -> dict[str, str]:
    """Give the addresses that are leased to other cards, and to which.

    A guest that was powered off gave nothing back, and dnsmasq gives its address to nobody else
    before the lease has run out, whatever is promised by then.
    """
    doing = f"looking at the leases of network {network.name()}"
    if not link.ask(doing, lambda _: network.isActive()):
        return {}
    leases = link.ask(doing, lambda _: network.DHCPLeases())
    holders = {_shortest(one["ipaddr"]): (one["mac"] or "").lower() for one in leases}
    return {ip: holder for ip, holder in holders.items() if holder and holder != mac}


def _definitions(link: Link, network: libvirt.virNetwork) -> list[_Definition]:
    doing = f"looking at network {network.name()}"
    found = []
    if link.ask(doing, lambda _: network.isActive()):
        live = link.ask(doing, lambda _: network.XMLDesc(0))
        found.append(_Definition(link, network, libvirt.VIR_NETWORK_UPDATE_AFFECT_LIVE, live))
    if link.ask(doing, lambda _: network.isPersistent()):
        inactive = libvirt.VIR_NETWORK_XML_INACTIVE
        config = link.ask(doing, lambda _: network.XMLDesc(inactive))
        found.append(_Definition(link, network, libvirt.VIR_NETWORK_UPDATE_AFFECT_CONFIG, config))
    return found


class _Definition:
    """One of a network's two definitions: what runs, or what it will start from."""

    def __init__(self, link: Link, network: libvirt.virNetwork, flag: int, xml: str) -> None:
        self._link = link
        self._network = network
        self._flag = flag
        self.xml = xml
        self.promises = promises(xml)

    def change(self, mac: str, wanted: list[Promise]) -> None:
        """Have it promise to a card what is wanted and nothing else.

        For every single change of what runs, libvirt writes all its packet filters anew, which
        takes longer than all else here: so one is changed rather than deleted and added.
        """
        added = [one for one in wanted if one not in self.promises]
        changed = [one for one in added if any(one.replaces(old) for old in self.promises)]
        for old in self.promises:
            if old.is_for(mac) and old not in wanted and not any(n.replaces(old) for n in changed):
                self._update("removing", libvirt.VIR_NETWORK_UPDATE_COMMAND_DELETE, old)
        for new in changed:
            self._update("changing", libvirt.VIR_NETWORK_UPDATE_COMMAND_MODIFY, new)
        for new in added:
            if new not in changed:
                self._update("adding", libvirt.VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, new)

    def _update(self, doing: str, command: int, promise: Promise) -> None:
        section = libvirt.VIR_NETWORK_SECTION_IP_DHCP_HOST
        network = self._network
        self._link.call(
            f"{doing} the promise of {promise.ip} on network {network.name()}",
            lambda: network.update(command, section, promise.index, promise.xml, self._flag),
        )


def _with_uuid(xml: str, uuid: str) -> str:
    root = elements.read(xml)
    for old in root.findall("uuid"):
        root.remove(old)
    new = elements.Element("uuid")
    new.text = uuid
    root.insert(0, new)
    return elements.write(root)
