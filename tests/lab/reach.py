"""The lab's hosts as the inventory has them, and an operator's connections to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab.outside import Lab
from vmctl.adapters.host_lease import FlockLeases
from vmctl.adapters.libvirtd import LibvirtConnections
from vmctl.adapters.shells import HostShells
from vmctl.domain.host import Host
from vmctl.errors import VmctlError

EVERY_LOGIN = ["kvm1", "kvm2", "kvm3"]
LIMIT = 3.0
"""Seconds to get in; the product gives 5, and these tests wait for the end of many of them."""


def value(lab: Lab, name: str, /, **changes: Any) -> Host:
    """The host as the lab's own inventory describes it."""
    plan = lab.host(name)
    given: dict[str, Any] = {
        "name": name,
        "address": plan.address,
        "user": plan.login,
        "identity_file": str(lab.plan.key),
        "known_hosts": str(lab.plan.known_hosts),
        "become": "sudo" if plan.login == "admin" else "none",
    }
    if plan.behind:
        given |= {"address": name, "user": None, "ssh_config": str(lab.plan.ssh_config)}
    return Host(**{**given, **changes})


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Shells, leases and libvirt connections of one operator."""

    lab: Lab
    shells: HostShells
    leases: FlockLeases
    libvirt: LibvirtConnections

    def host(self, name: str, /, **changes: Any) -> Host:
        return value(self.lab, name, **changes)

    def run(self, name: str, script: str, **words: Any) -> str:
        return self.shells.shell(self.host(name)).run(script, **words).text


@contextmanager
def operator(lab: Lab, folder: Path, *, limit: float = LIMIT) -> Iterator[Reach]:
    shells = HostShells(connect_limit=limit)
    libvirt = LibvirtConnections(shells, str(folder), ask_limit=LIMIT, open_limit=LIMIT)
    try:
        yield Reach(lab=lab, shells=shells, leases=FlockLeases(shells), libvirt=libvirt)
    finally:
        libvirt.close()
        shells.close()


def ends_within(seconds: float, act: Callable[[], object]) -> VmctlError:
    """The error that a call ends with, which it must do within this time."""
    began = time.monotonic()
    with pytest.raises(VmctlError) as raised:
        act()
    took = time.monotonic() - began
    assert took < seconds, f"took {took:.1f} s: {raised.value}"
    return raised.value
