"""Filters on other servers: the request's group, and servers that its hints name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.placement import Refusal

if TYPE_CHECKING:
    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.scene import Scene


def apart_from_group(host: HostState, request: RequestSpec, scene: Scene) -> Refusal | None:
    """Fewer members of an anti-affinity group are on the host than it allows, or it is a member."""
    group = scene.group
    if group is None or group.policy != "anti-affinity" or request.server in host.servers:
        return None
    limit = group.max_server_per_host
    if host.members < limit:
        return None
    members = "1 server" if host.members == 1 else f"{host.members} servers"
    words = f"{members} of group {group.name} here, {limit} allowed"
    return Refusal(words, host.members + 1, limit)


def to_stay_apart(_request: RequestSpec, scene: Scene) -> bool:
    """Whether the request's group keeps its members apart."""
    return scene.group is not None and scene.group.policy == "anti-affinity"


def with_group(host: HostState, _request: RequestSpec, scene: Scene) -> Refusal | None:
    """Members of an affinity group are on the host, or nowhere yet."""
    group = scene.group
    if group is None or group.policy != "affinity":
        return None
    if not scene.members_on or host.name in scene.members_on:
        return None
    where = ", ".join(sorted(scene.members_on))
    return Refusal(f"group {group.name} keeps together, and it is on {where}")


def to_keep_together(_request: RequestSpec, scene: Scene) -> bool:
    """Whether the request's group keeps its members together."""
    return scene.group is not None and scene.group.policy == "affinity"


def on_different_host(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """None of the servers that the hint `different_host` names is on the host."""
    here = host.servers & _servers(request.hints.get("different_host"))
    if not here:
        return None
    return Refusal(f"different_host names {', '.join(sorted(here))}, which is here")


def different_host_hinted(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the hint `different_host` names servers."""
    return bool(_servers(request.hints.get("different_host")))


def on_same_host(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """At least one of the servers that the hint `same_host` names is on the host."""
    wanted = _servers(request.hints.get("same_host"))
    if not wanted or not host.servers.isdisjoint(wanted):
        return None
    return Refusal(f"same_host names {', '.join(sorted(wanted))}: none of it is here")


def same_host_hinted(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the hint `same_host` names servers."""
    return bool(_servers(request.hints.get("same_host")))


def _servers(hint: object) -> frozenset[str]:
    if not hint:
        return frozenset()
    if isinstance(hint, list | tuple | set | frozenset):
        return frozenset(str(server) for server in hint)
    return frozenset((str(hint),))
