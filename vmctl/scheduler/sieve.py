"""Which hosts are still in the running for a request, and why the others are not."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.placement import Refusal
from vmctl.scheduler.filters import NARROWINGS, UNFORCED
from vmctl.scheduler.scene import Filter, Scene, neighbourhood
from vmctl.scheduler.taking import gain_neighbour, lose_disk, take
from vmctl.scheduler.weighing import failed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.policy import Policy

_NEEDED = {
    "affinity": ("filter", "ServerGroupAffinity"),
    "anti-affinity": ("filter", "ServerGroupAntiAffinity"),
    "soft-affinity": ("weigher", "ServerGroupSoftAffinity"),
    "soft-anti-affinity": ("weigher", "ServerGroupSoftAntiAffinity"),
}

Named = tuple[tuple[str, Filter], ...]


class Sieve:
    """The hosts as they stand during one request: those that pass, and the others' refusals.

    A host that was refused stays out for the rest of the request. Between two servers only those
    hosts are judged again that the last one changed, and all of them by filters that follow the
    group.
    """

    def __init__(
        self,
        request: RequestSpec,
        scene: Scene,
        policy: Policy,
        filters: Mapping[str, Filter],
        hosts: Sequence[HostState],
    ) -> None:
        self.request = request
        self.scene = scene
        self.hosts = list(hosts)
        self.alive = dict.fromkeys(range(len(self.hosts)))
        self.refusals: dict[int, tuple[str, Refusal]] = {}
        first, self._later = chains(request, scene, policy, filters)
        self._stale: set[int] = set()
        self._dropped: list[int] = []
        self._group_moved = False
        self._near = self._by_neighbourhood() if scene.spread is not None else {}
        self._sharing = self._by_shared_pool() if scene.need.disk else {}
        for name, each in first:
            self._judge(list(self.alive), name, each)

    def take(self, host: int) -> None:
        """Place a server on a host, with all that this changes on others."""
        state = self.hosts[host]
        self._change(host, take(state, self.scene))
        for other in self._sharing.get(state.disk_shared or "", ()):
            if other != host:
                self._change(other, lose_disk(self.hosts[other], self.scene.need.disk))
        where = neighbourhood(state, self.scene)
        for other in self._near.get(where or "", ()):
            self._change(other, gain_neighbour(self.hosts[other]))
        if self.scene.group is not None and state.name not in self.scene.members_on:
            self.scene = replace(self.scene, members_on=self.scene.members_on | {state.name})
            self._group_moved = True

    def refresh(self) -> set[int]:
        """Judge anew what has changed since the last time, and say which hosts that were."""
        changed, self._stale = self._stale, set()
        group_moved, self._group_moved = self._group_moved, False
        for name, each in self._later:
            whom: Iterable[int] = changed
            if each.follows_group and group_moved:
                whom = list(self.alive)
            self._judge([host for host in whom if host in self.alive], name, each)
        return changed

    def drop(self, host: int, name: str, refusal: Refusal) -> None:
        """Take a host out of the running."""
        del self.alive[host]
        self.refusals[host] = (name, refusal)
        self._dropped.append(host)

    def dropped(self) -> list[int]:
        """The hosts taken out since this was last asked."""
        dropped, self._dropped = self._dropped, []
        return dropped

    def _judge(self, hosts: list[int], name: str, each: Filter) -> None:
        check, states, request, scene = each.check, self.hosts, self.request, self.scene
        for host in hosts:
            try:
                refusal = check(states[host], request, scene)
            except Exception as error:  # noqa: BLE001 -- a plug-in may raise anything
                refusal = failed("filter", error)
            if refusal is not None:
                self.drop(host, name, refusal)

    def _change(self, host: int, state: HostState) -> None:
        self.hosts[host] = state
        self._stale.add(host)

    def _by_neighbourhood(self) -> dict[str, list[int]]:
        near: dict[str, list[int]] = {}
        for index, host in enumerate(self.hosts):
            near.setdefault(neighbourhood(host, self.scene) or "", []).append(index)
        return near

    def _by_shared_pool(self) -> dict[str, list[int]]:
        sharing: dict[str, list[int]] = {}
        for index, host in enumerate(self.hosts):
            if host.disk_shared is not None:
                sharing.setdefault(host.disk_shared, []).append(index)
        return sharing


def chains(
    request: RequestSpec, scene: Scene, policy: Policy, filters: Mapping[str, Filter]
) -> tuple[Named, Named]:
    """The filters for the first server and for each further one, without those that cannot refuse.

    A forced host skips all filters but the ones that name it.
    """
    chosen = dict(NARROWINGS)
    if request.force_host is None:
        chosen |= {name: filters.get(name, each) for name, each in UNFORCED.items()}
        chosen |= {name: filters[name] for name in policy.filters if name not in chosen}
    first = tuple((name, each) for name, each in chosen.items() if each.applies(request, scene))
    return first, tuple((name, each) for name, each in first if not each.once)


def judge(
    host: HostState, request: RequestSpec, scene: Scene, chain: Named
) -> tuple[str, Refusal] | None:
    """The first filter that refuses a host, with its reason, or None. One that breaks refuses."""
    for name, each in chain:
        try:
            refusal = each.check(host, request, scene)
        except Exception as error:  # noqa: BLE001 -- a plug-in may raise anything
            refusal = failed("filter", error)
        if refusal is not None:
            return name, refusal
    return None


def unsupported(scene: Scene, policy: Policy) -> Refusal | None:
    """Why a policy cannot honour the request's group: nothing in it looks at such groups."""
    if scene.group is None or scene.group.policy not in _NEEDED:
        return None
    kind, name = _NEEDED[scene.group.policy]
    if name in (policy.filters if kind == "filter" else policy.weighers):
        return None
    return Refusal(
        f"group {scene.group.name} asks for {scene.group.policy}, "
        f"and the policy does not name the {kind} {name}"
    )
