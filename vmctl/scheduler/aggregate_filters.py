"""Filters on the metadata of a host's aggregates, and on hosts kept for certain images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.placement import Refusal
from vmctl.scheduler.specs import misfit

if TYPE_CHECKING:
    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.scene import Scene

_SCOPE = "aggregate_instance_extra_specs"
_TENANTS = "filter_tenant_id"


def extra_specs_in_aggregates(
    host: HostState, request: RequestSpec, scene: Scene
) -> Refusal | None:
    """Each extra spec, unscoped or in this filter's scope, is met by some aggregate of the host."""
    membership = scene.aggregates(host.name)
    for key, requirement in request.flavor.extra_specs.items():
        scope, colon, name = key.partition(":")
        if colon and scope != _SCOPE:
            continue
        name = name if colon else key
        values = sorted(membership.words(name)) if name in membership.metadata else []
        reasons = [misfit(value, requirement) for value in values]
        if not reasons:
            return Refusal(f"no aggregate of the host sets {name}, must be {requirement!r}")
        if None not in reasons:
            return Refusal(f"in its aggregates {name} {reasons[0]}")
    return None


def has_extra_specs(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the flavor has extra specs."""
    return bool(request.flavor.extra_specs)


def open_to_project(host: HostState, request: RequestSpec, scene: Scene) -> Refusal | None:
    """No aggregate keeps the host for certain projects, or the request's is among them."""
    membership = scene.aggregates(host.name)
    keys = [key for key in membership.metadata if key.startswith(_TENANTS)]
    if not keys:
        return None
    projects = frozenset().union(*(membership.words(key) for key in keys))
    if request.project in projects:
        return None
    return Refusal(f"is kept for the projects {', '.join(sorted(projects))}")


def image_allowed_by_aggregates(
    host: HostState, request: RequestSpec, scene: Scene
) -> Refusal | None:
    """No image property contradicts an aggregate's metadata of the same name."""
    properties = request.image.properties if request.image is not None else {}
    membership = scene.aggregates(host.name)
    for key in membership.metadata:
        value = properties.get(key)
        if value is not None and str(value) not in (allowed := membership.words(key)):
            among = ", ".join(sorted(allowed))
            return Refusal(f"the image's {key} is {value}, its aggregates allow {among}")
    return None


def has_image_properties(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the request's image has properties."""
    return request.image is not None and bool(request.image.properties)


def flavor_allowed_by_aggregates(
    host: HostState, request: RequestSpec, scene: Scene
) -> Refusal | None:
    """No aggregate keeps the host for certain flavors, or the request's is among them."""
    membership = scene.aggregates(host.name)
    if "instance_type" not in membership.metadata:
        return None
    allowed = membership.words("instance_type")
    if request.flavor.name in allowed:
        return None
    return Refusal(f"is kept for the flavors {', '.join(sorted(allowed))}")


def isolated_as_the_image(host: HostState, request: RequestSpec, scene: Scene) -> Refusal | None:
    """Isolated images stand on isolated hosts, and, where restricted, nothing else does."""
    options = scene.options
    isolated_host = host.name in options.isolated_hosts
    restricted = options.restrict_isolated_hosts_to_isolated_images
    image = request.image
    isolated_image = image is not None and (
        image.id in options.isolated_images or image.name in options.isolated_images
    )
    if restricted and isolated_host and not isolated_image:
        return Refusal("is kept for isolated images")
    if isolated_image and not isolated_host:
        return Refusal("the image must stand on an isolated host")
    return None
