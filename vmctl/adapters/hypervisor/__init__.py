"""The hypervisor of a host, over libvirt; the shell does what libvirt cannot."""

from __future__ import annotations

import contextlib
import functools
import threading
from typing import TYPE_CHECKING

from vmctl.adapters.hypervisor import addresses as seen
from vmctl.adapters.hypervisor import (
    agent,
    consoles,
    domains,
    figures,
    logs,
    networks,
    offers,
    power,
    screens,
)
from vmctl.adapters.hypervisor.link import Limits, Link
from vmctl.adapters.hypervisor.volumes import HostPool
from vmctl.domain.agent import AGENT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vmctl.adapters.libvirtd import LibvirtConnections
    from vmctl.domain.build import Volume
    from vmctl.domain.console import Screen
    from vmctl.domain.diagnostics import Diagnostics
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
                link = functools.partial(Link, host, self._connections, self._limits)
                self._made[host.name] = LibvirtHypervisor(link, self._shells.shell(host))
            return self._made[host.name]


class LibvirtHypervisor:
    """One host's libvirt; see the port for what each call means."""

    def __init__(self, link: Callable[[], Link], shell: Shell) -> None:
        self._new_link = link
        self._shell = shell
        self._offers: Offers | None = None
        self._places: dict[str, PoolPlace] = {}
        self._silent: dict[str, float] = {}

    def offers(self) -> Offers:
        """Say what machines the host can make; asked once."""
        if self._offers is None:
            with self._link() as link:
                self._offers = offers.ask(link)
        return self._offers

    def machines(self) -> tuple[Machine, ...]:
        """List every domain with its record."""
        with self._link() as link:
            return domains.machines(link)

    def machine(self, uuid: str) -> Machine | None:
        """Find one domain."""
        with self._link() as link:
            return domains.machine(link, uuid)

    def ensure_defined(self, uuid: str, xml: str) -> None:
        """Define the domain, or define it anew."""
        with self._link() as link:
            domains.ensure_defined(link, uuid, xml)

    def ensure_record(self, uuid: str, record: str) -> None:
        """Have a domain's record say this, whatever else stands in its definition."""
        with self._link() as link:
            domains.ensure_record(link, uuid, record)

    def ensure_running(self, uuid: str) -> None:
        """Start the domain unless it runs, and see that it does."""
        with self._link() as link:
            domains.ensure_running(link, uuid)

    def ask_to_shut_down(self, uuid: str) -> None:
        """Press the domain's power button; whether the guest obeys is its own matter."""
        with self._link() as link:
            domains.ask_to_shut_down(link, uuid)

    def ensure_off(self, uuid: str) -> None:
        """Power the domain off at once, if it is there and not off."""
        with self._link() as link:
            domains.ensure_off(link, uuid)

    def ensure_paused(self, uuid: str) -> None:
        """Have a domain that runs stand still."""
        with self._link() as link:
            power.ensure_paused(link, uuid)

    def ensure_saved(self, uuid: str, check: Callable[[], None] = lambda: None) -> None:
        """Have a domain's memory saved on its host, and the domain off."""
        with self._link() as link:
            power.ensure_saved(link, uuid, check, lambda: self.stop_saving(uuid))

    def stop_saving(self, uuid: str) -> None:
        """Have no memory of a domain being saved."""
        with self._link() as link:
            power.stop_saving(link, uuid)

    def forget_saved(self, uuid: str) -> None:
        """Have no saved memory of a domain that is off."""
        with self._link() as link:
            power.forget_saved(link, uuid)

    def ensure_named(self, uuid: str, name: str) -> None:
        """Have a domain that is off bear this name."""
        with self._link() as link:
            power.ensure_named(link, uuid, name)

    def ensure_undefined(self, uuid: str) -> None:
        """Take the domain away with all that belongs to it; one that runs is powered off first."""
        with self._link() as link:
            domains.ensure_undefined(link, uuid)

    def ensure_autostart(self, uuid: str, *, on: bool) -> None:
        """Say whether the host starts the domain by itself."""
        with self._link() as link:
            domains.ensure_autostart(link, uuid, on=on)

    def pool(self, name: str) -> PoolPlace:
        """Say where a pool is and what it can hold."""
        with self._link() as link:
            return self._look(HostPool(link, name))

    def volumes(self, pool: str) -> tuple[str, ...]:
        """List the volumes of a pool by name."""
        with self._link() as link:
            return HostPool(link, pool).names()

    def volume(self, pool: str, name: str) -> FoundVolume | None:
        """Find a volume, without a refresh of its pool."""
        with self._link() as link:
            return HostPool(link, pool).find(name)

    def ensure_volume(self, pool: str, volume: Volume) -> str:
        """Have such a volume in the pool, made if it is not there, and give its path."""
        with self._link() as link:
            there = HostPool(link, pool)
            return there.ensure(self._place(there), volume)

    def ensure_content(self, pool: str, volume: Volume, content: bytes) -> str:
        """Have a volume with exactly this content, and give its path."""
        with self._link() as link:
            there = HostPool(link, pool)
            return there.ensure_content(self._place(there), volume, content)

    def read_volume(self, pool: str, name: str, *, offset: int = 0, length: int = 0) -> bytes:
        """Read a volume; length 0 is to its end."""
        with self._link() as link:
            return HostPool(link, pool).read(name, offset=offset, length=length)

    def remove_volume(self, pool: str, name: str) -> None:
        """Take a volume away, if it is there."""
        with self._link() as link:
            there = HostPool(link, pool)
            there.remove(self._place(there), name)

    def log_parts(self, pool: str, name: str, *, moved: bool = False) -> tuple[str, ...]:
        """Name the volumes that a console log is in, the oldest first."""
        with self._link() as link:
            return logs.parts(HostPool(link, pool), self._shell, name, moved=moved)

    def ensure_filter(self, name: str, xml: str) -> None:
        """Have a network filter of that name with these rules."""
        with self._link() as link:
            networks.ensure_filter(link, name, xml)

    def remove_filter(self, name: str) -> None:
        """Take a network filter away, if it is there."""
        with self._link() as link:
            networks.remove_filter(link, name)

    def ensure_reservation(
        self, network: str, *, mac: str, addresses: tuple[str, ...], name: str
    ) -> None:
        """Have a libvirt network's DHCP give these addresses to that MAC."""
        with self._link() as link:
            networks.ensure_reservation(link, network, mac=mac, addresses=addresses, name=name)

    def remove_reservation(self, network: str, mac: str) -> None:
        """Have a libvirt network's DHCP forget that MAC."""
        with self._link() as link:
            networks.remove_reservation(link, network, mac)

    def spoken_for(self, network: str) -> Mapping[str, str]:
        """Say which addresses a libvirt network's DHCP has leased or promised, and to whom."""
        with self._link() as link:
            return networks.spoken_for(link, network)

    def seen_addresses(self, uuid: str) -> tuple[SeenAddress, ...]:
        """Say which addresses the domain was seen to have."""
        with self._link() as link:
            return seen.seen(link, self._shell, uuid, self._silent)

    def agent(
        self,
        uuid: str,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout: float = AGENT_LIMIT,
    ) -> object:
        """Ask the agent in a machine's guest."""
        with self._link() as link:
            return agent.ask(link, uuid, command, arguments or {}, timeout=timeout)

    def definition(self, uuid: str, *, live: bool = False) -> str:
        """Give a domain's XML, as it runs or as it will be at its next start."""
        with self._link() as link:
            return figures.definition(link, uuid, live=live)

    def diagnostics(self, uuid: str) -> Diagnostics:
        """Give what the host counts of a domain."""
        with self._link() as link:
            return figures.diagnostics(link, uuid)

    def console(self, uuid: str, *, force: bool = False) -> consoles.StreamConsole:
        """Attach to a machine's serial console; the connection is the console's until its end."""
        link = self._new_link()
        try:
            return consoles.attach(link, uuid, force=force)
        except BaseException:
            link.close()
            raise

    def screen(self, uuid: str) -> Screen:
        """Say where a machine's screen is served, as the host reaches it."""
        with self._link() as link:
            return screens.screen(link, uuid)

    def ensure_screen_password(self, uuid: str, password: str, *, seconds: float) -> None:
        """Have a machine's screen ask for this password, and take it for so many seconds."""
        with self._link() as link:
            screens.set_password(link, self._shell, uuid, password, seconds=seconds)

    def end_screen_password(self, uuid: str, password: str) -> None:
        """Have a machine's screen take that password no more."""
        with self._link() as link:
            screens.end_password(link, uuid, password)

    @contextlib.contextmanager
    def _link(self) -> Iterator[Link]:
        link = self._new_link()
        try:
            yield link
        finally:
            link.close()

    def _place(self, pool: HostPool) -> PoolPlace:
        """Say where a pool is; what it is does not change while a command runs."""
        return self._places.get(pool.name) or self._look(pool)

    def _look(self, pool: HostPool) -> PoolPlace:
        place = self._places[pool.name] = pool.place()
        return place
