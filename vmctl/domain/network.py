"""A network as the inventory describes it: its addresses, and what carries it on each host."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read back by its hints
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from vmctl.domain.host import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What carries a network on the hosts: a libvirt network or a Linux bridge, by name.

    A host's own name for it wins over its groups' (the later of them), and they over `name`;
    without any of the three the host does not carry the network.
    """

    kind: Literal["network", "bridge"]
    name: str | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    hosts: Mapping[str, str] = field(default_factory=dict)

    def on(self, host: Host) -> str | None:
        """Give the libvirt network or bridge on this host by name; None where it has none."""
        return self.name_on(host.name, host.groups)

    def name_on(self, host: str, groups: tuple[str, ...]) -> str | None:
        """Give the same for a host of which only its name and groups are known."""
        if host in self.hosts:
            return self.hosts[host]
        for group in reversed(groups):
            if group in self.groups:
                return self.groups[group]
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressRange:
    """The addresses from the first to the last, both included, in their shortest spelling."""

    first: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network that servers can be on; addresses are text in their shortest spelling.

    With no allocation pool, every address of the cidrs may be given out, save the excluded ones
    and the gateways.
    """

    name: str
    source: Source
    cidrs: tuple[str, ...] = ()
    gateway: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    mtu: int | None = None
    allocation_pool: tuple[AddressRange, ...] = ()
    exclude: tuple[AddressRange, ...] = ()
    addressing: Literal["static", "dhcp"] = "dhcp"
    security_group: str | None = "default"
    default: bool = False
    vlan: int | None = None
    spans: bool | None = None  # whether it reaches from host to host; None: as the host's own says
    arbiter: str | None = None
