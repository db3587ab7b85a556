"""Hosts in trees of boxes, whose corners bound the weight of every host inside.

A weight is a sum of terms, each of which grows (or falls) with one raw number. So the highest
numbers in a set of hosts, taken together, bound the weight of each host in it from above, whatever
the scales are at the moment. Each node of a tree holds such numbers: the corner of the smallest
box around its hosts.

A host whose numbers change leaves its tree, for between those that were its like it would only
widen boxes. It waits among a few that are looked at one by one, until these become a tree of their
own, together with the trees that are no larger.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from vmctl.scheduler.weighing import Scale, Values

_FEW = 24

Term = tuple[int, float, float, float]


class BoxTree:
    """Hosts under boxes of their values; hosts leave it, and none is added.

    Node 1 is the root, the children of node n are 2n and 2n + 1, and from `size` on there are the
    leaves. `top` and `bottom` are the corners of a node's box, `rank` is the lowest below it.
    """

    __slots__ = ("_leaf", "bottom", "felled", "leaves", "rank", "size", "top")

    def __init__(
        self, values: Mapping[int, Values], ranks: Sequence[int], extents: Sequence[float]
    ) -> None:
        self.felled = False
        self.leaves = _layout(values, ranks, extents)
        self.size = size = len(self.leaves)
        self.top: list[Values | None] = [None] * (2 * size)
        self.bottom: list[Values | None] = [None] * (2 * size)
        self.rank = [0] * (2 * size)
        self._leaf: dict[int, int] = {}
        for leaf, host in enumerate(self.leaves, start=size):
            if host is not None:
                self._leaf[host] = leaf
                self.top[leaf] = self.bottom[leaf] = values[host]
                self.rank[leaf] = ranks[host]
        for node in range(size - 1, 0, -1):
            self._bound(node)

    def __len__(self) -> int:
        return len(self._leaf)

    def remove(self, hosts: Iterable[int]) -> None:
        """Take hosts out."""
        nodes = {self._leaf.pop(host) for host in hosts}
        for node in nodes:
            self.top[node] = self.bottom[node] = None
        while nodes := {node >> 1 for node in nodes if node > 1}:
            for node in nodes:
                self._bound(node)

    def values(self) -> dict[int, Values]:
        """The hosts that are left, with their values."""
        found = ((host, self.top[leaf]) for host, leaf in self._leaf.items())
        return {host: values for host, values in found if values is not None}

    def _bound(self, node: int) -> None:
        left, right = 2 * node, 2 * node + 1
        top, bottom, rank = self.top, self.bottom, self.rank
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


class Grove:
    """Hosts that share their multipliers, in trees and a few on their own.

    Values of a weigher whose multiplier is negative are kept with the sign turned, so that the
    larger one is always the better one. `news` are trees and single hosts that came since somebody
    last emptied it.
    """

    def __init__(
        self,
        multipliers: Values,
        values: Mapping[int, Values],
        ranks: Sequence[int],
        scales: Sequence[Scale],
    ) -> None:
        self.ranks = ranks
        self._magnitudes = tuple(abs(number) for number in multipliers)
        self._signs = tuple(-1.0 if number < 0 else 1.0 for number in multipliers)
        self._scales = scales
        turned = {host: self._turned(row) for host, row in values.items()}
        self.trees = [BoxTree(turned, ranks, self._extents())]
        self.single: dict[int, Values] = {}
        self.news: list[BoxTree | int] = []
        self._tree_of = dict.fromkeys(values, self.trees[0])

    def put(self, changes: Mapping[int, Values | None]) -> None:
        """Replace the values of some hosts, or take those out that have None."""
        leaving: dict[BoxTree, list[int]] = {}
        for host, values in changes.items():
            tree = self._tree_of.pop(host, None)
            if tree is not None:
                leaving.setdefault(tree, []).append(host)
            if values is not None:
                self.single[host] = self._turned(values)
                self.news.append(host)
            elif tree is None:
                del self.single[host]
        for tree, hosts in leaving.items():
            tree.remove(hosts)
        if len(self.single) > _FEW:
            self._plant()

    def bounds(self) -> tuple[list[float], list[float]] | None:
        """The smallest and the largest value of each weigher, or None when no host is left."""
        tops = [*self.single.values()]
        bottoms = [*tops]
        for tree in self.trees:
            top, bottom = tree.top[1], tree.bottom[1]
            if top is not None and bottom is not None:
                tops.append(top)
                bottoms.append(bottom)
        if not tops:
            return None
        most = [max(column) for column in zip(*tops, strict=True)]
        least = [min(column) for column in zip(*bottoms, strict=True)]
        turns = list(zip(self._signs, least, most, strict=True))
        low = [small if sign > 0 else -large for sign, small, large in turns]
        high = [large if sign > 0 else -small for sign, small, large in turns]
        return low, high

    def terms(self, scales: Sequence[Scale]) -> list[Term]:
        """What sums up to a weight: position, magnitude, zero and span of each term that counts."""
        self._scales = scales
        return [
            (index, magnitude, sign * scale.low, scale.span)
            for index, (magnitude, sign, scale) in enumerate(
                zip(self._magnitudes, self._signs, scales, strict=True)
            )
            if magnitude and scale.span
        ]

    def _plant(self) -> None:
        values, self.single = self.single, {}
        while self.trees and len(self.trees[-1]) <= len(values):
            absorbed = self.trees.pop()
            absorbed.felled = True
            values |= absorbed.values()
        tree = BoxTree(values, self.ranks, self._extents())
        self.trees.append(tree)
        self.news.append(tree)
        self._tree_of.update(dict.fromkeys(values, tree))

    def _extents(self) -> list[float]:
        return [
            magnitude / scale.span if scale.span else 0.0
            for magnitude, scale in zip(self._magnitudes, self._scales, strict=True)
        ]

    def _turned(self, values: Values) -> Values:
        return tuple(sign * value for sign, value in zip(self._signs, values, strict=True))


def _layout(
    values: Mapping[int, Values], ranks: Sequence[int], extents: Sequence[float]
) -> list[int | None]:
    """Give each host a leaf such that neighbours are alike: halve by one weigher after the other.

    Which one comes next is decided by how much of a weight it still tells apart: nothing more once
    each of its values is on its own. Equal hosts stay in the order of their ranks.
    """
    columns = list(zip(*values.values(), strict=True))
    left = [
        extent * (max(column) - min(column))
        for extent, column in zip(extents, columns, strict=True)
    ]
    splits = [len(set(column)).bit_length() for column in columns]
    parts = [sorted(values, key=ranks.__getitem__)]
    while len(parts) < len(values):
        index = max(range(len(left)), key=left.__getitem__, default=None)
        column = None
        if index is not None and left[index] > 0.0:
            splits[index] -= 1
            left[index] = left[index] / 2 if splits[index] > 0 else 0.0
            column = {host: row[index] for host, row in values.items()}
        halves: list[list[int]] = []
        for part in parts:
            if column is not None:
                part.sort(key=column.__getitem__)
            middle = (len(part) + 1) // 2
            halves += [part[:middle], part[middle:]]
        parts = halves
    return [part[0] if part else None for part in parts]
