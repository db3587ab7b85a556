"""Which addresses a domain was seen to have: by lease, by its guest agent, by its neighbours."""

from __future__ import annotations

import ipaddress
import logging
import time
from typing import TYPE_CHECKING

import libvirt

from vmctl.adapters.hypervisor import domains, elements
from vmctl.domain.machine import SeenAddress
from vmctl.errors import HostError, HostUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.adapters.hypervisor.link import Link
    from vmctl.ports import Shell

    Interfaces = Mapping[str, Mapping[str, object]]

log = logging.getLogger(__name__)

NEIGHBOURS = "PATH=$PATH:/usr/sbin:/sbin; ip neigh show"
_NEIGHBOURS_LIMIT = 5.0
_LEFT_ALONE = 30.0
_NOT_SEEN = ("FAILED", "INCOMPLETE", "NOARP")


def seen(link: Link, shell: Shell, uuid: str, silent: dict[str, float]) -> tuple[SeenAddress, ...]:
    """Say which addresses a domain was seen to have; a source that has no answer has seen none.

    Only those of its own cards, and none that mean something on its own links alone. An agent
    that hangs costs a connection: it is marked in `silent`, and left alone for a while.
    """
    domain = domains.find(link, uuid)
    if domain is None:
        return ()
    doing = f"looking at the cards of machine {uuid}"
    xml = link.find(doing, lambda _: domain.XMLDesc(0))
    macs = set() if xml is None else cards(xml)
    if not macs or not link.find(doing, lambda _: domain.isActive()):
        return ()

    def asked(kind: int) -> Callable[[], Interfaces]:
        return lambda: domain.interfaceAddresses(kind, 0)

    lease = _told(link, asked(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE), link.limits.ask)
    agent: list[tuple[str, str]] = []
    if silent.get(uuid, 0) < time.monotonic():
        began = time.monotonic()
        of_agent = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT
        agent = _told(link, asked(of_agent), link.limits.agent)
        if time.monotonic() - began >= link.limits.agent:
            silent[uuid] = time.monotonic() + _LEFT_ALONE
    found = [
        *(SeenAddress(mac=mac, address=address, source="lease") for mac, address in lease),
        *(SeenAddress(mac=mac, address=address, source="agent") for mac, address in agent),
        *(
            SeenAddress(mac=mac, address=address, source="arp")
            for mac, address in _neighbours(shell)
        ),
    ]
    return tuple(dict.fromkeys(one for one in found if one.mac in macs and _counts(one.address)))


def cards(xml: str) -> set[str]:
    """Give the MACs of a domain's cards."""
    found = elements.read(xml).findall("devices/interface/mac")
    return {one.get("address", "").lower() for one in found}


def read_neighbours(text: str) -> list[tuple[str, str]]:
    """Read what `ip neigh` printed into MACs and addresses."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if "lladdr" in words[:-1] and not set(words) & set(_NOT_SEEN):
            found.append((words[words.index("lladdr") + 1].lower(), words[0]))
    return found


def _told(link: Link, question: Callable[[], Interfaces], limit: float) -> list[tuple[str, str]]:
    try:
        interfaces = link.call("asking for addresses", question, limit=limit)
    except HostUnreachable:
        raise
    except HostError as error:
        # No agent, a network that is not libvirt's: it is no failure not to have seen anything.
        log.debug("%s", error.message)
        return []
    return [
        (str(interface.get("hwaddr", "")).lower(), address["addr"])
        for interface in interfaces.values()
        for address in interface.get("addrs") or ()  # type: ignore[attr-defined]
    ]


def _neighbours(shell: Shell) -> list[tuple[str, str]]:
    try:
        done = shell.run(NEIGHBOURS, timeout=_NEIGHBOURS_LIMIT)
    except HostError as error:
        log.debug("%s", error.message)
        return []
    return read_neighbours(done.text)


def _counts(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified)
