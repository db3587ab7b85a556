"""Which addresses a domain was seen to have: by lease, by its guest agent, by its neighbours.

A lease and an entry of the neighbour table outlive the machine that they were made for, and its
card's MAC is the same after the next start. So they count only if they were renewed or confirmed
since the domain's process began; what was not is asked once more.
"""

from __future__ import annotations

import ipaddress
import logging
import re
import shlex
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import libvirt

from vmctl.adapters.hypervisor import domains, elements
from vmctl.adapters.hypervisor.leases import leases
from vmctl.domain.machine import SeenAddress
from vmctl.errors import HostError, HostUnreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vmctl.adapters.hypervisor.leases import Lease
    from vmctl.adapters.hypervisor.link import Link
    from vmctl.ports import Shell

    Interfaces = Mapping[str, Mapping[str, object]]

log = logging.getLogger(__name__)

# The bracket keeps the line from finding itself among the processes.
_GLANCE = """\
PATH=$PATH:/usr/sbin:/sbin
{asked}
wait
echo now "$(date +%s)"
ps -ww -eo etimes=,args= 2>/dev/null |
    sed -n 's/^ *\\([0-9]\\{{1,\\}}\\) .* -uuid [{first}]{rest} .*/age \\1/p'
ip -s neigh show
"""
_ASK = "(ping -n -q -c 1 -W 1 -I {device} {address} >/dev/null 2>&1 && echo pong {address}) &"
_LIMIT = 5.0
_MOST = 16
_LEFT_ALONE = 30.0
_NOT_SEEN = ("FAILED", "INCOMPLETE", "NOARP", "PERMANENT")
_USED = re.compile(r"used \d+/(\d+)/\d+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An entry of a host's neighbour table, and how many seconds ago it was confirmed."""

    mac: str
    address: str
    device: str = ""
    state: str = ""
    confirmed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Glance:
    """What the host itself says: its time, for how long the domain runs, who is around."""

    now: float | None = None
    age: int | None = None
    neighbours: tuple[Neighbour, ...] = ()
    answered: frozenset[str] = frozenset()

    def saw(self, one: Neighbour) -> bool:
        """Whether the entry is of the machine that runs now."""
        if one.address in self.answered:
            return True
        if self.age is None or one.confirmed is None:
            return one.state == "REACHABLE"
        return one.confirmed < self.age

    def gave(self, one: Lease) -> bool:
        """Whether the lease was given to the machine that runs now."""
        if self.now is None or self.age is None:
            return False
        renewed = one.renewed(self.now)
        return renewed is not None and renewed >= self.now - self.age


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
    if xml is None or not macs or not link.find(doing, lambda _: domain.isActive()):
        return ()
    glance = _glance(shell, uuid)
    given = _given(link, xml)
    found = [
        *(_seen(one.mac, one.address, "lease") for one in given if glance.gave(one)),
        *(_seen(mac, address, "agent") for mac, address in _agent(link, domain, uuid, silent)),
    ]
    stale = [(one.address, one.bridge) for one in given if not glance.gave(one)]
    stale += [
        (one.address, one.device)
        for one in glance.neighbours
        if one.mac in macs and not glance.saw(one)
    ]
    if asked := [(one, device) for one, device in stale if device and _counts(one)]:
        glance = _glance(shell, uuid, asked)
    found += [_seen(one.mac, one.address, "arp") for one in glance.neighbours if glance.saw(one)]
    return tuple(dict.fromkeys(one for one in found if one.mac in macs and _counts(one.address)))


def cards(xml: str) -> set[str]:
    """Give the MACs of a domain's cards."""
    found = elements.read(xml).findall("devices/interface/mac")
    return {one.get("address", "").lower() for one in found}


def read_glance(text: str) -> Glance:
    """Read what the host said; of its neighbours those that were ever reached."""
    numbers: dict[str, int] = {}
    neighbours: list[Neighbour] = []
    answered: set[str] = set()
    for line in text.splitlines():
        words = line.split()
        match words:
            case ["now" | "age" as what, number] if number.isdecimal():
                numbers[what] = int(number)
            case ["pong", address]:
                answered.add(address)
            case [address, "dev", device, "lladdr", mac, *_] if not set(words) & set(_NOT_SEEN):
                used = _USED.search(line)
                neighbours.append(
                    Neighbour(
                        mac=mac.lower(),
                        address=address,
                        device=device,
                        state=words[-1],
                        confirmed=int(used[1]) if used else None,
                    )
                )
    return Glance(
        now=numbers.get("now"),
        age=numbers.get("age"),
        neighbours=tuple(neighbours),
        answered=frozenset(answered),
    )


def _glance(shell: Shell, uuid: str, asked: Iterable[tuple[str, str]] = ()) -> Glance:
    """Look at the host's side, after having asked for these addresses, each by its device."""
    lines = [
        _ASK.format(device=shlex.quote(device), address=shlex.quote(address))
        for address, device in [*dict.fromkeys(asked)][:_MOST]
    ]
    script = _GLANCE.format(asked="\n".join(lines), first=uuid[0], rest=uuid[1:])
    try:
        return read_glance(shell.run(script, timeout=_LIMIT).text)
    except HostError as error:
        log.debug("%s", error.message)
        return Glance()


def _given(link: Link, xml: str) -> list[Lease]:
    try:
        return list(leases(link, xml))
    except HostUnreachable:
        raise
    except HostError as error:
        log.debug("%s", error.message)
        return []


def _agent(
    link: Link, domain: libvirt.virDomain, uuid: str, silent: dict[str, float]
) -> list[tuple[str, str]]:
    if silent.get(uuid, 0) >= time.monotonic():
        return []
    began = time.monotonic()
    source = libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT
    told = _told(link, lambda: domain.interfaceAddresses(source, 0), link.limits.agent)
    if time.monotonic() - began >= link.limits.agent:
        silent[uuid] = time.monotonic() + _LEFT_ALONE
    return told


def _told(link: Link, question: Callable[[], Interfaces], limit: float) -> list[tuple[str, str]]:
    try:
        interfaces = link.call("asking for addresses", question, limit=limit)
    except HostUnreachable:
        raise
    except HostError as error:
        # No agent: it is no failure not to have seen anything.
        log.debug("%s", error.message)
        return []
    return [
        (str(interface.get("hwaddr", "")).lower(), address["addr"])
        for interface in interfaces.values()
        for address in interface.get("addrs") or ()  # type: ignore[attr-defined]
    ]


def _seen(mac: str, address: str, source: str) -> SeenAddress:
    return SeenAddress(mac=mac, address=address, source=source)


def _counts(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified)
