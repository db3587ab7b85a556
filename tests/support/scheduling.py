"""Builders of what the scheduler works on, with defaults that fit together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.fleet import Aggregate, Fleet, Group, HostState
from vmctl.domain.request import FlavorSpec, ImageSpec, RequestSpec
from vmctl.domain.resources import Resources, parse_size
from vmctl.scheduler.policy import Policy
from vmctl.scheduler.scene import Scene, scene_of, settle

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def a_host(
    name: str = "kvm1",
    *,
    vcpus: int = 16,
    memory: str = "64GiB",
    disk: str = "1TiB",
    taken: Resources | None = None,
    **other: object,
) -> HostState:
    total = Resources(vcpus=vcpus, memory=parse_size(memory), disk=parse_size(disk))
    host = HostState(name=name, total=total, taken=taken or Resources())
    return replace(host, **other)  # type: ignore[arg-type]  # tests pass fields by their names


def amount(vcpus: int = 0, memory: str = "0M", disk: str = "0M") -> Resources:
    return Resources(vcpus=vcpus, memory=parse_size(memory), disk=parse_size(disk))


def a_flavor(
    *, vcpus: int = 1, memory: str = "2GiB", disk: str = "10GiB", **other: object
) -> FlavorSpec:
    flavor = FlavorSpec(
        name="m1.small", vcpus=vcpus, memory=parse_size(memory), disk=parse_size(disk)
    )
    return replace(flavor, **other)  # type: ignore[arg-type]  # tests pass fields by their names


def a_request(flavor: FlavorSpec | None = None, /, **other: object) -> RequestSpec:
    request = RequestSpec(flavor=flavor or a_flavor())
    return replace(request, **other)  # type: ignore[arg-type]  # tests pass fields by their names


def an_image(**properties: object) -> ImageSpec:
    return ImageSpec(id="debian", name="Debian 12", properties=properties)


def a_fleet(
    *hosts: HostState, aggregates: Iterable[Aggregate] = (), groups: Iterable[Group] = ()
) -> Fleet:
    return Fleet(hosts=hosts, aggregates=tuple(aggregates), groups=tuple(groups))


def an_aggregate(
    *hosts: str, name: str = "some", metadata: Mapping[str, str] | None = None
) -> Aggregate:
    return Aggregate(name=name, hosts=frozenset(hosts), metadata=metadata or {})


def a_scene(
    fleet: Fleet, request: RequestSpec, policy: Policy | None = None
) -> tuple[list[HostState], Scene]:
    """The hosts as filters and weighers get them, and the scene."""
    scene = scene_of(request, fleet, policy or Policy())
    return settle(fleet.hosts, request, scene), scene
