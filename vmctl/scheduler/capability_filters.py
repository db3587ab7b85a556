"""Filters on what the hypervisor can do: extra specs on capabilities, and the image's wishes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from vmctl.domain.placement import Refusal
from vmctl.scheduler.specs import misfit

if TYPE_CHECKING:
    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.scene import Scene

ATTRIBUTES: Mapping[str, Callable[[HostState], object]] = {
    "host": lambda host: host.name,
    "nodename": lambda host: host.name,
    "hypervisor_hostname": lambda host: host.name,
    "hypervisor_type": lambda host: host.hypervisor_type,
    "hypervisor_version": lambda host: host.hypervisor_version,
    "supported_instances": lambda host: [list(each) for each in host.supported] or None,
    "vcpus_total": lambda host: host.total.vcpus,
    "vcpus_used": lambda host: host.reserved.vcpus + host.taken.vcpus,
    "total_usable_ram_mb": lambda host: host.total.memory,
    "free_ram_mb": lambda host: host.spare_memory,
    "total_usable_disk_gb": lambda host: host.total.disk / 1024,
    "free_disk_mb": lambda host: host.spare_disk,
    "disk_mb_used": lambda host: host.reserved.disk + host.taken.disk,
    "num_instances": lambda host: host.num_instances,
    "num_io_ops": lambda host: host.num_io_ops,
    "failed_builds": lambda host: host.failed_builds,
    "cpu_allocation_ratio": lambda host: host.cpu_ratio,
    "ram_allocation_ratio": lambda host: host.ram_ratio,
    "disk_allocation_ratio": lambda host: host.disk_ratio,
    "labels": lambda host: dict(host.labels),
}
_PREDICATE = re.compile(r"\s*(<=|>=|<|>|!=|==)\s*(\d+(?:\.\d+)*)\s*", re.ASCII)
_COMPARE: Mapping[str, Callable[[list[int], list[int]], bool]] = {
    "<=": lambda have, want: have <= want,
    ">=": lambda have, want: have >= want,
    "<": lambda have, want: have < want,
    ">": lambda have, want: have > want,
    "!=": lambda have, want: have != want,
    "==": lambda have, want: have == want,
}
_CANONICAL = {
    "i386": "i686",
    "i486": "i686",
    "i586": "i686",
    "x86_32": "i686",
    "amd64": "x86_64",
    "arm64": "aarch64",
    "xapi": "xen",
    "hv": "hvm",
    "pv": "xen",
    "baremetal": "hvm",
}


def attribute(host: HostState, path: list[str]) -> object:
    """What a host says under a name, or None: a fact of the scheduler's, else of its capabilities.

    Further words look into mappings; a text that is JSON is read for that.
    """
    read = ATTRIBUTES.get(path[0])
    value = read(host) if read is not None else None
    if value is None:
        value = host.capabilities.get(path[0])
    for word in path[1:]:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return None
        if not isinstance(value, Mapping):
            return None
        value = value.get(word)
    return value


def has_capabilities(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """Each extra spec in the scope `capabilities` is met by what the host says of itself.

    An extra spec without a scope counts only where the host knows the name at all.
    """
    for key, requirement in request.flavor.extra_specs.items():
        path, wanted = key.split(":"), requirement
        if key == "hw:maxphysaddr_bits":
            path, wanted = ["cpu_info", "maxphysaddr", "bits"], f">= {requirement}"
        elif path[0] == "capabilities" and len(path) > 1:
            path = path[1:]
        elif len(path) > 1 or (key not in ATTRIBUTES and key not in host.capabilities):
            continue
        value = attribute(host, path)
        if value is None:
            return Refusal(f"does not say what its {':'.join(path)} is, must be {wanted!r}")
        reason = misfit(str(value), wanted)
        if reason is not None:
            return Refusal(f"its {':'.join(path)} {reason}")
    return None


def suits_image(host: HostState, request: RequestSpec, scene: Scene) -> Refusal | None:
    """The host runs the architecture, hypervisor type and mode that the image asks for.

    A hypervisor version is judged only when one of the three is asked for, as Nova does it.
    """
    properties: Mapping[str, object] = request.image.properties if request.image else {}
    wanted = _wishes(properties, scene.options.image_properties_default_architecture)
    if not any(wanted):
        return None
    if not host.supported:
        return Refusal("does not say which guests it supports")
    supported = [tuple(_canonical(part) for part in each) for each in host.supported]
    if not any(all(part is None or part in each for part in wanted) for each in supported):
        words = ", ".join(part for part in wanted if part)
        there = "; ".join(", ".join(each) for each in supported)
        return Refusal(f"the image needs {words}, the host runs {there}")
    return _suits_version(host, properties)


def image_judged(request: RequestSpec, scene: Scene) -> bool:
    """Whether an image, or the default architecture, may ask something of the hosts."""
    return request.image is not None or bool(scene.options.image_properties_default_architecture)


def _wishes(
    properties: Mapping[str, object], default_arch: str | None
) -> tuple[str | None, str | None, str | None]:
    def wish(*names: str) -> str | None:
        value = next((properties[name] for name in names if properties.get(name)), None)
        return _canonical(str(value)) if value is not None else None

    arch = wish("hw_architecture", "architecture")
    if arch is None and default_arch:
        arch = _canonical(default_arch)
    return arch, wish("img_hv_type", "hypervisor_type"), wish("hw_vm_mode", "vm_mode")


def _suits_version(host: HostState, properties: Mapping[str, object]) -> Refusal | None:
    wanted = properties.get("img_hv_requested_version") or properties.get(
        "hypervisor_version_requires"
    )
    if not wanted:
        return None
    have = version_of(host.hypervisor_version)
    if have is None:
        return Refusal(f"does not say its hypervisor's version, must be {wanted}")
    for predicate in str(wanted).split(","):
        match = _PREDICATE.fullmatch(predicate)
        if match is None:
            return Refusal(f"the image asks for a version that cannot be read: {wanted!r}")
        want = [int(part) for part in match[2].split(".")]
        size = max(len(have), len(want))
        padded = [numbers + [0] * (size - len(numbers)) for numbers in (have, want)]
        if not _COMPARE[match[1]](*padded):
            said = ".".join(str(part) for part in have)
            return Refusal(f"its hypervisor's version is {said}, the image needs {wanted}")
    return None


def version_of(version: float | str | None) -> list[int] | None:
    """A hypervisor's version in its parts, be it libvirt's number (8002000) or a text (8.2.0)."""
    if version is None or version == "":
        return None
    if isinstance(version, str) and not version.isdecimal():
        parts = version.split(".")
        if not all(part.isdecimal() and part.isascii() for part in parts):
            return None
        return [int(part) for part in parts]
    number = int(version)
    return [number // 1_000_000, number // 1000 % 1000, number % 1000]


def _canonical(name: str) -> str:
    lowered = name.strip().lower()
    return _CANONICAL.get(lowered, lowered)
