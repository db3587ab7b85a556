"""What a host counts of a machine that runs there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vmctl.domain.record import Power


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFigures:
    """What went through one disk since the machine was started."""

    name: str
    read_bytes: int = 0
    read_requests: int = 0
    write_bytes: int = 0
    write_requests: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFigures:
    """What went through one network card, as the guest sees it: received is what came in."""

    mac: str
    rx_bytes: int = 0
    rx_packets: int = 0
    rx_errors: int = 0
    rx_dropped: int = 0
    tx_bytes: int = 0
    tx_packets: int = 0
    tx_errors: int = 0
    tx_dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnostics:
    """A machine in figures; memory is MiB."""

    power: Power
    virt_type: str  # kvm or qemu
    cpu_times: tuple[int, ...] = ()  # nanoseconds of each vCPU
    memory: int = 0
    memory_used: int = 0  # what of it the guest has by now
    disks: tuple[DiskFigures, ...] = ()
    cards: tuple[CardFigures, ...] = ()
