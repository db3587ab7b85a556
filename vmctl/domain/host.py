"""A host as the inventory describes it: how it is reached, and how much of it may be used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from vmctl.domain.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_ZONE = "nova"
"""The availability zone of a host that names none, called as openstack calls it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A libvirt storage pool; pools of one `shared` name are one storage that several hosts see."""

    name: str
    default: bool = False
    shared: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratios:
    """How many times over each resource of a host may be promised."""

    cpu: float = 4.0
    ram: float = 1.0
    disk: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Upper bounds on what may be used of a host, memory and disk in MiB; None is no bound."""

    vcpus: int | None = None
    memory: int | None = None
    disk: int | None = None


DEFAULT_RESERVED = Resources(memory=512)
"""What is kept for the host itself where the inventory does not say, as Nova keeps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host after defaults and groups; the fields bear the names of the inventory's keys.

    None for user, port or a file means that the operator's own ssh configuration decides.
    """

    name: str
    address: str
    user: str | None = None
    port: int | None = None
    identity_file: str | None = None
    ssh_config: str | None = None
    known_hosts: str | None = None
    host_key: tuple[str, ...] = ()
    connection: Literal["ssh", "local"] = "ssh"
    become: Literal["none", "sudo"] = "none"
    libvirt_uri: str | None = None
    virt_type: Literal["kvm", "qemu"] = "kvm"
    zone: str = DEFAULT_ZONE
    groups: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    pools: tuple[Pool, ...] = (Pool(name="default", default=True),)
    allocation_ratios: Ratios = Ratios()
    reserved: Resources = DEFAULT_RESERVED
    capacity: Limits = Limits()
    dedicated_cpus: tuple[int, ...] = ()  # given out one by one; all others are shared
    networks: tuple[str, ...] = ()
    count_stopped: bool = True

    @property
    def default_pool(self) -> Pool:
        """The pool that disks go to when nothing else is asked."""
        for pool in self.pools:
            if pool.default:
                return pool
        return self.pools[0]
