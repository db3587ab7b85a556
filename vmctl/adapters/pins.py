"""To which CPUs a domain's XML binds it."""

from __future__ import annotations

import re

from vmctl.domain.cpus import format_cpus, read_cpus

_BOUND = re.compile(
    r"""<(?:vcpu|vcpupin|emulatorpin|iothreadpin)\b[^<>]*\scpuset=(?:'([^']*)'|"([^"]*)")"""
)
_PINNED = re.compile(r"<vcpupin\b[^<>]*>")
_ATTRIBUTE = re.compile(r"""\b(vcpu|cpuset)=(?:'([^']*)'|"([^"]*)")""")


def find_pins(xml: str) -> str:
    """Give every CPU that a domain, or a part of it, is bound to, as ranges; '' if it is to none.

    One that is bound to none may run on all of them, and nobody has said so.
    """
    return format_cpus(
        cpu for match in _BOUND.finditer(xml) for cpu in read_cpus(match[1] or match[2])
    )


def find_own_cpus(xml: str) -> tuple[int, ...]:
    """Give the CPU of each vCPU in their order, where each is pinned to a single one."""
    found: dict[int, frozenset[int]] = {}
    for element in _PINNED.findall(xml):
        said = {match[1]: match[2] or match[3] or "" for match in _ATTRIBUTE.finditer(element)}
        if said.get("vcpu", "").isdecimal():
            found[int(said["vcpu"])] = read_cpus(said.get("cpuset"))
    if sorted(found) != list(range(len(found))) or any(len(one) != 1 for one in found.values()):
        return ()
    return tuple(next(iter(found[vcpu])) for vcpu in sorted(found))
