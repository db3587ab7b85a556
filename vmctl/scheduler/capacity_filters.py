"""Filters on what a host can still take; the aggregates' variants read their ratio there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.cpus import short
from vmctl.domain.placement import Refusal
from vmctl.domain.resources import format_size

if TYPE_CHECKING:
    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.scene import Scene


def enough_memory(host: HostState, _request: RequestSpec, scene: Scene) -> Refusal | None:
    """The memory fits into total × ratio, and a server never overcommits against itself."""
    return _memory(host, scene, host.ram_ratio)


def enough_memory_by_aggregate(
    host: HostState, _request: RequestSpec, scene: Scene
) -> Refusal | None:
    """As `enough_memory`, by the smallest ratio that an aggregate sets."""
    ratio = scene.aggregates(host.name).least("ram_allocation_ratio", host.ram_ratio)
    return _memory(host, scene, ratio)


def enough_cores(host: HostState, _request: RequestSpec, scene: Scene) -> Refusal | None:
    """The vCPUs fit into total × ratio; a host that does not say how many it has passes.

    So does every host for who has CPUs of its own: those are none of them.
    """
    return _cores(host, scene, host.cpu_ratio)


def enough_cores_by_aggregate(
    host: HostState, _request: RequestSpec, scene: Scene
) -> Refusal | None:
    """As `enough_cores`, by the smallest ratio that an aggregate sets."""
    ratio = scene.aggregates(host.name).least("cpu_allocation_ratio", host.cpu_ratio)
    return _cores(host, scene, ratio)


def dedicated_asked(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the servers are to run on anything but CPUs that all share."""
    return request.cpu_policy != "shared"


def enough_dedicated(host: HostState, request: RequestSpec, scene: Scene) -> Refusal | None:
    """The host has so many CPUs left that it gives out one by one; there is no overcommit."""
    if request.cpu_policy not in ("shared", "dedicated"):
        return Refusal(f"hw:cpu_policy={request.cpu_policy} is not known: shared and dedicated are")
    need, total = scene.need.dedicated, host.total.dedicated
    free = max(total - host.taken.dedicated, 0)
    return Refusal(short(need, free, total), need, free) if need > free else None


def enough_disk(host: HostState, _request: RequestSpec, scene: Scene) -> Refusal | None:
    """The disks fit into total × ratio, and into what the pool says is available."""
    return _disk(host, scene, host.disk_ratio)


def enough_disk_by_aggregate(
    host: HostState, _request: RequestSpec, scene: Scene
) -> Refusal | None:
    """As `enough_disk`, by the smallest ratio that an aggregate sets."""
    ratio = scene.aggregates(host.name).least("disk_allocation_ratio", host.disk_ratio)
    return _disk(host, scene, ratio)


def few_instances(host: HostState, _request: RequestSpec, scene: Scene) -> Refusal | None:
    """Fewer servers stand on the host than the policy allows."""
    return _instances(host, scene.options.max_instances_per_host)


def few_instances_by_aggregate(
    host: HostState, _request: RequestSpec, scene: Scene
) -> Refusal | None:
    """As `few_instances`, by the smallest limit that an aggregate sets."""
    limit = scene.options.max_instances_per_host
    return _instances(host, scene.aggregates(host.name).least("max_instances_per_host", limit, int))


def few_io_ops(host: HostState, _request: RequestSpec, scene: Scene) -> Refusal | None:
    """Fewer builds, snapshots and the like run on the host than the policy allows."""
    return _io_ops(host, scene.options.max_io_ops_per_host)


def few_io_ops_by_aggregate(host: HostState, _request: RequestSpec, scene: Scene) -> Refusal | None:
    """As `few_io_ops`, by the smallest limit that an aggregate sets."""
    limit = scene.options.max_io_ops_per_host
    return _io_ops(host, scene.aggregates(host.name).least("max_io_ops_per_host", limit, int))


def _memory(host: HostState, scene: Scene, ratio: float) -> Refusal | None:
    need, total = scene.need.memory, host.total.memory
    free = total * ratio - (host.reserved.memory + host.taken.memory)
    if need <= free and need <= total:
        return None
    if need > total:
        return _larger_than_all(need, total)
    claimed = _claimed(host.taken.memory, host.foreign.memory, host.reserved.memory)
    return _short(need, free, total, ratio, claimed)


def _cores(host: HostState, scene: Scene, ratio: float) -> Refusal | None:
    need, total = scene.need.vcpus, host.total.vcpus
    free = total * ratio - (host.reserved.vcpus + host.taken.vcpus)
    if scene.need.dedicated:
        return None
    if total <= 0 < host.total.dedicated:
        return Refusal(f"needs {_vcpus(need)}, the host has none that is shared", need, 0)
    if total <= 0 or (need <= free and need <= total):
        return None
    if need > total:
        return Refusal(f"needs {_vcpus(need)}, the host has {total} in all", need, total)
    words = [f"needs {_vcpus(need)}, {_short_number(free)} free of {total} × {float(ratio)}"]
    words.append(f"{host.taken.vcpus} claimed")
    if host.foreign.vcpus:
        words[-1] += f" ({host.foreign.vcpus} by foreign guests)"
    if host.reserved.vcpus:
        words.append(f"{host.reserved.vcpus} reserved")
    return Refusal(", ".join(words), need, free)


def _disk(host: HostState, scene: Scene, ratio: float) -> Refusal | None:
    need, total, available = scene.need.disk, host.total.disk, host.disk_available
    free = total * ratio - (host.reserved.disk + host.taken.disk)
    if need <= free and need <= total and (available is None or need <= available):
        return None
    if need > total:
        return _larger_than_all(need, total)
    if available is not None and available < free:
        needs, has = _told_apart(need, available)
        return Refusal(f"needs {needs}, the pool has {has} available", need, available)
    claimed = _claimed(host.taken.disk, host.foreign.disk, host.reserved.disk)
    return _short(need, free, total, ratio, claimed)


def _instances(host: HostState, limit: float) -> Refusal | None:
    if host.num_instances < limit:
        return None
    words = f"{host.num_instances} servers are there, {_short_number(limit)} is the limit"
    return Refusal(words, host.num_instances + 1, limit)


def _io_ops(host: HostState, limit: float) -> Refusal | None:
    if host.num_io_ops < limit:
        return None
    words = f"{host.num_io_ops} I/O-heavy jobs run there, {_short_number(limit)} is the limit"
    return Refusal(words, host.num_io_ops + 1, limit)


def _larger_than_all(need: int, total: int) -> Refusal:
    needs, has = _told_apart(need, total)
    return Refusal(f"needs {needs}, the host has {has} in all", need, total)


def _short(need: int, free: float, total: int, ratio: float, claimed: str) -> Refusal:
    needs, has = _told_apart(need, free)
    room = f"{has} free of {format_size(total)} × {float(ratio)}"
    return Refusal(f"needs {needs}, {room}, {claimed}", need, free)


def _told_apart(need: float, have: float) -> tuple[str, str]:
    """Both sizes in words, and in MiB where rounding would make them look alike."""
    words = format_size(need), format_size(have)
    return words if words[0] != words[1] else (f"{need:.7g} MiB", f"{have:.7g} MiB")


def _claimed(taken: int, foreign: int, reserved: int) -> str:
    words = f"{format_size(taken)} claimed"
    if foreign:
        words += f" ({format_size(foreign)} by foreign guests)"
    if reserved:
        words += f", {format_size(reserved)} reserved"
    return words


def _vcpus(number: int) -> str:
    return f"{number} vCPU" if number == 1 else f"{number} vCPUs"


def _short_number(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
