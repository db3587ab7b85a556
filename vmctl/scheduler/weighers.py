"""The weighers by name: each is one number for a host, and the higher weight wins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.scheduler.capability_filters import version_of
from vmctl.scheduler.scene import Scene, Weigher

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec


def spare_memory(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
    """The memory that nobody holds, in MiB, without overcommit."""
    return host.spare_memory


def spare_vcpus(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
    """The vCPUs left of the overcommitted total."""
    return host.spare_vcpus


def spare_disk(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
    """The disk that nobody holds, in MiB, at most what the pool has available."""
    return host.spare_disk


def io_ops(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
    """Builds, snapshots and the like that run on the host now."""
    return host.num_io_ops


def instances(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
    """Servers that stand on the host."""
    return host.num_instances


def failed_builds(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
    """Builds that failed on the host since the last one that did not."""
    return host.failed_builds


def hypervisor_version(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
    """The hypervisor's version as libvirt's number (8002000 for 8.2.0), 0 where it is not known."""
    parts = version_of(host.hypervisor_version)
    if parts is None:
        return 0
    major, minor, micro = (*parts, 0, 0, 0)[:3]
    return major * 1_000_000 + minor * 1000 + micro


def softly_together(host: HostState, _request: RequestSpec, scene: Scene) -> float:
    """Members of a soft-affinity group on the host."""
    soft = scene.group is not None and scene.group.policy == "soft-affinity"
    return host.members if soft else 0


def softly_apart(host: HostState, _request: RequestSpec, scene: Scene) -> float:
    """Members of a soft-anti-affinity group on the host, as a number below zero."""
    soft = scene.group is not None and scene.group.policy == "soft-anti-affinity"
    return -host.members if soft else 0


def image_is_there(host: HostState, request: RequestSpec, _scene: Scene) -> float:
    """1 where the base image is already on the host, else 0."""
    if host.images is None or request.image is None:
        return 0
    return 1 if request.image.id in host.images else 0


def pressure(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
    """The worst of the pressures that the host tells of, in percent; 0 where it tells of none."""
    told = host.pressure
    if told is None:
        return 0
    return max(told.cpu or 0, told.memory or 0, told.io or 0, told.steal or 0)


def spread(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
    """Servers of the same group or request under the same label value, as a number below zero."""
    return -host.nearby


def _softly_together_asked(_request: RequestSpec, scene: Scene) -> bool:
    return scene.group is not None and scene.group.policy == "soft-affinity"


def _softly_apart_asked(_request: RequestSpec, scene: Scene) -> bool:
    return scene.group is not None and scene.group.policy == "soft-anti-affinity"


def _image_asked(request: RequestSpec, _scene: Scene) -> bool:
    return request.image is not None and request.image.id is not None


WEIGHERS: Mapping[str, Weigher] = {
    "RAM": Weigher(spare_memory, "ram_weight_multiplier", floor=0.0),
    "CPU": Weigher(spare_vcpus, "cpu_weight_multiplier", floor=0.0),
    "Disk": Weigher(spare_disk, "disk_weight_multiplier", floor=0.0),
    "IoOps": Weigher(io_ops, "io_ops_weight_multiplier", floor=0.0),
    "NumInstances": Weigher(instances, "num_instances_weight_multiplier"),
    "ServerGroupSoftAffinity": Weigher(
        softly_together, "soft_affinity_weight_multiplier", applies=_softly_together_asked
    ),
    "ServerGroupSoftAntiAffinity": Weigher(
        softly_apart, "soft_anti_affinity_weight_multiplier", applies=_softly_apart_asked
    ),
    "BuildFailure": Weigher(failed_builds, "build_failure_weight_multiplier", negated=True),
    "HypervisorVersion": Weigher(hypervisor_version, "hypervisor_version_weight_multiplier"),
    "ImageLocality": Weigher(
        image_is_there, "image_locality_weight_multiplier", applies=_image_asked
    ),
    "Pressure": Weigher(pressure, "pressure_weight_multiplier", floor=0.0),
    "Spread": Weigher(spread, "spread_weight_multiplier"),
}
