"""The best of many hosts without looking at all of them, though weights move at nearly each step.

The search opens the most promising box first. A box's bound is summed by the very expression that
sums a weight, and rounding keeps order, so the search is exact: it finds the same host, down to
the last bit of its weight and to the tie, as weighing all hosts would.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from vmctl.scheduler.boxes import BoxTree, Grove, Term
    from vmctl.scheduler.weighing import Scale, Values

Entry = tuple[float, int, int, int]


class Search:
    """What is known of the order of the hosts, kept from one step to the next as far as it holds.

    While the scales stay, a bound that was found remains one: boxes only shrink as hosts leave.
    So what was opened stays open, and what has gone since is passed over when its turn comes.
    """

    def __init__(self, groves: Sequence[Grove]) -> None:
        self._groves = groves
        self._terms: list[list[Term]] = []
        self._heap: list[Entry] = []
        self._yielded: list[Entry] = []
        self._parts: list[tuple[int, BoxTree | Values]] = []

    def best_first(self, scales: Sequence[Scale]) -> Iterator[tuple[float, int]]:
        """Yield weights and hosts, the highest weight first, and among equals the lowest rank."""
        terms = [grove.terms(scales) for grove in self._groves]
        if terms == self._terms:
            for entry in self._yielded:
                heapq.heappush(self._heap, entry)
        else:
            self._terms, self._heap, self._parts = terms, [], []
            for grove in self._groves:
                grove.news = [*grove.trees, *grove.single]
        self._yielded = []
        for number, grove in enumerate(self._groves):
            for new in grove.news:
                self._add(number, grove, new)
            grove.news = []
        return self._run()

    def _add(self, number: int, grove: Grove, new: BoxTree | int) -> None:
        part = len(self._parts)
        if isinstance(new, int):
            values = grove.single.get(new)
            if values is None:
                return
            self._parts.append((number, values))
            entry = (-_weight(self._terms[number], values), grove.ranks[new], part, new)
        else:
            top = new.top[1]
            if top is None or new.felled:
                return
            self._parts.append((number, new))
            entry = (-_weight(self._terms[number], top), new.rank[1], part, 1)
        heapq.heappush(self._heap, entry)

    def _run(self) -> Iterator[tuple[float, int]]:
        heap = self._heap
        while heap:
            entry = heapq.heappop(heap)
            bound, _, part, node = entry
            number, found = self._parts[part]
            if isinstance(found, tuple):
                if self._groves[number].single.get(node) is found:
                    self._yielded.append(entry)
                    yield -bound or 0.0, node
                continue
            if found.felled or found.top[node] is None:
                continue
            if node < found.size:
                self._open(found, part, node, self._terms[number])
            elif (host := found.leaves[node - found.size]) is not None:
                self._yielded.append(entry)
                yield -bound or 0.0, host

    def _open(self, tree: BoxTree, part: int, node: int, terms: list[Term]) -> None:
        for child in (2 * node, 2 * node + 1):
            box = tree.top[child]
            if box is not None:
                weight = 0.0
                for index, magnitude, low, span in terms:
                    weight += magnitude * ((box[index] - low) / span)
                heapq.heappush(self._heap, (-weight, tree.rank[child], part, child))


def _weight(terms: Sequence[Term], values: Values) -> float:
    weight = 0.0
    for index, magnitude, low, span in terms:
        weight += magnitude * ((values[index] - low) / span)
    return weight
