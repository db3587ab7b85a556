"""Filters on what a host is and has: in service, in the zone, with the network and the pool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.placement import Refusal
from vmctl.scheduler.specs import misfit

if TYPE_CHECKING:
    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.scene import Scene

_LABEL = "label:"


def any_host(_host: HostState, _request: RequestSpec, _scene: Scene) -> Refusal | None:
    """Every host passes."""
    return None


def in_service(host: HostState, _request: RequestSpec, scene: Scene) -> Refusal | None:
    """The host is enabled, up, and was looked at not long ago, by whichever clock is ahead."""
    if not host.enabled:
        return Refusal(_because("is disabled", host.disabled_reason))
    if not host.up:
        return Refusal(_because("is down", host.down_reason))
    age, limit = host.sample_age, scene.options.max_sample_age
    if age is None or abs(age) <= limit:
        return None
    when = f"{age:.0f} s old" if age > 0 else f"{-age:.0f} s in the future"
    return Refusal(f"its last sample is {when}, {limit:.0f} s is the limit", limit, age)


def in_zone(host: HostState, request: RequestSpec, scene: Scene) -> Refusal | None:
    """The host is in the zone asked for, by its own zone or by an aggregate's."""
    wanted = request.availability_zone
    if not wanted:
        return None
    membership = scene.aggregates(host.name)
    zones = set(membership.words("availability_zone"))
    if host.zone is not None:
        zones.add(host.zone)
    if not zones:
        zones = {scene.options.default_availability_zone}
    if wanted in zones:
        return None
    return Refusal(f"is in zone {', '.join(sorted(zones))}, not in {wanted}")


def zone_asked(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the request asks for a zone."""
    return bool(request.availability_zone)


def is_requested(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """It is the host asked for, by its exact name."""
    if request.host is None or request.host == host.name:
        return None
    return Refusal(f"{request.host} was asked for")


def is_forced(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """It is the host that the request forces, whatever the case of its letters."""
    if request.force_host is None or request.force_host.lower() == host.name.lower():
        return None
    return Refusal(f"{request.force_host} is forced")


def not_ignored(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """The request does not ask to leave the host out, whatever the case of its letters."""
    if not request.ignore_hosts or host.name.lower() not in {
        name.lower() for name in request.ignore_hosts
    }:
        return None
    return Refusal("the request leaves it out")


def not_tried(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """No earlier attempt of this request failed on the host."""
    if host.name not in request.tried:
        return None
    return Refusal("an earlier attempt failed here")


def has_networks(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """The host has every network asked for."""
    if host.networks is None:
        return None
    missing = [name for name in request.networks if name not in host.networks]
    if not missing:
        return None
    there = ", ".join(sorted(host.networks)) or "none"
    return Refusal(f"has no network {', '.join(missing)} (it has: {there})")


def networks_asked(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the request asks for networks."""
    return bool(request.networks)


def has_pool(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """The host has the storage pool asked for, and the pool is active."""
    if request.pool is None or host.pools is None:
        return None
    for pool in host.pools:
        if pool.name == request.pool:
            return None if pool.active else Refusal(f"its pool {pool.name} is not active")
    there = ", ".join(sorted(pool.name for pool in host.pools)) or "none"
    return Refusal(f"has no pool {request.pool} (it has: {there})")


def pool_asked(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the request asks for a pool."""
    return request.pool is not None


def name_is_free(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """No guest that is not ours bears a wanted name there."""
    for name in request.names if host.guests else ():
        if host.guests is not None and name in host.guests:
            return Refusal(f"a guest named {name} that is not ours is there")
    return None


def names_given(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the servers' names are known."""
    return bool(request.names)


def at_ease(host: HostState, _request: RequestSpec, scene: Scene) -> Refusal | None:
    """The host is not under more pressure than the policy allows; what is not known passes."""
    pressure, options = host.pressure, scene.options
    if pressure is None:
        return None
    load = None
    cpus = host.total.vcpus + host.total.dedicated
    if pressure.load is not None and cpus > 0:
        load = pressure.load / cpus
    for what, have, limit, unit in (
        ("processor pressure", pressure.cpu, options.max_pressure, " %"),
        ("memory pressure", pressure.memory, options.max_pressure, " %"),
        ("I/O pressure", pressure.io, options.max_pressure, " %"),
        ("stolen processor time", pressure.steal, options.max_steal, " %"),
        ("load per vCPU", load, options.max_load, ""),
    ):
        if have is not None and have > limit:
            words = f"{what} is {have:.1f}{unit}, {limit:.1f}{unit} is the limit"
            return Refusal(words, limit, have)
    return None


def has_labels(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """The host's labels are as the request, or the flavor by `label:NAME` extra specs, asks."""
    for name, requirement in _labels(request):
        reason = misfit(host.labels.get(name), requirement)
        if reason is not None:
            lacking = "is not set, must be " + repr(requirement)
            return Refusal(f"label {name} {reason if name in host.labels else lacking}")
    return None


def labels_asked(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the request or its flavor asks for labels."""
    return bool(_labels(request))


def _labels(request: RequestSpec) -> list[tuple[str, str]]:
    scoped = [
        (key.removeprefix(_LABEL), requirement)
        for key, requirement in request.flavor.extra_specs.items()
        if key.startswith(_LABEL)
    ]
    return [*request.labels.items(), *scoped]


def _because(what: str, reason: str | None) -> str:
    return f"{what}: {reason}" if reason else what
