"""What was probably meant: names at a small editing distance."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

# What people used to Nova's first client, or to a shell, type for an action.
OTHER_WORDS = {
    "boot": "server create",
    "host-evacuate": "host evacuate",
    "host-evacuate-live": "host drain",
    "host-servers-migrate": "host drain",
    "hypervisor-list": "hypervisor list",
    "live-migration": "server migrate",
    "ls": "server list",
    "ps": "server list",
    "rm": "server delete",
}


def closest(given: str, names: Iterable[str], *, limit: int = 3) -> list[str]:
    """Return the names near enough to be a slip of the given one, nearest first."""
    allowed = max(1, len(given) // 3)
    scored = sorted((distance(given, name), name) for name in set(names))
    return [name for score, name in scored if score <= allowed][:limit]


def closest_commands(words: Sequence[str], commands: Iterable[str]) -> list[str]:
    """Return the commands nearest to the whole phrase that was typed."""
    names = list(commands)
    phrases = {name: " ".join(words[: len(name.split())]) for name in names}
    scored = sorted((distance(phrases[name], name), name) for name in names)
    near = [name for score, name in scored if score <= max(1, len(phrases[name]) // 3)]
    meant = OTHER_WORDS.get(words[0]) if words else None
    if meant in names and meant not in near:
        near.insert(0, meant)
    return near[:3]


def distance(one: str, other: str) -> int:
    """Count the insertions, deletions, changes and swaps of neighbours between two words."""
    before: list[int] = []
    above = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, before[j - 2] + 1)
            row.append(cost)
        before, above = above, row
    return above[-1]
