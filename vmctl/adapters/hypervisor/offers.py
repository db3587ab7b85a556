"""What machines a host can make, as its own domain capabilities say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.adapters.hypervisor import elements
from vmctl.domain.machine import Offers
from vmctl.errors import RemoteFailed

if TYPE_CHECKING:
    from vmctl.adapters.hypervisor.elements import Element
    from vmctl.adapters.hypervisor.link import Link

_MACHINES = {"x86_64": "q35", "i686": "q35", "aarch64": "virt", "riscv64": "virt"}
"""The machine to make for an architecture; where none is named, the emulator's own default."""


def ask(link: Link) -> Offers:
    """Ask a host what it offers for the kind of virtualization that the inventory wants of it."""
    host = link.host
    doing = "asking what machines it can make"
    arch = link.ask(doing, lambda on: on.getInfo()[0])
    machine = _MACHINES.get(arch)
    try:
        domain = link.ask(
            doing, lambda on: on.getDomainCapabilities(None, arch, machine, host.virt_type, 0)
        )
    except RemoteFailed as error:
        if error.reason != "libvirt":
            raise
        raise RemoteFailed(
            host.name,
            error.message,
            hint=f"vmctl host check {host.name} tells whether {host.virt_type} works there",
            reason="no-machine",
        ) from error
    return read(
        domain,
        link.ask(doing, lambda on: on.getCapabilities()),
        libvirt=link.ask(doing, lambda on: on.getLibVersion()),
        qemu=link.ask(doing, lambda on: on.getVersion()),
    )


def read(domain: str, host: str, *, libvirt: int = 0, qemu: int = 0) -> Offers:
    """Read offers out of a host's domain capabilities and its own."""
    root = elements.read(domain)
    arch = elements.text(root, "arch")
    loaders = _supported(root, "os/loader")
    efi = "efi" in _values(root, "os", "firmware") or bool(_loaders(loaders))
    emulated = "emulator" in _values(root, "devices/tpm", "backendModel")
    return Offers(
        arch=arch,
        machine=elements.text(root, "machine"),
        emulator=elements.text(root, "path"),
        virt_type=elements.text(root, "domain"),
        cpu_modes=tuple(
            one.get("name", "") for one in root.findall("cpu/mode") if _is_supported(one)
        ),
        cpu_models=tuple(
            (model.text or "").strip()
            for model in root.findall("cpu/mode[@name='custom']/model")
            if model.get("usable") != "no"
        ),
        # A PC has its BIOS in QEMU itself; capabilities name only what is beside it.
        firmware=(*(("bios",) if arch in ("x86_64", "i686") else ()), *(("efi",) if efi else ())),
        secure_boot=efi and "yes" in _values(root, "os/loader", "secure"),
        loaders=_loaders(loaders),
        video=_values(root, "devices/video", "modelType"),
        graphics=_values(root, "devices/graphics", "type"),
        rng=_values(root, "devices/rng", "model"),
        tpm=_values(root, "devices/tpm", "model") if emulated else (),
        disk_buses=_values(root, "devices/disk", "bus"),
        filesystems=_values(root, "devices/filesystem", "driverType"),
        hugepage_sizes=_hugepages(elements.read(host)),
        libvirt=libvirt,
        qemu=qemu,
    )


def _is_supported(element: Element) -> bool:
    return element.get("supported") == "yes"


def _supported(root: Element, path: str) -> Element | None:
    found = root.find(path)
    return found if found is not None and _is_supported(found) else None


def _values(root: Element, path: str, name: str) -> tuple[str, ...]:
    found = _supported(root, path)
    if found is None:
        return ()
    listed = found.findall(f"enum[@name='{name}']/value")
    return tuple((value.text or "").strip() for value in listed)


def _loaders(element: Element | None) -> tuple[str, ...]:
    listed = () if element is None else element.findall("value")
    return tuple((value.text or "").strip() for value in listed)


def _hugepages(root: Element) -> tuple[int, ...]:
    """Give the page sizes beyond the ordinary one, which is the smallest, in KiB."""
    sizes = sorted(
        int(page.get("size", "0"))
        for page in root.findall("host/cpu/pages")
        if page.get("unit", "KiB") == "KiB" and page.get("size", "").isdecimal()
    )
    return tuple(sizes[1:])
