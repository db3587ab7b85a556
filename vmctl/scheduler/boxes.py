"""The best of many hosts without looking at all of them, though every weight moves at each step.

A weight is a sum of terms, each of which grows (or falls) with one raw number. So the highest
numbers in a set of hosts, taken together, bound the weight of each host in it from above, whatever
the scales are at the moment. The hosts stand in a tree whose nodes hold such bounds, the corner of
the smallest box around their hosts; the search opens the most promising box first. Bounds are
summed by the very expression that sums a weight, and rounding keeps order, so the search is exact:
it finds the same host, down to the last bit of its weight and to the tie, as weighing all would.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vmctl.scheduler.weighing import Scale, Values


class BoxTree:
    """Hosts that share their multipliers, under boxes of their values.

    Values of a weigher whose multiplier is negative are kept with the sign turned, so that the
    larger one is always the better one.
    """

    __slots__ = ("_bottom", "_leaf", "_magnitudes", "_signs", "leaves", "rank", "size", "top")

    def __init__(
        self,
        multipliers: Values,
        values: Mapping[int, Values],
        ranks: Sequence[int],
        scales: Sequence[Scale],
    ) -> None:
        self._magnitudes = tuple(abs(number) for number in multipliers)
        self._signs = tuple(-1.0 if number < 0 else 1.0 for number in multipliers)
        extents = [
            magnitude if scale.span else 0.0
            for magnitude, scale in zip(self._magnitudes, scales, strict=True)
        ]
        self.leaves = _layout(values, ranks, extents)
        self.size = size = len(self.leaves)
        self._leaf = {
            host: size + place for place, host in enumerate(self.leaves) if host is not None
        }
        self.top: list[Values | None] = [None] * (2 * size)
        self._bottom: list[Values | None] = [None] * (2 * size)
        self.rank = [0] * (2 * size)
        for host, leaf in self._leaf.items():
            self.top[leaf] = self._bottom[leaf] = self._turned(values[host])
            self.rank[leaf] = ranks[host]
        for node in range(size - 1, 0, -1):
            self._bound(node)

    def put(self, host: int, values: Values | None) -> None:
        """Replace a host's values, or take the host out with None."""
        node = self._leaf[host]
        turned = None if values is None else self._turned(values)
        self.top[node] = self._bottom[node] = turned
        node >>= 1
        while node:
            self._bound(node)
            node >>= 1

    def bounds(self) -> tuple[Values, Values] | None:
        """The smallest and the largest value of each weigher, or None when no host is left."""
        top, bottom = self.top[1], self._bottom[1]
        if top is None or bottom is None:
            return None
        low = tuple(
            least if sign > 0 else -most
            for sign, least, most in zip(self._signs, bottom, top, strict=True)
        )
        high = tuple(
            most if sign > 0 else -least
            for sign, least, most in zip(self._signs, bottom, top, strict=True)
        )
        return low, high

    def terms(self, scales: Sequence[Scale]) -> list[tuple[int, float, float, float]]:
        """What sums up to a weight: position, magnitude, zero and span of each term that counts."""
        return [
            (index, magnitude, sign * scale.low, scale.span)
            for index, (magnitude, sign, scale) in enumerate(
                zip(self._magnitudes, self._signs, scales, strict=True)
            )
            if magnitude and scale.span
        ]

    def _turned(self, values: Values) -> Values:
        return tuple(sign * value for sign, value in zip(self._signs, values, strict=True))

    def _bound(self, node: int) -> None:
        left, right = 2 * node, 2 * node + 1
        top, bottom, rank = self.top, self._bottom, self.rank
        left_top, right_top = top[left], top[right]
        left_bottom, right_bottom = bottom[left], bottom[right]
        if left_top is None or left_bottom is None:
            top[node], bottom[node], rank[node] = right_top, right_bottom, rank[right]
        elif right_top is None or right_bottom is None:
            top[node], bottom[node], rank[node] = left_top, left_bottom, rank[left]
        else:
            top[node] = tuple(map(max, left_top, right_top))
            bottom[node] = tuple(map(min, left_bottom, right_bottom))
            rank[node] = min(rank[left], rank[right])


def best_first(trees: Sequence[BoxTree], scales: Sequence[Scale]) -> Iterator[tuple[float, int]]:
    """Yield weights and hosts, the highest weight first, and among equals the lowest rank."""
    heap: list[tuple[float, int, int, int]] = []
    terms = [tree.terms(scales) for tree in trees]
    for number, tree in enumerate(trees):
        if tree.top[1] is not None:
            heap.append((-_sum(terms[number], tree.top[1]), tree.rank[1], number, 1))
    heapq.heapify(heap)
    while heap:
        bound, _, number, node = heapq.heappop(heap)
        tree = trees[number]
        if node >= tree.size:
            host = tree.leaves[node - tree.size]
            if host is not None:
                yield -bound or 0.0, host
            continue
        tops, ranks, parts = tree.top, tree.rank, terms[number]
        for child in (2 * node, 2 * node + 1):
            box = tops[child]
            if box is None:
                continue
            weight = 0.0
            for index, magnitude, low, span in parts:
                weight += magnitude * ((box[index] - low) / span)
            heapq.heappush(heap, (-weight, ranks[child], number, child))


def _sum(parts: list[tuple[int, float, float, float]], box: Values) -> float:
    weight = 0.0
    for index, magnitude, low, span in parts:
        weight += magnitude * ((box[index] - low) / span)
    return weight


def _layout(
    values: Mapping[int, Values], ranks: Sequence[int], extents: Sequence[float]
) -> list[int | None]:
    """Give each host a leaf such that neighbours are alike: halve by one weigher after the other.

    Which one comes next is decided by how much of a weight it still tells apart. Equal hosts stay
    in the order of their ranks.
    """
    left = list(extents)
    parts = [sorted(values, key=ranks.__getitem__)]
    while len(parts) < len(values):
        index = max(range(len(left)), key=left.__getitem__, default=None)
        column = None
        if index is not None and left[index] > 0.0:
            left[index] /= 2
            column = {host: row[index] for host, row in values.items()}
        halves: list[list[int]] = []
        for part in parts:
            if column is not None:
                part.sort(key=column.__getitem__)
            middle = (len(part) + 1) // 2
            halves += [part[:middle], part[middle:]]
        parts = halves
    return [part[0] if part else None for part in parts]
