"""What an image and a flavor wish of the machine itself, by the names that Nova gave such wishes.

Whatever would change the machine and is not understood is refused by its name: a server that
comes up without what was asked for is worse than none.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vmctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """What was wished of a machine; None leaves it to what the host offers."""

    machine: str | None = None
    firmware: str | None = None  # bios or efi
    secure_boot: str = "disabled"  # or optional, required
    tpm_model: str | None = None
    tpm_version: str | None = None
    disk_bus: str = "virtio"
    scsi_model: str = "virtio-scsi"
    cdrom_bus: str | None = None  # where the seed is to be a CD-ROM, not a disk
    vif_model: str = "virtio"
    multiqueue: bool = False
    video: str | None = None
    pointer: str | None = None
    agent: bool = True
    rng_model: str = "virtio"
    rng: bool = True
    rng_bytes: int | None = None
    rng_period: int | None = None  # ms
    watchdog: str = "disabled"  # or what to do with a guest that hangs
    boot_menu: bool = False
    hpet: bool = False
    hidden: bool = False  # whether the guest must not see its hypervisor
    os_type: str | None = None
    cpu_mode: str | None = None
    cpu_model: str | None = None
    cpu_policy: str = "shared"  # or dedicated
    thread_policy: str = "prefer"
    sockets: int | None = None
    cores: int | None = None
    threads: int | None = None
    numa_nodes: int | None = None
    page_size: str | int | None = None  # small, any, large, or KiB
    locked: bool = False
    maxphysaddr_mode: str | None = None
    maxphysaddr_bits: int | None = None
    serial_ports: int = 1

    @property
    def windows(self) -> bool:
        """Whether the guest expects what Windows does of its clock and hypervisor."""
        return self.os_type == "windows"

    def topology(self, vcpus: int) -> tuple[int, int, int] | None:
        """Give sockets, cores and threads for so many vCPUs; None if none were wished.

        What is left open is one, but for the first of sockets and cores that is.
        """
        if self.sockets is None and self.cores is None and self.threads is None:
            return None
        threads = self.threads or 1
        if self.sockets is None:
            cores = self.cores or 1
            sockets = max(vcpus // (cores * threads), 1)
        else:
            sockets = self.sockets
            cores = self.cores or max(vcpus // (sockets * threads), 1)
        if sockets * cores * threads != vcpus:
            raise UsageError(
                f"{vcpus} vCPUs are not {sockets} sockets of {cores} cores of {threads} threads",
                hint="hw:cpu_sockets, hw:cpu_cores and hw:cpu_threads must multiply to the vCPUs",
            )
        return sockets, cores, threads

    def nodes(self, vcpus: int, memory: int) -> int | None:
        """Give how many NUMA nodes the guest sees, each with its part; None if none were wished."""
        nodes = self.numa_nodes
        if nodes is not None and (vcpus % nodes or memory % nodes):
            raise UsageError(
                f"{vcpus} vCPUs and {memory} MiB do not divide into {nodes} NUMA nodes",
                hint="hw:numa_nodes must divide the flavor's vCPUs and memory",
            )
        return nodes


def hardware_of(properties: Mapping[str, object], extra_specs: Mapping[str, str]) -> Hardware:
    """Read the wishes of an image and a flavor; a UsageError says all that is wrong with them."""
    said: dict[str, Any] = {}
    sources: dict[str, str] = {}
    problems = []
    for where, wishes, known, others in (
        ("flavor's extra spec", extra_specs, _BY_SPEC, _OTHERS_SPECS),
        ("image's property", properties, _BY_PROPERTY, _OTHERS_PROPERTIES),
    ):
        for key, text in wishes.items():
            if key not in known:
                if _CONCERNS.match(key) and key not in others:
                    problems.append(f"the {where} {key} is not supported")
                continue
            name, read = known[key]
            try:
                value = read(str(text))
            except ValueError as error:
                problems.append(f"the {where} {key} is {str(text)!r}: {error}")
                continue
            if name in said and said[name] != value:
                problems.append(f"the {where} {key} contradicts the {sources[name]}")
            said[name], sources[name] = value, f"{where} {key}"
    hardware = Hardware(**said)
    problems += _impossible(hardware)
    if problems:
        raise UsageError(
            "; ".join(problems), hint="vmctl flavor show and vmctl image show tell what they ask"
        )
    return hardware


def _impossible(hardware: Hardware) -> Iterator[str]:
    if hardware.secure_boot == "required" and hardware.firmware == "bios":
        yield "os_secure_boot=required needs hw_firmware_type=uefi"
    if hardware.tpm_model == "tpm-crb" and hardware.tpm_version == "1.2":
        yield "hw_tpm_model=tpm-crb needs hw_tpm_version=2.0"
    if hardware.tpm_model and not hardware.tpm_version:
        yield "hw_tpm_model needs hw_tpm_version"
    if hardware.cpu_model and hardware.cpu_mode not in (None, "custom"):
        yield "hw_cpu_model needs hw_cpu_mode=custom"
    if hardware.cpu_mode == "custom" and not hardware.cpu_model:
        yield "hw_cpu_mode=custom needs hw_cpu_model"
    if hardware.locked and hardware.page_size is None and not hardware.numa_nodes:
        yield "hw:locked_memory needs hw:mem_page_size or hw:numa_nodes"
    if hardware.maxphysaddr_mode == "emulate" and hardware.maxphysaddr_bits is None:
        yield "hw:maxphysaddr_mode=emulate needs hw:maxphysaddr_bits"


def _one_of(*words: str, **more: str) -> Callable[[str], str]:
    meanings = {word: word for word in words} | more

    def read(text: str) -> str:
        try:
            return meanings[text.strip().lower()]
        except KeyError:
            raise ValueError(f"{', '.join(meanings)} are known") from None

    return read


def _yes(text: str) -> bool:
    match text.strip().lower():
        case "true" | "yes" | "on" | "1" | "t" | "y":
            return True
        case "false" | "no" | "off" | "0" | "f" | "n":
            return False
    raise ValueError("true or false is wanted")


def _count(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text.strip(), re.ASCII):
        raise ValueError("a number from 1 is wanted")
    return int(text)


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._+-]{1,64}", text, re.ASCII):
        raise ValueError("it has signs that no such name has")
    return text


def _page_size(text: str) -> str | int:
    word = text.strip().lower()
    if word in ("small", "any", "large"):
        return word
    match = re.fullmatch(r"([1-9][0-9]{0,8})\s*([kmg]?)(?:i?b)?", word, re.ASCII)
    if match is None:
        raise ValueError("small, large, any, or a size such as 2MB is wanted")
    return int(match[1]) * {"": 1, "k": 1, "m": 1024, "g": 1024**2}[match[2]]


def _one(text: str) -> int:
    if text.strip() != "1":
        raise ValueError("there is one, and no more")
    return 1


_BUS = _one_of("virtio", "scsi", "sata", "ide", "usb")
_WISHES: tuple[tuple[str, str | None, str | None, Callable[[str], object]], ...] = (
    ("machine", "hw_machine_type", None, _name),
    ("firmware", "hw_firmware_type", None, _one_of("bios", uefi="efi")),
    (
        "secure_boot",
        "os_secure_boot",
        "os:secure_boot",
        _one_of("disabled", "optional", "required"),
    ),
    ("tpm_model", "hw_tpm_model", "hw:tpm_model", _one_of("tpm-tis", "tpm-crb")),
    ("tpm_version", "hw_tpm_version", "hw:tpm_version", _one_of("1.2", "2.0")),
    ("disk_bus", "hw_disk_bus", None, _BUS),
    ("scsi_model", "hw_scsi_model", None, _one_of("virtio-scsi")),
    ("cdrom_bus", "hw_cdrom_bus", None, _one_of("scsi", "sata", "ide", "usb")),
    (
        *("vif_model", "hw_vif_model", None),
        _one_of("virtio", "e1000", "e1000e", "rtl8139", "ne2k_pci", "pcnet"),
    ),
    ("multiqueue", "hw_vif_multiqueue_enabled", "hw:vif_multiqueue_enabled", _yes),
    (
        *("video", "hw_video_model", None),
        _one_of("virtio", "vga", "qxl", "cirrus", "bochs", "vmvga", "none"),
    ),
    ("pointer", "hw_pointer_model", "hw:pointer_model", _one_of("usbtablet", "ps2mouse")),
    ("agent", "hw_qemu_guest_agent", None, _yes),
    ("rng_model", "hw_rng_model", None, _one_of("virtio")),
    ("rng", None, "hw_rng:allowed", _yes),
    ("rng_bytes", None, "hw_rng:rate_bytes", _count),
    ("rng_period", None, "hw_rng:rate_period", _count),
    (
        *("watchdog", "hw_watchdog_action", "hw:watchdog_action"),
        _one_of("disabled", "reset", "poweroff", "pause", "none"),
    ),
    ("boot_menu", "hw_boot_menu", "hw:boot_menu", _yes),
    ("hpet", "hw_time_hpet", None, _yes),
    ("hidden", "img_hide_hypervisor_id", "hw:hide_hypervisor_id", _yes),
    ("os_type", "os_type", None, str),
    (
        *("cpu_mode", "hw_cpu_mode", "hw:cpu_mode"),
        _one_of("host-model", "host-passthrough", "maximum", "custom"),
    ),
    ("cpu_model", "hw_cpu_model", "hw:cpu_model", _name),
    ("cpu_policy", "hw_cpu_policy", "hw:cpu_policy", _one_of("shared", "dedicated")),
    ("thread_policy", "hw_cpu_thread_policy", "hw:cpu_thread_policy", _one_of("prefer")),
    ("sockets", "hw_cpu_sockets", "hw:cpu_sockets", _count),
    ("cores", "hw_cpu_cores", "hw:cpu_cores", _count),
    ("threads", "hw_cpu_threads", "hw:cpu_threads", _count),
    ("numa_nodes", "hw_numa_nodes", "hw:numa_nodes", _count),
    ("page_size", "hw_mem_page_size", "hw:mem_page_size", _page_size),
    ("locked", "hw_locked_memory", "hw:locked_memory", _yes),
    ("maxphysaddr_mode", None, "hw:maxphysaddr_mode", _one_of("passthrough", "emulate")),
    ("maxphysaddr_bits", None, "hw:maxphysaddr_bits", _count),
    ("serial_ports", "hw_serial_port_count", "hw:serial_port_count", _one),
)
"""Field, image property, extra spec, how it is read."""

_BY_PROPERTY = {one: (field, read) for field, one, _, read in _WISHES if one}
_BY_SPEC = {one: (field, read) for field, _, one, read in _WISHES if one}
_CONCERNS = re.compile(r"hw_|os_secure|img_hide|hw:|hw_\w+:|os:|quota:|pci_passthrough:|accel:")
"""What keys of this beginning ask for is the machine's, or nobody's."""

_OTHERS_PROPERTIES = frozenset(
    # The scheduler's, and what is asked for only when a server is rescued.
    ("hw_architecture", "hw_vm_mode", "hw_rescue_bus", "hw_rescue_device")
)
_OTHERS_SPECS: frozenset[str] = frozenset()
