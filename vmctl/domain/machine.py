"""What a host's libvirt says of domains, of what it could make, and of its storage."""

from __future__ import annotations

from dataclasses import dataclass

from vmctl.domain.record import Power

FILE_POOLS = ("dir", "fs", "netfs")
"""The types of pools whose volumes are files: they can be sparse, and qcow2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A domain found on a host, whoever made it; `record` is our element in its metadata.

    What is said of its CPUs holds from its next start on.
    """

    uuid: str
    name: str
    power: Power = Power.SHUTDOWN
    record: str | None = None
    autostart: bool = False
    managed_save: bool = False
    persistent: bool = True
    pins: str = ""  # the CPUs that it is bound to, as ranges
    cpus: tuple[int, ...] = ()  # that of each vCPU, where each is pinned to one


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """What machines a host can make, as its own domain capabilities say; memory is MiB."""

    arch: str
    machine: str  # the newest q35, or what the host has instead
    emulator: str
    virt_type: str  # kvm or qemu
    cpu_modes: tuple[str, ...] = ()  # such as host-passthrough, host-model, maximum
    cpu_models: tuple[str, ...] = ()
    firmware: tuple[str, ...] = ()  # bios, efi
    secure_boot: bool = False
    loaders: tuple[str, ...] = ()
    video: tuple[str, ...] = ()
    graphics: tuple[str, ...] = ()
    rng: tuple[str, ...] = ()
    tpm: tuple[str, ...] = ()  # models that an emulated TPM may have
    disk_buses: tuple[str, ...] = ()
    filesystems: tuple[str, ...] = ()
    hugepage_sizes: tuple[int, ...] = ()  # KiB
    libvirt: int = 0
    qemu: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlace:
    """A storage pool as a host has it: where its volumes are, and what they may be."""

    name: str
    type: str
    path: str
    active: bool = True
    available: int = 0  # bytes
    formats: tuple[str, ...] = ("raw", "qcow2")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundVolume:
    """A volume in a pool; both sizes are bytes."""

    name: str
    path: str
    size: int
    allocation: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAddress:
    """An address that a server was seen to have, and who says so: lease, agent, arp."""

    mac: str
    address: str
    source: str
