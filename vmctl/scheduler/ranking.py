"""The order of the hosts that pass: weighed all at once, or just the best of them found quickly."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from vmctl.domain.placement import Score, Verdict
from vmctl.scheduler.boxes import Grove
from vmctl.scheduler.search import Search
from vmctl.scheduler.weighing import Broken, Scales, Values, scores

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.policy import Policy
    from vmctl.scheduler.scene import Weigher
    from vmctl.scheduler.sieve import Sieve

_FEW = 4  # so many servers are placed sooner by weighing all hosts for each than by building trees


class Ranking:
    """The hosts that pass, best first, from one server of a request to the next."""

    def __init__(
        self,
        request: RequestSpec,
        policy: Policy,
        weighers: Mapping[str, Weigher],
        sieve: Sieve,
        ranks: Sequence[int],
        *,
        all_weights: bool,
    ) -> None:
        self._sieve = sieve
        self._ranks = ranks
        self._scales = Scales.of(request, sieve.scene, policy, weighers)
        self._quick = request.count > _FEW and not all_weights
        self._begun = False
        self._raws: dict[int, Values] = {}
        self._scores: dict[int, tuple[Score, ...]] = {}
        self._weights: dict[int, float] = {}
        self._grove_of: dict[int, Grove] = {}
        self._groves: tuple[Grove, ...] = ()
        self._search = Search(())

    def best(self) -> Iterator[tuple[float, int]]:
        """Judge what has changed, and yield weights and hosts in their order.

        One host that passes alone is not weighed. A host that a weigher breaks on is refused.
        """
        sieve, first = self._sieve, not self._begun
        self._begun = True
        changed: Iterable[int] = list(sieve.alive) if first else sieve.refresh()
        self._scores, self._weights = {}, {}
        if len(sieve.alive) > 1:
            self._ask(changed)
        if len(sieve.alive) < 2:
            return iter([(0.0, host) for host in sieve.alive])
        if self._quick and not first:
            return self._quickly(changed)
        return self._weigh_all()

    def verdicts(self, names: Sequence[str]) -> tuple[Verdict, ...]:
        """Say of every host how it fared in this round; to be asked when all were weighed."""
        refusals, weighers = self._sieve.refusals, self._scales.names
        return tuple(
            Verdict(host=name, filter=refusals[host][0], refusal=refusals[host][1])
            if host in refusals
            else Verdict(
                host=name,
                weight=self._weights.get(host, 0.0),
                weights=dict(zip(weighers, self._scores.get(host, ()), strict=False)),
            )
            for host, name in enumerate(names)
        )

    def _ask(self, changed: Iterable[int]) -> None:
        sieve, raws = self._sieve, self._scales.raws
        for host in changed:
            if host not in sieve.alive:
                continue
            try:
                self._raws[host] = raws(sieve.hosts[host], sieve.scene)
            except Broken as error:
                sieve.drop(host, error.weigher, error.refusal)

    def _weigh_all(self) -> Iterator[tuple[float, int]]:
        hosts = list(self._sieve.alive)
        rows = [self._raws[host] for host in hosts]
        weighed, totals = scores(self._scales, rows, self._multipliers(hosts))
        self._scores = dict(zip(hosts, weighed, strict=True))
        self._weights = dict(zip(hosts, totals, strict=True))
        heap = [
            (-total, self._ranks[host], host) for total, host in zip(totals, hosts, strict=True)
        ]
        heapq.heapify(heap)
        while heap:
            total, _, host = heapq.heappop(heap)
            yield -total or 0.0, host

    def _quickly(self, changed: Iterable[int]) -> Iterator[tuple[float, int]]:
        alive, floored = self._sieve.alive, self._scales.floored
        gone = self._sieve.dropped()
        if not self._groves:
            self._grow()
        else:
            changes: dict[Grove, dict[int, Values | None]] = {}
            for host in gone:
                changes.setdefault(self._grove_of[host], {})[host] = None
            for host in changed:
                if host in alive:
                    values = floored(self._raws[host])
                    changes.setdefault(self._grove_of[host], {})[host] = values
            for grove, those in changes.items():
                grove.put(those)
        bounds = [bounds for grove in self._groves if (bounds := grove.bounds()) is not None]
        low = [min(values) for values in zip(*(low for low, _ in bounds), strict=True)]
        high = [max(values) for values in zip(*(high for _, high in bounds), strict=True)]
        return self._search.best_first(self._scales.between(low, high))

    def _grow(self) -> None:
        hosts = list(self._sieve.alive)
        values = {host: self._scales.floored(self._raws[host]) for host in hosts}
        columns = list(zip(*values.values(), strict=True))
        scales = self._scales.between(
            [min(each) for each in columns], [max(each) for each in columns]
        )
        alike: dict[Values, list[int]] = {}
        for host, multipliers in zip(hosts, self._multipliers(hosts), strict=True):
            alike.setdefault(multipliers, []).append(host)
        for multipliers, members in alike.items():
            grove = Grove(
                multipliers, {host: values[host] for host in members}, self._ranks, scales
            )
            self._grove_of.update(dict.fromkeys(members, grove))
            self._groves = (*self._groves, grove)
        self._search = Search(self._groves)

    def _multipliers(self, hosts: Sequence[int]) -> list[Values]:
        sieve, known = self._sieve, dict[int, Values]()
        found: list[Values] = []
        for host in hosts:
            membership = sieve.scene.aggregates(sieve.hosts[host].name)
            if id(membership) not in known:
                known[id(membership)] = self._scales.multipliers_in(membership)
            found.append(known[id(membership)])
        return found
