"""The hypervisor of a host, over libvirt; the shell does what libvirt cannot."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from vmctl.adapters.hypervisor import addresses as seen
from vmctl.adapters.hypervisor import domains, networks, offers
from vmctl.adapters.hypervisor.link import Limits, Link
from vmctl.adapters.hypervisor.volumes import HostPool

if TYPE_CHECKING:
    import libvirt

    from vmctl.adapters.libvirtd import LibvirtConnections
    from vmctl.domain.build import Volume
    from vmctl.domain.host import Host
    from vmctl.domain.machine import FoundVolume, Machine, Offers, PoolPlace, SeenAddress
    from vmctl.ports import Shell, Shells

__all__ = ["LibvirtHypervisor", "LibvirtHypervisors", "Limits"]


class LibvirtHypervisors:
    """The hypervisor of each host, made once and connected at its first use."""

    def __init__(
        self, connections: LibvirtConnections, shells: Shells, limits: Limits | None = None
    ) -> None:
        self._connections = connections
        self._shells = shells
        self._limits = limits or Limits()
        self._lock = threading.Lock()
        self._made: dict[str, LibvirtHypervisor] = {}

    def on(self, host: Host) -> LibvirtHypervisor:
        """Give a host's hypervisor; nothing is asked of it yet."""
        with self._lock:
            if host.name not in self._made:
                link = Link(host, self._connections, self._limits)
                self._made[host.name] = LibvirtHypervisor(link, self._shells.shell(host))
            return self._made[host.name]


class LibvirtHypervisor:
    """One host's libvirt; see the port for what each call means."""

    def __init__(self, link: Link, shell: Shell) -> None:
        self._link = link
        self._shell = shell
        self._offers: tuple[libvirt.virConnect, Offers] | None = None
        self._places: dict[str, PoolPlace] = {}

    def offers(self) -> Offers:
        """Say what machines the host can make; asked once for each connection."""
        connection = self._link.connection()
        if self._offers is None or self._offers[0] is not connection:
            self._offers = connection, offers.ask(self._link)
        return self._offers[1]

    def machines(self) -> tuple[Machine, ...]:
        """List every domain with its record."""
        return domains.machines(self._link)

    def machine(self, uuid: str) -> Machine | None:
        """Find one domain."""
        return domains.machine(self._link, uuid)

    def ensure_defined(self, uuid: str, xml: str) -> None:
        """Define the domain, or define it anew."""
        domains.ensure_defined(self._link, uuid, xml)

    def ensure_running(self, uuid: str) -> None:
        """Start the domain unless it runs, and see that it does."""
        domains.ensure_running(self._link, uuid)

    def ask_to_shut_down(self, uuid: str) -> None:
        """Press the domain's power button; whether the guest obeys is its own matter."""
        domains.ask_to_shut_down(self._link, uuid)

    def ensure_off(self, uuid: str) -> None:
        """Power the domain off at once, if it is there and not off."""
        domains.ensure_off(self._link, uuid)

    def ensure_undefined(self, uuid: str) -> None:
        """Take the domain away with all that belongs to it; one that runs is powered off first."""
        domains.ensure_undefined(self._link, uuid)

    def ensure_autostart(self, uuid: str, *, on: bool) -> None:
        """Say whether the host starts the domain by itself."""
        domains.ensure_autostart(self._link, uuid, on=on)

    def pool(self, name: str) -> PoolPlace:
        """Say where a pool is and what it can hold."""
        place = HostPool(self._link, name).place()
        self._places[name] = place
        return place

    def volumes(self, pool: str) -> tuple[str, ...]:
        """List the volumes of a pool by name."""
        return HostPool(self._link, pool).names()

    def volume(self, pool: str, name: str) -> FoundVolume | None:
        """Find a volume, without a refresh of its pool."""
        return HostPool(self._link, pool).find(name)

    def ensure_volume(self, pool: str, volume: Volume) -> str:
        """Have such a volume in the pool, made if it is not there, and give its path."""
        return HostPool(self._link, pool).ensure(self._place(pool), volume)

    def ensure_content(self, pool: str, volume: Volume, content: bytes) -> str:
        """Have a volume with exactly this content, and give its path."""
        return HostPool(self._link, pool).ensure_content(self._place(pool), volume, content)

    def read_volume(self, pool: str, name: str, *, offset: int = 0, length: int = 0) -> bytes:
        """Read a volume; length 0 is to its end."""
        return HostPool(self._link, pool).read(name, offset=offset, length=length)

    def remove_volume(self, pool: str, name: str) -> None:
        """Take a volume away, if it is there."""
        HostPool(self._link, pool).remove(name)

    def ensure_filter(self, name: str, xml: str) -> None:
        """Have a network filter of that name with these rules."""
        networks.ensure_filter(self._link, name, xml)

    def remove_filter(self, name: str) -> None:
        """Take a network filter away, if it is there."""
        networks.remove_filter(self._link, name)

    def ensure_reservation(
        self, network: str, *, mac: str, addresses: tuple[str, ...], name: str
    ) -> None:
        """Have a libvirt network's DHCP give these addresses to that MAC."""
        networks.ensure_reservation(self._link, network, mac=mac, addresses=addresses, name=name)

    def remove_reservation(self, network: str, mac: str) -> None:
        """Have a libvirt network's DHCP forget that MAC."""
        networks.remove_reservation(self._link, network, mac)

    def seen_addresses(self, uuid: str) -> tuple[SeenAddress, ...]:
        """Say which addresses the domain was seen to have."""
        return seen.seen(self._link, self._shell, uuid)

    def _place(self, pool: str) -> PoolPlace:
        """Say where a pool is; what it is does not change while a command runs."""
        return self._places.get(pool) or self.pool(pool)
