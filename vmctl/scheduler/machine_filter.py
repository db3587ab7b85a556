"""A filter on what the machine itself must be: firmware, secure boot, TPM and hugepages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.hardware import Hardware, hardware_of
from vmctl.domain.placement import Refusal
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.scene import Scene

_ASKED = ("hw_firmware_type", "os_secure_boot", "hw_tpm_version", "hw_mem_page_size")
_SPECS = ("os:secure_boot", "hw:tpm_version", "hw:mem_page_size")


def machine_asked(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the image or the flavor asks for what not every host can make."""
    properties = request.image.properties if request.image else {}
    return any(one in properties for one in _ASKED) or any(
        one in request.flavor.extra_specs for one in _SPECS
    )


def makes_machine(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """The host offers the firmware, secure boot, TPM and hugepages that are asked for.

    What it does not say of itself is left to libvirt, and a wish that nobody understands is
    refused before anything is placed.
    """
    properties = request.image.properties if request.image else {}
    try:
        wished = hardware_of(properties, request.flavor.extra_specs)
    except UsageError:
        return None
    offers = host.capabilities
    secure = wished.secure_boot == "required"
    if (wished.firmware == "efi" or secure) and offers.get("uefi") is False:
        return Refusal("offers no UEFI firmware")
    if secure and offers.get("secure_boot") is False:
        return Refusal("offers no UEFI firmware with secure boot")
    if wished.tpm_version and offers.get("tpm") is False:
        return Refusal("offers no emulated TPM: swtpm is not installed there")
    return _hugepages(wished, host, request.flavor.memory)


def _hugepages(wished: Hardware, host: HostState, need: int) -> Refusal | None:
    free = host.capabilities.get("hugepages_free")
    if wished.page_size in (None, "small", "any", 4) or not isinstance(free, int):
        return None
    if need <= free:
        return None
    return Refusal(f"needs {need} MiB of hugepages, {free} MiB of them free")
