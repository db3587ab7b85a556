"""What a lab consists of, as values: names, addresses, logins. Nothing here touches the machine."""

from __future__ import annotations

import dataclasses
import os
import uuid
from pathlib import Path
from typing import Literal

Login = Literal["root", "ops", "admin"]

LOGINS: tuple[Login, ...] = ("root", "ops", "admin")
"""The kinds of login, dealt to the hosts in turn.

root may do everything; ops is a plain user in group libvirt; admin may do nothing but sudo.
"""

CAPACITIES = ((4, "4GiB", "6GiB"), (8, "6GiB", "7GiB"), (2, "3GiB", "4GiB"))
"""vcpus, memory and disk that the inventory grants of each host, dealt in turn."""

MAX_HOSTS = 60
CHECKOUT = Path(__file__).resolve().parents[2]
NAMESPACE = uuid.UUID("5d0f3c1e-2f0b-4a53-9d51-2a4f5b0c6f10")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """One host: how it is called, entered and wired."""

    lab: int
    number: int
    root: Path
    hosts: int

    @property
    def name(self) -> str:
        return f"kvm{self.number}"

    @property
    def login(self) -> Login:
        return LOGINS[(self.number - 1) % len(LOGINS)]

    @property
    def behind(self) -> str | None:
        """The jump host that this one can only be reached through."""
        return "kvm1" if self.number == 3 else None

    @property
    def address(self) -> str:
        """Where its sshd is reached: from the operator, or from its jump host."""
        if self.behind:
            return self.inner_address
        return f"{network(self.lab, 'mgmt')}.{10 + self.number}"

    @property
    def inner_address(self) -> str:
        """Its address on the network between hosts."""
        return f"{network(self.lab, 'inner')}.{10 + self.number}"

    @property
    def netns(self) -> str:
        return f"{prefix(self.lab)}{self.name}"

    @property
    def dir(self) -> Path:
        """Everything of this host that outlives a power cut."""
        return self.root / "hosts" / self.name

    @property
    def uuid(self) -> str:
        return str(uuid.uuid5(NAMESPACE, f"{self.root} {self.name}"))

    @property
    def capacity(self) -> tuple[int, str, str]:
        return CAPACITIES[(self.number - 1) % len(CAPACITIES)]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LabPlan:
    """A whole lab: its place on disk, its number on this machine, its hosts."""

    lab: int
    root: Path
    count: int

    @property
    def hosts(self) -> tuple[HostPlan, ...]:
        return tuple(
            HostPlan(lab=self.lab, number=n, root=self.root, hosts=self.count)
            for n in range(1, self.count + 1)
        )

    @property
    def key(self) -> Path:
        return self.root / "keys" / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        return self.root / "known_hosts"

    @property
    def ssh_config(self) -> Path:
        return self.root / "ssh_config"

    def host(self, name: str) -> HostPlan:
        for host in self.hosts:
            if host.name == name:
                return host
        raise SystemExit(f"no host {name} in this lab; there are {[h.name for h in self.hosts]}")


def prefix(lab: int) -> str:
    """What every namespace and link of a lab begins with, so that none is ever missed."""
    return f"vmlab{lab}-"


def network(lab: int, name: Literal["mgmt", "lan", "inner"]) -> str:
    """The first three numbers of a lab's network.

    198.18.0.0/15 is set aside for benchmarks of network gear: no office or cloud uses it.
    """
    third = 10 * lab + {"mgmt": 0, "lan": 1, "inner": 2}[name]
    return f"198.18.{third}"


def lan_v6(lab: int) -> str:
    """The lab LAN's IPv6 prefix, a /64; no group of it is 0, so that it is spelled in one way."""
    return f"fd18:198:18:{lab + 1:x}::"


NEIGHBOUR = 250
"""The last number of the LAN address of the machine that is not ours."""


def default_root() -> Path:
    """Where the lab of this checkout keeps its files."""
    return Path(os.environ.get("VMCTL_LAB_DIR", CHECKOUT / ".lab"))


def default_cache() -> Path:
    """Where built guest images are kept between labs."""
    return Path(os.environ.get("VMCTL_LAB_CACHE", CHECKOUT / ".lab" / "cache"))
