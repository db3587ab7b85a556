"""A server as its host has it now: its domain's XML, and what is counted of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

from vmctl.cli.output import Record
from vmctl.cli.server_words import host_of, refuse_off
from vmctl.cli.text import neutral
from vmctl.errors import NotFound, RemoteFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.cli.context import Context
    from vmctl.domain.diagnostics import Diagnostics
    from vmctl.domain.record import Server
    from vmctl.ports import Hypervisor

R = TypeVar("R")


def definition(context: Context, server: Server, *, live: bool) -> str:
    """Give its domain's XML, as it runs if it does and that is wanted, else as it is defined."""
    text = _asked(context, server, lambda on: on.definition(server.id, live=live))
    text = text if text.endswith("\n") else f"{text}\n"
    return neutral(text) if context.screen.tty else text


def diagnosed(context: Context, server: Server) -> Record:
    """Give what its host counts of it, in openstack's fields."""
    refuse_off(context, server)
    found = _asked(context, server, lambda on: on.diagnostics(server.id))
    return Record(fields=_fields(server, found))


def _asked(context: Context, server: Server, question: Callable[[Hypervisor], R]) -> R:
    host = host_of(context, server)
    try:
        return question(context.app.hypervisors.on(host))
    except RemoteFailed as error:
        if error.reason != "absent":
            raise
        raise NotFound(
            f"server {server.name} is not on {host.name}: its domain is gone",
            hint=f"vmctl server show {server.name} --refresh",
        ) from error


def _fields(server: Server, found: Diagnostics) -> dict[str, object]:
    """Name the figures as openstack does; what no libvirt tells is None."""
    return {
        "config_drive": server.spec.get("seed") is not None,
        "cpu_details": [
            {"id": at, "time": spent, "utilisation": None}
            for at, spent in enumerate(found.cpu_times)
        ],
        "disk_details": [
            {
                "read_bytes": disk.read_bytes,
                "read_requests": disk.read_requests,
                "write_bytes": disk.write_bytes,
                "write_requests": disk.write_requests,
                "errors_count": None,
                "vmctl:name": disk.name,
            }
            for disk in found.disks
        ],
        "driver": "libvirt",
        "hypervisor": found.virt_type,
        "hypervisor_os": "linux",
        "memory_details": {"maximum": found.memory, "used": found.memory_used},
        "nic_details": [
            {
                "mac_address": card.mac,
                "rx_octets": card.rx_bytes,
                "rx_packets": card.rx_packets,
                "rx_errors": card.rx_errors,
                "rx_drop": card.rx_dropped,
                "rx_rate": None,
                "tx_octets": card.tx_bytes,
                "tx_packets": card.tx_packets,
                "tx_errors": card.tx_errors,
                "tx_drop": card.tx_dropped,
                "tx_rate": None,
            }
            for card in found.cards
        ],
        "num_cpus": len(found.cpu_times),
        "num_disks": len(found.disks),
        "num_nics": len(found.cards),
        "state": found.power.value,
        "uptime": None if server.launched is None else int(time.time() - server.launched),
    }
