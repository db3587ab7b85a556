"""A server as libvirt is to make it: what was wished, fitted to what the host offers."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_lowercase
from typing import TYPE_CHECKING

from vmctl.domain.hardware import Hardware, hardware_of
from vmctl.errors import VmctlError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.domain.build import Build
    from vmctl.domain.machine import Offers, PoolPlace
    from vmctl.domain.spec import ServerSpec

AGENT_CHANNEL = "org.qemu.guest_agent.0"
_PREFIX = {"virtio": "vd", "ide": "hd"}
_BLOCK_POOLS = ("logical", "disk", "iscsi", "iscsi-direct", "mpath", "scsi", "zfs")
_X86 = ("x86_64", "i686")
_MACHINES = {"q35": "pc-q35-", "pc": "pc-i440fx-", "virt": "virt-"}
_MOST_QUEUES = 8
"""More queues than that cost memory on the host and bring nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """One disk as the guest has it; `serial` is what its own /dev/disk/by-id knows it by."""

    path: str
    format: str
    bus: str
    target: str
    device: str = "disk"
    block: bool = False
    readonly: bool = False
    boots: bool = False
    serial: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One NUMA node that the guest sees; memory is MiB."""

    first: int
    last: int
    memory: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """The parts of the machine on which the wishes and the host's offers agree."""

    machine: str
    firmware: str | None
    secure_boot: bool
    x86: bool
    cpu_mode: str | None
    cpu_model: str | None
    topology: tuple[int, int, int] | None
    cells: tuple[Cell, ...]
    page_size: int | None  # KiB, of hugepages
    tpm: str | None
    tpm_version: str | None
    video: str | None
    vnc: bool
    rng: bool
    queues: int | None
    disks: tuple[Disk, ...]
    log: str | None
    wished: Hardware


def fit(spec: ServerSpec, build: Build, offers: Offers, place: PoolPlace) -> Fitted:
    """Fit a server to a host; a VmctlError says all that the host cannot do."""
    wished = hardware_of(spec.image.properties, spec.flavor.extra_specs)
    topology = wished.topology(build.vcpus)
    problems = list(_missing(wished, build, offers))
    firmware, secure_boot = _firmware(wished, offers)
    cells = _cells(wished, build)
    page_size = None
    try:
        page_size = _page_size(wished, build, offers)
    except ValueError as error:
        problems.append(str(error))
    if problems:
        raise VmctlError(
            f"{build.host} cannot make the server {spec.name}: {'; '.join(problems)}",
            hint="the flavor's extra specs and the image's properties ask for it",
        )
    tpm = None
    if wished.tpm_version:
        crb = wished.tpm_version == "2.0" and "tpm-crb" in offers.tpm
        tpm = wished.tpm_model or ("tpm-crb" if crb else "tpm-tis")
    video = _video(wished, offers)
    return Fitted(
        machine=_machine(wished, offers),
        firmware=firmware,
        secure_boot=secure_boot,
        x86=offers.arch in _X86,
        cpu_mode=wished.cpu_mode or ("custom" if wished.cpu_model else _cpu_mode(offers)),
        cpu_model=wished.cpu_model,
        topology=topology,
        cells=cells,
        page_size=page_size,
        tpm=tpm,
        tpm_version=wished.tpm_version,
        video=video,
        vnc="vnc" in offers.graphics and video != "none",
        rng=wished.rng and bool(offers.rng),
        queues=min(build.vcpus, _MOST_QUEUES) if wished.multiqueue and build.vcpus > 1 else None,
        disks=tuple(_disks(wished, build, place)),
        log=next((_path(place, one.name) for one in build.of_role("log")), None),
        wished=wished,
    )


def _missing(wished: Hardware, build: Build, offers: Offers) -> Iterator[str]:
    """Say which wishes the host does not offer; of what it does not speak, libvirt judges."""
    for what, wish, offered in (
        ("disk bus", wished.disk_bus, offers.disk_buses),
        ("CD-ROM bus", wished.cdrom_bus, offers.disk_buses),
        ("video model", wished.video, offers.video),
        ("CPU mode", wished.cpu_mode, offers.cpu_modes),
        ("CPU model", wished.cpu_model, offers.cpu_models),
    ):
        if wish is not None and offered and wish not in offered:
            yield f"it offers no {what} {wish}, but {', '.join(offered)}"
    if wished.firmware and wished.firmware not in (offers.firmware or ("bios",)):
        yield f"it offers no {'UEFI' if wished.firmware == 'efi' else 'BIOS'} firmware"
    if wished.secure_boot == "required":
        if "efi" not in offers.firmware or not offers.secure_boot:
            yield "it offers no UEFI firmware with secure boot"
        if "q35" not in _machine(wished, offers):
            yield "secure boot needs a q35 machine"
    if wished.tpm_version and not offers.tpm:
        yield "it offers no emulated TPM (swtpm is not installed there)"
    elif wished.tpm_model and wished.tpm_model not in offers.tpm:
        yield f"it offers no TPM model {wished.tpm_model}, but {', '.join(offers.tpm)}"
    if wished.cpu_policy == "dedicated":
        if len(build.cpus) != build.vcpus:
            yield f"{len(build.cpus)} of its CPUs were chosen for {build.vcpus} dedicated vCPUs"
    elif build.cpus:
        yield "CPUs were chosen for a server that asks for none of its own"
    if wished.maxphysaddr_bits and offers.libvirt and offers.libvirt < 8_007_000:
        yield "its libvirt is older than 8.7, which hw:maxphysaddr_bits needs"


def _machine(wished: Hardware, offers: Offers) -> str:
    """Give the host's own version of the machine type where it is of the wished kind."""
    kind = _MACHINES.get(wished.machine or "", "")
    if wished.machine is None or (kind and offers.machine.startswith(kind)):
        return offers.machine
    return wished.machine


def _firmware(wished: Hardware, offers: Offers) -> tuple[str | None, bool]:
    """Give what libvirt is to choose a firmware by, None where the machine's own will do."""
    required = wished.secure_boot == "required"
    if required or wished.firmware == "efi" or (not wished.firmware and _only_efi(offers)):
        can = offers.secure_boot and "q35" in _machine(wished, offers)
        return "efi", required or (wished.secure_boot == "optional" and can)
    return None, False


def _only_efi(offers: Offers) -> bool:
    return "efi" in offers.firmware and "bios" not in offers.firmware


def _cpu_mode(offers: Offers) -> str | None:
    """Choose all that the host can do: under KVM in a form that another host can take over."""
    best = ("host-model", "host-passthrough") if offers.virt_type == "kvm" else ("maximum",)
    return next((mode for mode in best if mode in offers.cpu_modes), None)


def _cells(wished: Hardware, build: Build) -> tuple[Cell, ...]:
    nodes = wished.nodes(build.vcpus, build.memory)
    if nodes is None:
        return ()
    vcpus, memory = build.vcpus // nodes, build.memory // nodes
    return tuple(
        Cell(first=node * vcpus, last=(node + 1) * vcpus - 1, memory=memory)
        for node in range(nodes)
    )


def _page_size(wished: Hardware, build: Build, offers: Offers) -> int | None:
    """Give the hugepages to take, in KiB; None for the memory that everybody has."""
    wish = wished.page_size
    if wish in (None, "small", "any", 4):
        return None
    nodes = wished.numa_nodes or 1
    whole = [size for size in offers.hugepage_sizes if build.memory * 1024 // nodes % size == 0]
    if wish == "large":
        if not whole:
            raise ValueError(f"it has no hugepages that {build.memory} MiB are made of")
        return max(whole)
    if wish not in offers.hugepage_sizes:
        raise ValueError(f"it has no hugepages of {wish} KiB")
    if wish not in whole:
        raise ValueError(f"{build.memory} MiB are not made of hugepages of {wish} KiB")
    return int(wish)


def _video(wished: Hardware, offers: Offers) -> str | None:
    """Prefer what every guest can draw on without a driver of its own."""
    if wished.video or not offers.video:
        return wished.video
    best = ("vga", "virtio", "qxl", "bochs", "cirrus", "ramfb")
    return next((model for model in best if model in offers.video), "none")


def _disks(wished: Hardware, build: Build, place: PoolPlace) -> Iterator[Disk]:
    """Give the disks in the guest's order: root, ephemeral, swap, and the seed last.

    Where another system is to boot, its disk comes before them, and its seed instead of the own.
    """
    used: dict[str, int] = {}
    boots, seed = ("rescue", "rescue-seed") if build.rescued else ("root", "seed")
    for role in dict.fromkeys((boots, "root", "ephemeral", "swap", seed)):
        for number, volume in enumerate(build.of_role(role)):
            is_cdrom = role == seed and wished.cdrom_bus is not None
            bus = (is_cdrom and wished.cdrom_bus) or wished.disk_bus
            prefix = _PREFIX.get(bus, "sd")
            position = used[prefix] = used.get(prefix, -1) + 1
            yield Disk(
                path=_path(place, volume.name),
                format=volume.format,
                bus=bus,
                target=prefix + _letters(position),
                device="cdrom" if is_cdrom else "disk",
                block=place.type in _BLOCK_POOLS,
                readonly=role == seed,
                boots=role == boots and number == 0,
                serial="vmctl-root" if role == "root" != boots else disk_serial(role, number),
            )


def disk_serial(role: str, number: int) -> str | None:
    """Name a disk that the seed tells the guest to use; others go by their order alone."""
    return f"vmctl-{role}{number}" if role in ("ephemeral", "swap") else None


def _letters(position: int) -> str:
    """Count a, b, … z, aa, ab: as disks are counted."""
    letters = ""
    while position >= 0:
        position, rest = divmod(position, 26)
        letters = ascii_lowercase[rest] + letters
        position -= 1
    return letters


def _path(place: PoolPlace, volume: str) -> str:
    return f"{place.path.rstrip('/')}/{volume}"
