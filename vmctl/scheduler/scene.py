"""What is the same for every host while one request is placed: aggregates, group, settings."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vmctl.domain.fleet import Aggregate, Fleet, Group, HostState
from vmctl.domain.placement import Refusal
from vmctl.domain.request import RequestSpec
from vmctl.errors import UsageError
from vmctl.scheduler.policy import LARGEST, Options, Policy

if TYPE_CHECKING:
    from vmctl.domain.resources import Resources


@dataclass(frozen=True, slots=True)
class Membership:
    """The metadata of all aggregates that a host is in, by key: one value of each aggregate."""

    metadata: Mapping[str, tuple[str, ...]]

    def words(self, key: str) -> frozenset[str]:
        """All values of a key, the comma lists split."""
        return frozenset(
            word.strip() for value in self.metadata.get(key, ()) for word in value.split(",")
        )

    def least(self, key: str, default: float, read: Callable[[str], float] = float) -> float:
        """The smallest number that an aggregate sets, or the default if one cannot be read.

        A list such as `1,2` is no number: only what splits says so is split.
        """
        values = self.metadata.get(key)
        if not values:
            return default
        try:
            number = min(read(value) for value in values)
        except ValueError:
            return default
        return number if -LARGEST <= number <= LARGEST else default


ALONE = Membership({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What a filter or a weigher may know besides the host and the request.

    `spread` is the label that the Spread weigher goes by, where the policy names it. `members_on`
    are the hosts on which the request's group has members, those placed within this request
    included. It alone changes from one server of a request to the next.
    """

    need: Resources
    options: Options
    group: Group | None
    spread: str | None = None
    members_on: frozenset[str] = frozenset()
    memberships: Mapping[str, Membership] = field(default_factory=dict)

    def aggregates(self, host: str) -> Membership:
        """What the aggregates of a host say."""
        return self.memberships.get(host, ALONE)


Check = Callable[[HostState, RequestSpec, Scene], Refusal | None]
Raw = Callable[[HostState, RequestSpec, Scene], float]


def always(_request: RequestSpec, _scene: Scene) -> bool:
    """Whether a filter or weigher has anything to say on a request: yes, unless it knows better."""
    return True


@dataclass(frozen=True, slots=True)
class Filter:
    """A rule that passes a host (None) or refuses it with the reason.

    `once`: judged for the first server of a request only, so it does not see its peers. `applies`:
    may say that no host can be refused. `follows_group`: what it says of a host may change when a
    server is placed on another one. `steady`: a host that it refuses stays refused as it fills up.
    """

    check: Check
    once: bool = False
    applies: Callable[[RequestSpec, Scene], bool] = always
    follows_group: bool = False
    steady: bool = False


@dataclass(frozen=True, slots=True)
class Weigher:
    """A number for each host, scaled over all hosts to 0..1 and multiplied by the policy.

    With a `floor`, what lies below counts as the floor, and the scale begins there instead of at
    the smallest number. `option` is the aggregate metadata that overrides the multiplier.
    `negated` turns the multiplier round.
    """

    raw: Raw
    option: str = ""
    floor: float | None = None
    negated: bool = False
    applies: Callable[[RequestSpec, Scene], bool] = always


def scene_of(request: RequestSpec, fleet: Fleet, policy: Policy) -> Scene:
    """Look at the fleet once for what the filters and weighers will ask again and again."""
    group = next((group for group in fleet.groups if group.name == request.group), None)
    if group is None and request.group is not None:
        raise UsageError(f"the fleet has no server group {request.group}")
    members = group.members if group is not None else frozenset()
    return Scene(
        need=request.claim,
        options=policy.options,
        group=group,
        spread=policy.options.spread_label if "Spread" in policy.weighers else None,
        members_on=frozenset(
            host.name for host in fleet.hosts if members and not host.servers.isdisjoint(members)
        ),
        memberships=_memberships(fleet.aggregates),
    )


def settle(hosts: Iterable[HostState], request: RequestSpec, scene: Scene) -> list[HostState]:
    """Fit the hosts to the request: its pool as their disk, its group's members counted."""
    states = list(hosts)
    if request.pool is not None:
        states = [_on_pool(host, request.pool) for host in states]
    if scene.group is None or not scene.members_on:
        return states
    group = scene.group.members
    counts = [len(host.servers & group) if host.name in scene.members_on else 0 for host in states]
    near: dict[str, int] = {}
    for host, count in zip(states, counts, strict=True):
        where = neighbourhood(host, scene)
        if where is not None:
            near[where] = near.get(where, 0) + count
    return [
        replace(host, members=count, nearby=nearby) if count or nearby else host
        for host, count in zip(states, counts, strict=True)
        for nearby in (near.get(neighbourhood(host, scene) or "", 0),)
    ]


def neighbourhood(host: HostState, scene: Scene) -> str | None:
    """What a host shares with those near it, if the policy spreads: else itself alone."""
    if scene.spread is None:
        return None
    label = host.labels.get(scene.spread)
    return f"host {host.name}" if label is None else f"label {label}"


def _on_pool(host: HostState, wanted: str) -> HostState:
    pool = next((pool for pool in host.pools or () if pool.name == wanted), None)
    if pool is None:
        return host
    return replace(
        host,
        total=replace(host.total, disk=pool.total),
        taken=replace(host.taken, disk=pool.taken),
        reserved=replace(host.reserved, disk=pool.reserved),
        disk_available=pool.available,
        disk_shared=pool.shared,
    )


def _memberships(aggregates: tuple[Aggregate, ...]) -> dict[str, Membership]:
    """Give hosts in the same aggregates one and the same membership: there are few of them."""
    of_host: dict[str, tuple[int, ...]] = {}
    for index, aggregate in enumerate(aggregates):
        for host in aggregate.hosts:
            of_host[host] = (*of_host.get(host, ()), index)
    shared: dict[tuple[int, ...], Membership] = {}
    for combination in set(of_host.values()):
        metadata: dict[str, tuple[str, ...]] = {}
        for index in combination:
            for key, value in aggregates[index].metadata.items():
                metadata[key] = (*metadata.get(key, ()), value)
        shared[combination] = Membership(metadata)
    return {host: shared[combination] for host, combination in of_host.items()}
