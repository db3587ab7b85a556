"""What is made on a host: domains, volumes, filters, and what they are made from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from vmctl.domain.agent import AGENT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.domain.build import Build, Volume
    from vmctl.domain.cached import Cached
    from vmctl.domain.console import Screen
    from vmctl.domain.diagnostics import Diagnostics
    from vmctl.domain.host import Host
    from vmctl.domain.machine import FoundVolume, Machine, Offers, PoolPlace, SeenAddress
    from vmctl.domain.network import Network
    from vmctl.domain.spec import GroupUse, ImageUse, Secrets, ServerSpec
    from vmctl.ports.lines import Console


class Hypervisor(Protocol):
    """One host's libvirt, in terms of the state that is wanted; each call may be made again.

    Raises HostError where the host or its libvirt does not answer or refuses.
    """

    def offers(self) -> Offers:
        """Say what machines the host can make; asked once for each connection."""

    def machines(self) -> tuple[Machine, ...]:
        """List every domain with its record, in one call for all of them."""

    def machine(self, uuid: str) -> Machine | None:
        """Find one domain."""

    def ensure_defined(self, uuid: str, xml: str) -> None:
        """Define the domain, or define it anew; NameTaken if another bears its name."""

    def ensure_record(self, uuid: str, record: str) -> None:
        """Have a domain's record say this, whatever else stands in its definition."""

    def ensure_running(self, uuid: str) -> None:
        """Start the domain unless it runs, and see that it does."""

    def ask_to_shut_down(self, uuid: str) -> None:
        """Press the domain's power button; whether the guest obeys is its own matter."""

    def ensure_off(self, uuid: str) -> None:
        """Power the domain off at once, if it is there and not off."""

    def ensure_paused(self, uuid: str) -> None:
        """Have a domain that runs stand still, its memory where it is."""

    def ensure_saved(self, uuid: str, check: Callable[[], None] = ...) -> None:
        """Have a domain's memory saved on its host, and the domain off; its next start goes on.

        Takes as long as its memory takes to write, a save that someone else began included. The
        check is asked meanwhile; when it raises, the save is stopped, and that is raised.
        """

    def stop_saving(self, uuid: str) -> None:
        """Have no memory of a domain being saved, whoever began it: it runs on as it was."""

    def forget_saved(self, uuid: str) -> None:
        """Have no saved memory of a domain that is off: its next start is a boot."""

    def ensure_named(self, uuid: str, name: str) -> None:
        """Have a domain that is off bear this name; NameTaken if another bears it."""

    def ensure_undefined(self, uuid: str) -> None:
        """Take the domain away with its NVRAM, managed save, snapshots and checkpoints."""

    def ensure_autostart(self, uuid: str, *, on: bool) -> None:
        """Say whether the host starts the domain by itself; a domain that is gone is off."""

    def pool(self, name: str) -> PoolPlace:
        """Say where a pool is and what it can hold; RemoteFailed if it is not there or stopped."""

    def volumes(self, pool: str) -> tuple[str, ...]:
        """List the volumes of a pool by name."""

    def volume(self, pool: str, name: str) -> FoundVolume | None:
        """Find a volume, without a refresh of its pool."""

    def ensure_volume(self, pool: str, volume: Volume) -> str:
        """Have such a volume in the pool, made if it is not there, and give its path."""

    def ensure_content(self, pool: str, volume: Volume, content: bytes) -> str:
        """Have a volume with exactly this content, and give its path."""

    def read_volume(self, pool: str, name: str, *, offset: int = 0, length: int = 0) -> bytes:
        """Read a volume; length 0 is to its end."""

    def remove_volume(self, pool: str, name: str) -> None:
        """Take a volume away, if it is there."""

    def log_parts(self, pool: str, name: str, *, moved: bool = False) -> tuple[str, ...]:
        """Name the volumes that a console log is in, the oldest first; none if there is none.

        Full ones are moved aside and called NAME.0, NAME.1 and so on. `moved` says that this has
        just been done, and is worth having the pool read anew.
        """

    def ensure_filter(self, name: str, xml: str) -> None:
        """Have a network filter of that name with these rules."""

    def remove_filter(self, name: str) -> None:
        """Take a network filter away, if it is there."""

    def ensure_reservation(
        self, network: str, *, mac: str, addresses: tuple[str, ...], name: str
    ) -> None:
        """Have a libvirt network's DHCP give these addresses to that MAC, at once and for good.

        Raises AddressTaken where the network has promised or leased one to another card. Of an
        address for which the network does no DHCP, nothing is promised.
        """

    def remove_reservation(self, network: str, mac: str) -> None:
        """Have a libvirt network's DHCP forget that MAC."""

    def spoken_for(self, network: str) -> Mapping[str, str]:
        """Say which addresses a libvirt network's DHCP has leased or promised, and to which MAC.

        Until such a lease ends nobody else is given its address, whatever is reserved; and what is
        promised to another card cannot be reserved. A card that is known by no MAC is named as the
        network names it.
        """

    def seen_addresses(self, uuid: str) -> tuple[SeenAddress, ...]:
        """Say which addresses the domain was seen to have, by lease, agent and neighbour table."""

    def agent(
        self,
        uuid: str,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout: float = AGENT_LIMIT,
    ) -> object:
        """Ask the agent in a machine's guest, and give what it returns; no network is needed.

        Raises RemoteFailed: its reason is one of vmctl.domain.agent's, `refused` where the machine
        does not run, or `absent`. The arguments, which may be secret, are in no error and no log.
        """

    def definition(self, uuid: str, *, live: bool = False) -> str:
        """Give a domain's XML, as it runs or as it will be at its next start.

        One that is off is only the latter. No password is in it.
        """

    def diagnostics(self, uuid: str) -> Diagnostics:
        """Say what the host counts of a domain, since its start."""

    def console(self, uuid: str, *, force: bool = False) -> Console:
        """Attach to a machine's serial console; by force if somebody else has it.

        Raises RemoteFailed: its reason is one of vmctl.domain.console's, `refused` where the
        machine does not run, or `absent`. Its log is written on meanwhile.
        """

    def screen(self, uuid: str) -> Screen:
        """Say where a machine's screen is served by VNC, as the host reaches it.

        Raises RemoteFailed: its reason is NO_SCREEN, `refused` where the machine does not run, or
        `absent`.
        """

    def ensure_screen_password(self, uuid: str, password: str, *, seconds: float) -> None:
        """Have a machine's screen ask for this password, and take it for so many seconds.

        It has at most 8 characters, is in no error and no log, and ends with the machine's run.
        """

    def end_screen_password(self, uuid: str, password: str) -> None:
        """Have a machine's screen take that password no more; another one is left as it is."""


class Hypervisors(Protocol):
    """The hypervisor of each host, connected at its first use."""

    def on(self, host: Host) -> Hypervisor:
        """Give a host's hypervisor; nothing is asked of it yet."""


class BaseImages(Protocol):
    """The base images in the hosts' pools: each once for each pool, whole or not there."""

    def ensure(
        self,
        host: Host,
        pool: str,
        image: ImageUse,
        *,
        peers: tuple[Host, ...] = (),
        tell: Callable[[str], None] = ...,
        check: Callable[[], None] = ...,
    ) -> str:
        """Have a verified base image in a host's pool and give its path; others are waited for.

        It comes from the operator's own bytes, from a peer that has it, or by URL. `check` is
        asked while it waits, and raises what ends that.
        """

    def ready(self, host: Host, pool: str) -> tuple[str, ...]:
        """List the digests of the base images that are whole and verified there."""


class BaseCache(Protocol):
    """What is kept of base images on hosts, and taken away where nothing needs it."""

    def look(self, host: Host) -> tuple[Cached, ...]:
        """List the base images in a host's pools."""

    def prune(self, host: Host, *, spare: Callable[[Cached], bool] = ...) -> tuple[Cached, ...]:
        """Take away what is not used nor to be spared, and give what that was."""


class Renderer(Protocol):
    """Writes what libvirt and a guest read: every value escaped, nothing left out silently."""

    def domain(
        self,
        spec: ServerSpec,
        build: Build,
        *,
        owner: str,
        offers: Offers,
        place: PoolPlace,
        console_password: str | None = None,
        shared: tuple[int, ...] = (),
    ) -> str:
        """Write the domain with its record; the owner is the database's uuid.

        It is bound to the host's `shared` CPUs, if any are named, as far as it has none of its own.
        """

    def seed(
        self,
        spec: ServerSpec,
        build: Build,
        *,
        networks: Mapping[str, Network],
        secrets: Secrets,
    ) -> bytes:
        """Write the seed image that the guest takes its first settings from."""

    def user_data_in(self, seed: bytes) -> bytes:
        """Give the operator's own user data as a seed has it that was made with some."""

    def filter(
        self, name: str, groups: tuple[GroupUse, ...], *, mac: str, addresses: tuple[str, ...]
    ) -> str:
        """Write the network filter of one card."""
