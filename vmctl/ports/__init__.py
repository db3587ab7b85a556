"""The outside world as the services see it: one Protocol for each port."""

from __future__ import annotations

from collections.abc import Callable

from vmctl.ports.guests import BaseCache, BaseImages, Hypervisor, Hypervisors, Renderer
from vmctl.ports.hosts import (
    Examiner,
    HostLease,
    HostLeases,
    Matter,
    Named,
    Neighbours,
    Prober,
    Shell,
    Shells,
    Stream,
)
from vmctl.ports.lines import Console, Door, Passage, Visit
from vmctl.ports.state import Catalog, Lease, Leases, Store

Clock = Callable[[], float]
"""Says what time it is, in seconds since the epoch."""

__all__ = [
    "BaseCache",
    "BaseImages",
    "Catalog",
    "Clock",
    "Console",
    "Door",
    "Examiner",
    "HostLease",
    "HostLeases",
    "Hypervisor",
    "Hypervisors",
    "Lease",
    "Leases",
    "Matter",
    "Named",
    "Neighbours",
    "Passage",
    "Prober",
    "Renderer",
    "Shell",
    "Shells",
    "Store",
    "Stream",
    "Visit",
]
