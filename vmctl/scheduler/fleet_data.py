"""A fleet written as a file; docs/scheduler.md has the format."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from vmctl.scheduler.fleet_file import VERSION
from vmctl.scheduler.policy import Options

if TYPE_CHECKING:
    from vmctl.domain.fleet import Fleet, HostState, Pool
    from vmctl.scheduler.policy import Policy

_GIB = 1024


def fleet_data(fleet: Fleet, policy: Policy) -> dict[str, object]:
    """Write a fleet as such a file; what is reserved counts as used there."""
    return {
        "version": VERSION,
        "hosts": [_host_data(host) for host in fleet.hosts],
        "aggregates": [
            {"name": each.name, "hosts": sorted(each.hosts), "metadata": dict(each.metadata)}
            for each in fleet.aggregates
        ],
        "groups": [
            {
                "name": group.name,
                "policy": group.policy,
                "members": sorted(group.members),
                "max_server_per_host": group.max_server_per_host,
            }
            for group in fleet.groups
        ],
        "policy": {
            "filters": list(policy.filters),
            "weighers": dict(policy.weighers),
            "host_subset_size": policy.host_subset_size,
            "max_attempts": policy.max_attempts,
            "tie": policy.tie,
            "options": {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in asdict(policy.options).items()
                if value != getattr(Options(), key)
            },
        },
    }


def _host_data(host: HostState) -> dict[str, object]:
    used = host.taken + host.reserved
    data: dict[str, object] = {
        "name": host.name,
        "zone": host.zone,
        "enabled": host.enabled,
        "up": host.up,
        "vcpus": host.total.vcpus,
        "vcpus_used": used.vcpus,
        "memory_mb": host.total.memory,
        "memory_mb_used": used.memory,
        "disk_gb": _in_gib(host.total.disk),
        "disk_gb_used": _in_gib(used.disk),
        "cpu_ratio": host.cpu_ratio,
        "ram_ratio": host.ram_ratio,
        "disk_ratio": host.disk_ratio,
        "num_instances": host.num_instances,
        "num_io_ops": host.num_io_ops,
        "failed_builds": host.failed_builds,
        "hypervisor_type": host.hypervisor_type,
        "hypervisor_version": host.hypervisor_version,
        "arch": host.arch,
        "labels": dict(host.labels),
        "servers": sorted(host.servers),
    }
    further: dict[str, object] = {
        "dedicated_cpus": host.total.dedicated or None,
        "dedicated_cpus_used": used.dedicated or None,
        "disabled_reason": host.disabled_reason,
        "down_reason": host.down_reason,
        "sample_age": host.sample_age,
        "disk_gb_available": _in_gib(host.disk_available),
        "disk_shared": host.disk_shared,
        "supported_instances": [list(each) for each in host.supported],
        "capabilities": dict(host.capabilities) or None,
        "networks": _sorted(host.networks),
        "guests": _sorted(host.guests),
        "images": _sorted(host.images),
        "pools": None if host.pools is None else [_pool_data(pool) for pool in host.pools],
        "claims": None
        if host.claims is None
        else [
            {
                "vcpus": each.vcpus,
                "memory_mb": each.memory,
                "disk_gb": _in_gib(each.disk),
                **({"dedicated_cpus": each.dedicated} if each.dedicated else {}),
            }
            for each in host.claims
        ],
        "pressure": None if host.pressure is None else asdict(host.pressure),
    }
    return data | {key: value for key, value in further.items() if value is not None}


def _pool_data(pool: Pool) -> dict[str, object]:
    return {
        "name": pool.name,
        "disk_gb": _in_gib(pool.total),
        "disk_gb_used": _in_gib(pool.taken + pool.reserved),
        "disk_gb_available": _in_gib(pool.available),
        "active": pool.active,
        "shared": pool.shared,
    }


def _in_gib(size: int | None) -> float | None:
    if size is None:
        return None
    return size // _GIB if size % _GIB == 0 else size / _GIB


def _sorted(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)
