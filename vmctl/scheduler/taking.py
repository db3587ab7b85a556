"""What a host looks like once servers of the request are placed on it, or on one near it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.fleet import Fleet, HostState, Pool
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.scene import Scene


def take(host: HostState, scene: Scene, times: int = 1) -> HostState:
    """The host with more servers: each takes exactly the claim, and its build is an I/O job."""
    need, left = scene.need, host.disk_available
    return replace(
        host,
        taken=host.taken + _times(need, times),
        disk_available=None if left is None else left - need.disk * times,
        num_instances=host.num_instances + times,
        num_io_ops=host.num_io_ops + times,
        members=host.members + (times if scene.group is not None else 0),
    )


def lose_disk(host: HostState, disk: int) -> HostState:
    """The host after a server took its disk from the pool that both share."""
    left = host.disk_available
    return replace(
        host,
        taken=host.taken + Resources(disk=disk),
        disk_available=None if left is None else left - disk,
    )


def gain_neighbour(host: HostState) -> HostState:
    """The host after a peer of the request was placed near it."""
    return replace(host, nearby=host.nearby + 1)


def load(fleet: Fleet, request: RequestSpec, chosen: Mapping[str, int]) -> Fleet:
    """The fleet once servers of a request stand on it, so many on each host that is named.

    They count as our claims there. They have no ids yet: to groups and hints they are unseen.
    """
    claim = request.claim
    drained: dict[str, int] = {}
    for host in fleet.hosts:
        shared = _share(host, request.pool)
        if shared is not None and chosen.get(host.name):
            drained[shared] = drained.get(shared, 0) + claim.disk * chosen[host.name]
    hosts = []
    for host in fleet.hosts:
        count = chosen.get(host.name, 0)
        shared = _share(host, request.pool)
        disk = claim.disk * count if shared is None else drained.get(shared, 0)
        hosts.append(_loaded(host, request, count, disk) if count or disk else host)
    return replace(fleet, hosts=tuple(hosts))


def _loaded(host: HostState, request: RequestSpec, count: int, disk: int) -> HostState:
    size = replace(_times(request.claim, count), disk=0)
    host = replace(
        host,
        taken=host.taken + size,
        num_instances=host.num_instances + count,
        num_io_ops=host.num_io_ops + count,
    )
    if _pool(host, request.pool) is None:
        return lose_disk(host, disk)
    return replace(
        host,
        pools=tuple(
            _drained(pool, disk) if pool.name == request.pool else pool for pool in host.pools or ()
        ),
    )


def _drained(pool: Pool, disk: int) -> Pool:
    left = pool.available
    return replace(pool, taken=pool.taken + disk, available=None if left is None else left - disk)


def _share(host: HostState, wanted: str | None) -> str | None:
    pool = _pool(host, wanted)
    return host.disk_shared if pool is None else pool.shared


def _pool(host: HostState, wanted: str | None) -> Pool | None:
    return next((pool for pool in host.pools or () if pool.name == wanted), None)


def _times(need: Resources, times: int) -> Resources:
    return Resources(
        vcpus=need.vcpus * times,
        memory=need.memory * times,
        disk=need.disk * times,
        dedicated=need.dedicated * times,
    )
