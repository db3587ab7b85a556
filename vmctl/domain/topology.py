"""The NUMA nodes and the CPUs of a server, as Nova tells them: from its flavor, image and plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.hardware import hardware_of

if TYPE_CHECKING:
    from vmctl.domain.hardware import Hardware
    from vmctl.domain.spec import ServerSpec

_PAGES = {"small": 4, "any": 4}
"""KiB of the pages that everybody has, which is what any are here."""


def topology_of(spec: ServerSpec, cpus: tuple[int, ...]) -> dict[str, object]:
    """Tell the nodes of a server, and which CPUs of its host its vCPUs have for their own.

    One that asks for none of it has no nodes. Which node of its host each stands on is not planned,
    and the size of large pages is chosen there.
    """
    wished = hardware_of(spec.image.properties, spec.flavor.extra_specs)
    vcpus, memory = spec.flavor.vcpus, spec.flavor.memory
    count = wished.numa_nodes or (1 if cpus or wished.page_size is not None else 0)
    pages = wished.page_size
    size = _PAGES.get(pages) if isinstance(pages, str) else pages
    nodes = [
        {
            "vcpu_set": held,
            "memory_mb": memory // count,
            "host_node": None,
            "cpu_pinning": {str(one): cpus[one] for one in held} if len(cpus) == vcpus else None,
            "siblings": _siblings(wished, vcpus, held),
        }
        for held in (_part(vcpus, count, at) for at in range(count))
    ]
    return {"nodes": nodes, "pagesize_kb": size}


def _part(vcpus: int, count: int, at: int) -> list[int]:
    each = vcpus // count
    return list(range(at * each, (at + 1) * each))


def _siblings(wished: Hardware, vcpus: int, held: list[int]) -> list[list[int]]:
    """Give the vCPUs that the guest sees as threads of one core."""
    seen = wished.topology(vcpus)
    threads = seen[2] if seen is not None else 1
    if threads == 1:
        return []
    return [held[at : at + threads] for at in range(0, len(held), threads)]
