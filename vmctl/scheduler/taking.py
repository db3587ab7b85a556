"""What a host looks like once a server of the request is placed on it, or on one near it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.resources import Resources

if TYPE_CHECKING:
    from vmctl.domain.fleet import HostState
    from vmctl.scheduler.scene import Scene


def take(host: HostState, scene: Scene) -> HostState:
    """The host with one server more: it takes exactly the claim, and its build is an I/O job."""
    left = host.disk_available
    return replace(
        host,
        taken=host.taken + scene.need,
        disk_available=None if left is None else left - scene.need.disk,
        num_instances=host.num_instances + 1,
        num_io_ops=host.num_io_ops + 1,
        members=host.members + (scene.group is not None),
    )


def lose_disk(host: HostState, scene: Scene) -> HostState:
    """The host after a server took its disk from the pool that both share."""
    left = host.disk_available
    return replace(
        host,
        taken=host.taken + Resources(disk=scene.need.disk),
        disk_available=None if left is None else left - scene.need.disk,
    )


def gain_neighbour(host: HostState) -> HostState:
    """The host after a peer of the request was placed near it."""
    return replace(host, nearby=host.nearby + 1)
