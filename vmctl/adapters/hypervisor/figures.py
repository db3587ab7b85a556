"""A domain as it is and in figures, for people: nothing is decided by what is read here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import libvirt

from vmctl.adapters.hypervisor import domains, elements
from vmctl.adapters.hypervisor.link import ABSENT
from vmctl.domain.diagnostics import CardFigures, Diagnostics, DiskFigures
from vmctl.domain.record import Power
from vmctl.errors import RemoteFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.adapters.hypervisor.link import Link

    Stats = Mapping[str, object]

_ASKED = (
    libvirt.VIR_DOMAIN_STATS_STATE
    | libvirt.VIR_DOMAIN_STATS_VCPU
    | libvirt.VIR_DOMAIN_STATS_BALLOON
    | libvirt.VIR_DOMAIN_STATS_INTERFACE
    | libvirt.VIR_DOMAIN_STATS_BLOCK
)
_KIB_PER_MIB = 1024


def definition(link: Link, uuid: str, *, live: bool) -> str:
    """Give a domain's XML, as it runs or as it is defined; libvirt leaves passwords out of it."""
    domain = _there(link, uuid)
    flags = 0 if live else libvirt.VIR_DOMAIN_XML_INACTIVE
    xml: str = link.ask(f"reading machine {uuid}", lambda _: domain.XMLDesc(flags))
    return xml


def diagnostics(link: Link, uuid: str) -> Diagnostics:
    """Give a domain's figures; one that is off has nearly none."""
    domain = _there(link, uuid)
    doing = f"counting machine {uuid}"
    found = link.ask(doing, lambda on: on.domainListGetStats([domain], _ASKED, 0))
    stats: Stats = found[0][1] if found else {}
    root = elements.read(definition(link, uuid, live=True))
    macs = {
        one.find("target").get("dev"): one.find("mac").get("address", "")  # type: ignore[union-attr] # both are there
        for one in root.findall("devices/interface")
        if one.find("target") is not None and one.find("mac") is not None
    }
    power = domains.POWER.get(_number(stats, "state.state"), Power.UNKNOWN)
    return Diagnostics(
        power=power,
        virt_type=root.get("type", ""),
        cpu_times=tuple(
            _number(stats, f"vcpu.{at}.time")
            for at in range(_number(stats, "vcpu.current"))
            if f"vcpu.{at}.time" in stats and power is not Power.SHUTDOWN
        ),
        memory=_number(stats, "balloon.maximum") // _KIB_PER_MIB,
        memory_used=_number(stats, "balloon.current") // _KIB_PER_MIB,
        disks=tuple(_disk(stats, f"block.{at}") for at in range(_number(stats, "block.count"))),
        cards=tuple(
            _card(stats, f"net.{at}", macs.get(str(stats.get(f"net.{at}.name")), ""))
            for at in range(_number(stats, "net.count"))
        ),
    )


def _there(link: Link, uuid: str) -> libvirt.virDomain:
    domain = domains.find(link, uuid)
    if domain is None:
        name = link.host.name
        raise RemoteFailed(name, f"{name}: machine {uuid} is not defined there", reason=ABSENT)
    return domain


def _disk(stats: Stats, at: str) -> DiskFigures:
    return DiskFigures(
        name=str(stats.get(f"{at}.name", "")),
        read_bytes=_number(stats, f"{at}.rd.bytes"),
        read_requests=_number(stats, f"{at}.rd.reqs"),
        write_bytes=_number(stats, f"{at}.wr.bytes"),
        write_requests=_number(stats, f"{at}.wr.reqs"),
    )


def _card(stats: Stats, at: str, mac: str) -> CardFigures:
    return CardFigures(
        mac=mac,
        rx_bytes=_number(stats, f"{at}.rx.bytes"),
        rx_packets=_number(stats, f"{at}.rx.pkts"),
        rx_errors=_number(stats, f"{at}.rx.errs"),
        rx_dropped=_number(stats, f"{at}.rx.drop"),
        tx_bytes=_number(stats, f"{at}.tx.bytes"),
        tx_packets=_number(stats, f"{at}.tx.pkts"),
        tx_errors=_number(stats, f"{at}.tx.errs"),
        tx_dropped=_number(stats, f"{at}.tx.drop"),
    )


def _number(stats: Stats, key: str) -> int:
    found = stats.get(key, 0)
    return found if isinstance(found, int) else 0
