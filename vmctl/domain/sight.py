"""Where a server was seen, and what follows from all that was seen of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from vmctl.domain.machine import Machine, SeenAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """A domain with a server's id, on the host where it was seen."""

    host: str
    at: float
    machine: Machine
    boot: str | None = None  # of the host, as it was known before
    seen: tuple[SeenAddress, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where a server is, as far as the hosts say.

    `others` are the hosts apart from its own that it stands on; one that did not answer this time
    is among them if it had the server before. `unheard` are those that nobody can say it of.
    """

    own: Sight | None
    elsewhere: tuple[Sight, ...]
    others: tuple[str, ...]
    unheard: tuple[str, ...]
    answered: bool  # whether its own host did

    @property
    def gone(self) -> bool:
        """Whether its own host does not have it."""
        return self.answered and self.own is None

    @property
    def moved_to(self) -> Sight | None:
        """The one place where it is, if that is not where it was."""
        if self.gone and len(self.elsewhere) == len(self.others) == 1:
            return self.elsewhere[0]
        return None

    @property
    def nowhere(self) -> bool:
        """Whether it is known to stand on no host at all."""
        return self.gone and not self.others and not self.unheard


def whereabouts(
    host: str,
    sights: Iterable[Sight],
    *,
    before: Collection[str],
    heard: Collection[str],
    known: Collection[str],
) -> Whereabouts:
    """Say where a server is whose own host is `host`, and that was `before` on others, too.

    `heard` are the hosts that answered, `known` all that there are.
    """
    found = {one.host: one for one in sights}
    elsewhere = tuple(one for name, one in sorted(found.items()) if name != host)
    silent = {name for name in before if name in known and name not in heard}
    others = {one.host for one in elsewhere} | (silent - {host})
    return Whereabouts(
        own=found.get(host),
        elsewhere=elsewhere,
        others=tuple(sorted(others)),
        unheard=tuple(sorted(set(known) - set(heard) - {host})),
        answered=host in heard,
    )
