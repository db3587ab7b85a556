"""What one look at a host found: its size, its pressure, its guests, what it offers.

Memory and disk are MiB, times are seconds since the epoch. None, or an empty tuple, means that
the host did not say: it is never a finding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

RECORD_NAMESPACE = "urn:vmctl:server:1"
"""The XML namespace of a server's record in its domain's metadata."""

BASE_IMAGE_PREFIX = "vmctl-base-"
"""What the names of cached base images begin with; the image's digest follows."""

Depth = Literal["quick", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stall:
    """For how many percent of the time some task waited for a resource, over 10, 60 and 300 s."""

    avg10: float = 0.0
    avg60: float = 0.0
    avg300: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPool:
    """A storage pool of libvirt's; of a directory, the numbers are its file system's own."""

    name: str
    uuid: str | None = None
    type: str | None = None
    path: str | None = None
    active: bool | None = None
    autostart: bool | None = None
    capacity: int | None = None
    used: int | None = None
    available: int | None = None
    file_system: str | None = None
    base_images: tuple[str, ...] = ()
    images_asked: bool = False

    @property
    def on_network(self) -> bool:
        """Whether its file system is another machine's."""
        kind = self.file_system or ""
        return self.type in ("netfs", "gluster", "rbd") or kind.startswith(_NETWORK_FILE_SYSTEMS)

    @property
    def on_own_disk(self) -> bool:
        """Whether its files are surely no other machine's: of what is unheard of, nobody knows."""
        return self.type in ("dir", "fs") and self.file_system in _OWN_FILE_SYSTEMS


_OWN_FILE_SYSTEMS = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "tmpfs", "xfs", "zfs"}
)
_NETWORK_FILE_SYSTEMS = (
    *("nfs", "cifs", "smb", "ceph", "9p", "gfs", "ocfs", "lustre", "afs", "beegfs", "virtiofs"),
    *("glusterfs", "fuse.gluster", "fuse.ceph", "fuse.sshfs", "fuse.s3"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundNetwork:
    """A virtual network of libvirt's; one that is isolated forwards nothing."""

    name: str
    active: bool | None = None
    autostart: bool | None = None
    bridge: str | None = None
    forward: str | None = None
    virtualport: str | None = None  # such as openvswitch

    @property
    def told(self) -> bool:
        """Whether more than its name was told of it."""
        return self.bridge is not None or self.forward is not None

    @property
    def outer(self) -> bool:
        """Whether its guests are on the host's own network, where libvirt gives no addresses."""
        return self.forward in ("bridge", "private", "vepa", "passthrough", "hostdev")

    @property
    def spans(self) -> bool:
        """Whether its guests' addresses mean something outside of the host, as behind NAT not."""
        return self.outer or self.forward in ("route", "open")

    @property
    def tags(self) -> bool:
        """Whether libvirt starts a card on it that has the tag of a VLAN."""
        return self.virtualport == "openvswitch" or self.forward in ("passthrough", "hostdev")

    @property
    def filters(self) -> bool:
        """Whether libvirt starts a card on it that has a filter: one with a tap on its bridge."""
        return self.virtualport is None and self.bridge is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundBridge:
    """A Linux bridge, and whether its own setting sends frames through the packet filter."""

    name: str
    filtered: bool | None = None
    filtered6: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A virtual machine found on a host, whoever made it, by its defined maximum.

    The record is our XML element in its metadata, word for word; disk, where it was asked for,
    is the size of those disks that are volumes of a pool.
    """

    uuid: str
    name: str = ""
    state: Literal["running", "paused", "off"] = "off"
    vcpus: int = 0
    memory: int = 0
    disk: int | None = None
    persistent: bool | None = None
    autostart: bool | None = None
    record: str | None = None
    pins: str = ""  # the CPUs that it was bound to, as ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSample:
    """One host as it answered at one moment; `problems` names what it could not tell."""

    taken_at: float
    depth: Depth = "quick"
    facts_at: float | None = None  # when the facts that only a full look tells were told
    problems: tuple[str, ...] = ()
    # who it is
    hostname: str | None = None
    machine_id: str | None = None
    boot_id: str | None = None
    libvirt_uuid: str | None = None
    # what runs it
    os_id: str | None = None
    os_like: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    kernel: str | None = None
    arch: str | None = None
    libvirt_version: str | None = None
    qemu_version: str | None = None
    emulator: str | None = None
    virt_types: tuple[str, ...] = ()
    selinux: bool | None = None
    # how big it is
    cpus: int | None = None  # online, by nodeinfo, else by the kernel
    cpus_online: str | None = None  # their numbers, as the kernel writes them
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None
    numa_cells: int | None = None
    memory: int | None = None
    memory_available: int | None = None
    hugepages: int | None = None  # MiB set aside, of which so many are free
    hugepages_free: int | None = None
    # how it is
    clock: float | None = None
    uptime: float | None = None
    load: tuple[float, ...] = ()
    cpu_ticks: int | None = None  # since boot, of which so many were stolen by a hypervisor below
    steal_ticks: int | None = None
    psi_cpu: Stall | None = None
    psi_memory: Stall | None = None
    psi_io: Stall | None = None
    # what it offers
    cpu_model: str | None = None
    cpu_vendor: str | None = None
    cpu_features: tuple[str, ...] = ()
    host_model: str | None = None
    kvm_device: bool | None = None
    kvm_allowed: bool | None = None  # to the user who asked
    uefi: bool | None = None
    secure_boot: bool | None = None
    tpm: bool | None = None
    tools: tuple[str, ...] = ()
    sockets_seen: tuple[str, ...] = ()  # libvirt's, by name
    sockets_writable: tuple[str, ...] = ()  # by the user who asked
    max_startups: str | None = None
    bridge_filter: bool | None = None  # the kernel's, for all bridges; None: no br_netfilter
    bridge_filter6: bool | None = None
    pools: tuple[FoundPool, ...] = ()
    networks: tuple[FoundNetwork, ...] = ()
    bridges: tuple[FoundBridge, ...] = ()
    guests: tuple[Guest, ...] = ()
    grown: tuple[Guest, ...] = ()  # by how much they are defined bigger than their records say
    # what libvirt said instead of an answer
    libvirt_error: str | None = None

    @property
    def steal(self) -> float | None:
        """For how many percent of its time since boot a hypervisor below kept it waiting."""
        if not self.cpu_ticks or self.steal_ticks is None:
            return None
        return 100 * self.steal_ticks / self.cpu_ticks

    @property
    def clock_skew(self) -> float | None:
        """How many seconds its clock is ahead of ours."""
        return None if self.clock is None else self.clock - self.taken_at

    @property
    def qemu_number(self) -> int | None:
        """QEMU's version as one number that grows with it, as libvirt and Nova count."""
        parts = (self.qemu_version or "").split(".")
        if not all(part.isdigit() for part in parts[:3]):
            return None
        major, minor, patch = (*map(int, parts[:3]), 0, 0)[:3]
        return major * 1_000_000 + minor * 1_000 + patch

    def pool(self, name: str) -> FoundPool | None:
        """Give the pool of that name, if it was found."""
        for pool in self.pools:
            if pool.name == name:
                return pool
        return None

    def network(self, name: str) -> FoundNetwork | None:
        """Give the virtual network of that name, if it was found."""
        return next((network for network in self.networks if network.name == name), None)


def depth_to_ask(wanted: Depth, before: HostSample | None) -> Depth:
    """Say how deep to look: fully where no full look of this boot has told its facts yet."""
    return "full" if before is None or before.facts_at is None else wanted


def keep_facts(new: HostSample, old: HostSample | None) -> HostSample:
    """Complete a quick look with the facts that the last full look at the same boot told."""
    if old is not None and new.libvirt_uuid is None and old.machine_id == new.machine_id:
        # Who it is outlives a boot, and a libvirt that does not answer.
        new = replace(new, libvirt_uuid=old.libvirt_uuid)
    if new.depth == "full" or old is None or old.facts_at is None or old.boot_id != new.boot_id:
        return new
    return replace(
        new,
        facts_at=old.facts_at,
        **{name: getattr(old, name) for name in _FULL_ONLY},
        pools=_pools(new, old),
        guests=_guests(new, old),
        networks=_networks(new, old),
    )


_FULL_ONLY = (
    *("libvirt_uuid", "libvirt_version", "qemu_version", "emulator", "virt_types", "arch"),
    *("cpu_model", "cpu_vendor", "cpu_features", "host_model"),
    *("selinux", "uefi", "secure_boot", "tpm", "max_startups"),
)


def _pools(new: HostSample, old: HostSample) -> tuple[FoundPool, ...]:
    seen = []
    for pool in new.pools:
        before = old.pool(pool.name)
        if before is not None:
            pool = replace(pool, autostart=before.autostart)  # noqa: PLW2901 - the same, completed
            if not pool.images_asked:
                asked, images = before.images_asked, before.base_images
                pool = replace(pool, images_asked=asked, base_images=images)  # noqa: PLW2901 - likewise
        seen.append(pool)
    return (*seen, *(pool for pool in old.pools if new.pool(pool.name) is None))


def _guests(new: HostSample, old: HostSample) -> tuple[Guest, ...]:
    """Give the machines of now; where libvirt did not answer, those that were there."""
    if new.libvirt_error is not None:
        return old.guests
    before = {guest.uuid: guest for guest in old.guests}
    return tuple(
        replace(guest, persistent=was.persistent, autostart=was.autostart, disk=was.disk)
        if (was := before.get(guest.uuid)) is not None
        else guest
        for guest in new.guests
    )


def _networks(new: HostSample, old: HostSample) -> tuple[FoundNetwork, ...]:
    """Give what a full look found, up or down as a quick look sees it, and what is up since."""
    if new.libvirt_error is not None:
        return old.networks
    kept = (replace(one, active=new.network(one.name) is not None) for one in old.networks)
    return (*kept, *(one for one in new.networks if old.network(one.name) is None))
