"""The composition root: the only module that knows every adapter."""

from __future__ import annotations

import os
import time
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from vmctl.adapters.base_images import HostBaseImages
    from vmctl.adapters.base_prune import BasePruner
    from vmctl.adapters.guest_entry import GuestWay
    from vmctl.adapters.hostkeys import Key
    from vmctl.adapters.kept_images import KeptImages, Progress
    from vmctl.adapters.libvirtd import LibvirtConnections
    from vmctl.adapters.location import Location
    from vmctl.adapters.render import TemplateRenderer
    from vmctl.adapters.shells import HostShells
    from vmctl.adapters.store import SqlStore
    from vmctl.adapters.store.catalog import Catalog
    from vmctl.adapters.trust import Seen
    from vmctl.config import Config
    from vmctl.domain.catalog import Image
    from vmctl.domain.fleet_record import FleetRecord
    from vmctl.domain.host import Host
    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.inventory import Inventory
    from vmctl.domain.operation import Actor
    from vmctl.domain.server_line import HostWord, ServerLine
    from vmctl.ports import Examiner, Hypervisors, Leases, Neighbours, Prober
    from vmctl.sagas.work import World
    from vmctl.services.claiming import Claims
    from vmctl.services.recovery import Recovery

URLS_AT_ONCE = 2
"""So many hosts fetch one URL at a time; the others take it from them."""


class App:
    """What a command may ask of the outside, each part built when it is first asked for.

    Adapters are imported inside the properties that build them: a command that lists from the
    record must not pay for libvirt.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._ends: list[Callable[[], None]] = []

    def close(self) -> None:
        """Give back what was opened; the frame calls it at the end of every run."""
        while self._ends:
            self._ends.pop()()

    @cached_property
    def inventory(self) -> Inventory:
        """The hosts and networks that the operators wrote down."""
        from vmctl.adapters.inventory import load_inventory

        return load_inventory(self.inventory_path, self.config.cache_folder, check_policy)

    @property
    def inventory_path(self) -> str:
        """The file or folder that the inventory is read from."""
        if self.config.inventory is None:
            from vmctl.errors import UsageError

            raise UsageError(
                f"no inventory: there is no ./inventory.yaml and no {self.config.own_inventory}",
                hint="vmctl init writes a first one; --inventory or VMCTL_INVENTORY names another",
            )
        return self.config.inventory

    def check_inventory(self) -> Inventory:
        """Read the inventory anew, never from what was kept of an earlier reading."""
        from vmctl.adapters.inventory import check_inventory

        return check_inventory(self.inventory_path, check_policy)

    def init_inventory(self, path: str | None) -> tuple[str, str]:
        """Write a first inventory, to the operator's own folder if no path is given.

        Returns where it is and what stands in it.
        """
        from vmctl.adapters.inventory_init import init_inventory

        where = path or self.config.own_inventory
        return where, init_inventory(where)

    @property
    def location(self) -> Location:
        """Where the database is."""
        from vmctl.adapters.location import parse_location

        return parse_location(self.config.db)

    @cached_property
    def store(self) -> SqlStore:
        """The operators' record, made on first use."""
        return self._open_store(any_version=False)

    @cached_property
    def store_of_any_version(self) -> SqlStore:
        """The same where an older version will do: to tell it, to upgrade it, to copy it."""
        return self._open_store(any_version=True)

    @cached_property
    def catalog(self) -> Catalog:
        """The flavors, images, server groups and quotas on record."""
        from vmctl.adapters.store.catalog import Catalog

        return Catalog(self.store)

    def fleet_record(self) -> FleetRecord:
        """Read what placing goes by, at one moment."""
        from vmctl.adapters.store.picture import fleet_record

        return fleet_record(self.store)

    def _open_store(self, *, any_version: bool) -> SqlStore:
        from vmctl.adapters.store import open_store

        store = open_store(self.location, any_version=any_version)
        self._ends.append(store.close)
        return store

    @property
    def latest_version(self) -> int:
        """The version of the tables that this vmctl works with."""
        from vmctl.adapters.migrations import MIGRATIONS

        return len(MIGRATIONS)

    def restore(self, file: Path) -> Path | None:
        """Put a backup in the place of the database and say where the replaced one is kept."""
        from vmctl.adapters.store import restore

        return restore(self.location, file)

    def on_record(self) -> tuple[dict[str, HostRecord], dict[str, set[str]]]:
        """Read the record of every host, and which servers hold claims on it.

        The quick way, where there is one.
        """
        from vmctl.adapters.on_record import hosts

        return hosts(self.location, lambda: self.store)

    def server_lines(
        self, *, deleted: bool = False, whole: bool = True
    ) -> tuple[list[ServerLine], dict[str, HostWord]]:
        """Read every server as lists tell of it, and what is known of every host."""
        from vmctl.adapters.on_record import servers

        known = None if self.config.inventory is None else self.host_names()
        return servers(self.location, lambda: self.store, known=known, deleted=deleted, whole=whole)

    def host_names(self) -> frozenset[str]:
        """Name the hosts of the inventory, without making anything of them."""
        from vmctl.adapters.inventory import known_names

        folder = self.config.cache_folder
        return frozenset(known_names(self.inventory_path, folder, "hosts", check_policy))

    @cached_property
    def shells(self) -> HostShells:
        """The shells of the hosts, each connected at its first use."""
        from vmctl.adapters.shells import HostShells

        shells = HostShells(cache_folder=self.config.cache_folder)
        self._ends.append(shells.close)
        return shells

    @cached_property
    def prober(self) -> Prober:
        """Whoever looks at hosts."""
        from vmctl.adapters.prober import ShellProber

        return ShellProber(self.shells, time.time)

    @cached_property
    def libvirts(self) -> LibvirtConnections:
        """The connections to the hosts' libvirt, each opened at its first use."""
        from vmctl.adapters.libvirtd import LibvirtConnections

        connections = LibvirtConnections(self.shells, self.config.cache_folder)
        self._ends.append(connections.close)
        return connections

    @cached_property
    def renderer(self) -> TemplateRenderer:
        """Whoever writes what libvirt and guests read."""
        from vmctl.adapters.render import TemplateRenderer

        return TemplateRenderer(self.config.templates)

    @cached_property
    def hypervisors(self) -> Hypervisors:
        """What makes and unmakes machines, volumes and filters on the hosts."""
        from vmctl.adapters.hypervisor import LibvirtHypervisors

        return LibvirtHypervisors(self.libvirts, self.shells)

    @cached_property
    def examiner(self) -> Examiner:
        """Whoever tries hosts."""
        from vmctl.adapters.examiner import ShellExaminer

        return ShellExaminer(self.shells, self.libvirts)

    @cached_property
    def kept_images(self) -> KeptImages:
        """The bytes of images, beside the database where that is a file."""
        from vmctl.adapters.kept_images import KeptImages
        from vmctl.adapters.location import SqliteFile

        location = self.location
        if isinstance(location, SqliteFile):
            return KeptImages(f"{location.path.resolve().parent}/images")
        return KeptImages(f"{self.config.state_folder}/images")

    @cached_property
    def base_images(self) -> HostBaseImages:
        """Whoever brings base images to the hosts."""
        from vmctl.adapters.base_images import HostBaseImages
        from vmctl.adapters.pipes import HostPipes
        from vmctl.adapters.turns import Turns

        folder = self.config.cache_folder
        return HostBaseImages(
            self.shells,
            self.libvirts,
            HostPipes(self.shells, folder),
            self.kept_images,
            Turns(f"{folder}/turns", places=URLS_AT_ONCE),
        )

    def holders(self, digest: str, *, among: Iterable[Host] = ()) -> list[Host]:
        """Give the hosts that may have a base image: by their last samples, and those named."""
        from vmctl.domain.sample import BASE_IMAGE_PREFIX

        name = f"{BASE_IMAGE_PREFIX}{digest}"
        records, _ = self.on_record()
        seen = {host for host, record in records.items() if name in (record.kept or "")}
        seen |= {host.name for host in among}
        return [host for host in self.inventory.hosts.values() if host.name in seen]

    def save_image(self, image: Image, file: Path, progress: Progress) -> None:
        """Write an image's bytes into a file, from wherever they are."""
        from vmctl.adapters.image_save import save

        save(
            image,
            file,
            kept=self.kept_images,
            bases=self.base_images,
            hosts=lambda: tuple(self.inventory.hosts.values()),
            progress=progress,
        )

    @cached_property
    def base_pruner(self) -> BasePruner:
        """Whoever takes base images away again."""
        from vmctl.adapters.base_prune import BasePruner
        from vmctl.adapters.host_lease import FlockLeases

        return BasePruner(self.shells, self.libvirts, FlockLeases(self.shells))

    @cached_property
    def leases(self) -> Leases:
        """Who is at work on what."""
        from vmctl.adapters.leases import open_leases

        return open_leases(self.location)

    @cached_property
    def neighbours(self) -> Neighbours:
        """Whoever asks on a network who is there."""
        from vmctl.adapters.neighbours import ShellNeighbours

        return ShellNeighbours(self.shells)

    @cached_property
    def world(self) -> World:
        """All that a server's life goes through."""
        from vmctl.adapters.host_lease import FlockLeases
        from vmctl.sagas.work import World

        return World(
            store=self.store,
            leases=self.leases,
            hypervisors=self.hypervisors,
            host_leases=FlockLeases(self.shells),
            bases=self.base_images,
            renderer=self.renderer,
            prober=self.prober,
            clock=time.time,
            sleep=time.sleep,
        )

    @cached_property
    def claims(self) -> Claims:
        """The claims of this command, its leases and looks shared between its servers."""
        from vmctl.services.claiming import Claims
        from vmctl.services.judging import Judge
        from vmctl.services.policy import policy_of

        judge = Judge(self.inventory, policy_of(self.inventory), time.time)
        return Claims(self.world, self.inventory, self.neighbours, judge, self.catalog.groups)

    def recovery(self, tell: Callable[[str], None] = lambda _: None) -> Recovery:
        """Give what going on with the work of the dead takes."""
        from vmctl.services.recovery import Recovery

        return Recovery(
            world=self.world,
            actor=self.actor,
            owner=self.owner,
            hosts=self.inventory.hosts,
            claim=self.claims.claim,
            settled=self.claims.settled,
            tell=tell,
        )

    def look_at_keys(self, host: Host) -> Seen:
        """Look at the keys that a host shows, or a jump host on the way to it."""
        from vmctl.adapters.trust import look

        return look(self.shells, host)

    def pin(self, seen: Seen, fingerprint: str | None) -> tuple[Key, ...]:
        """Trust keys that were seen, and give those that were written."""
        from vmctl.adapters.trust import pin

        return pin(seen, fingerprint=fingerprint)

    def enter(self, host: Host, command: tuple[str, ...]) -> int:
        """Give the terminal to a shell on a host, or to a command there; return its exit code."""
        from vmctl.adapters.foreground import run

        shell = os.environ.get("SHELL", "/bin/sh")
        if host.connection == "ssh":
            words = self.libvirts.entry(host, command)
        elif len(command) > 1:
            words = list(command)
        else:
            words = [shell, "-c", *command] if command else [shell]
        self.close()
        return run(words)

    @property
    def owner(self) -> str:
        """Who is at work, for people: which process of whom, and where."""
        actor = self.actor
        return f"{actor.login}@{actor.client} (process {os.getpid()})"

    def enter_guest(self, way: GuestWay, command: tuple[str, ...], through: Host | None) -> int:
        """Give the terminal to a guest's shell, or to a command there; return its exit code."""
        from vmctl.adapters.foreground import run
        from vmctl.adapters.guest_entry import ssh_words

        passage = None if through is None else self.libvirts.passage(through)
        words = ssh_words(way, command, folder=self.config.state_folder, passage=passage)
        self.close()
        return run(words)

    def guest_passage(self, host: Host) -> str:
        """Write a script that leads through a host to its guests, to stay; give its path."""
        return self.libvirts.passage(host, folder=f"{self.config.state_folder}/ssh")

    @cached_property
    def actor(self) -> Actor:
        """Who gives this command."""
        from vmctl.adapters.whoami import actor

        return actor(os.environ)


def check_policy(settings: Mapping[str, object]) -> list[str]:
    """Say what is wrong with an inventory's scheduler section; only a reading anew asks."""
    from vmctl.services.policy import check_policy

    return check_policy(settings)


def build(config: Config) -> App:
    """Compose the product's own App."""
    return App(config)
