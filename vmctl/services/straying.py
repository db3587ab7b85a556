"""Domains with records like ours that are no servers on record: told, and never taken for ours."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from vmctl.domain.record import AttemptState
from vmctl.domain.server_record import made_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from vmctl.domain.server_record import Maker
    from vmctl.domain.sight import Sight
    from vmctl.ports import Store


class Kind(StrEnum):
    """What such a domain is."""

    DELETED = "deleted"  # a server that was deleted, and is there
    UNKNOWN = "unknown"  # says that it is this database's, which does not know it
    ANOTHERS = "another's"  # says that it is another database's
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """Domains of one kind: each by itself, but those of another database together."""

    kind: Kind
    sights: tuple[Sight, ...]
    owner: str = ""

    @property
    def sight(self) -> Sight:
        """The first of them."""
        return self.sights[0]

    @property
    def words(self) -> str:
        """Say what is there, and what can be done about it."""
        machine, host = self.sight.machine, self.sight.host
        domain = f"the domain {machine.name} ({machine.uuid}) on {host}"
        match self.kind:
            case Kind.DELETED:
                return f"{domain} is a server that was deleted: vmctl sync --fix takes it away"
            case Kind.UNKNOWN:
                return f"{domain} is not on record: vmctl db rebuild brings it back"
            case Kind.UNREADABLE:
                return f"{domain} has a record that cannot be read: vmctl db rebuild --dry-run"
            case Kind.ANOTHERS:
                count, hosts = len(self.sights), sorted({one.host for one in self.sights})
                them = "1 server is" if count == 1 else f"{count} servers are"
                return (
                    f"{them} of the database {self.owner}, on {', '.join(hosts)}: vmctl db rebuild"
                    f" --adopt-owner {self.owner} takes such over"
                )


def strays(sights: Mapping[str, Sequence[Sight]], store: Store) -> list[Stray]:
    """Find among all that was seen what has a record and is no server on record.

    The record is read only now: whatever was made meanwhile was on record before it was made.
    """
    owner = store.uuid()
    known = {one.id: one for one in store.servers(deleted=True)}
    found: list[Stray] = []
    others: dict[str, list[Sight]] = defaultdict(list)
    for sight, maker in _recorded(sights):
        server = known.get(sight.machine.uuid)
        if server is not None and server.deleted is None:
            continue  # whoever followed it has told of it
        if maker is None:
            found.append(Stray(kind=Kind.UNREADABLE, sights=(sight,)))
        elif maker.owner != owner:
            others[maker.owner].append(sight)
        elif server is None:
            found.append(Stray(kind=Kind.UNKNOWN, sights=(sight,)))
        elif not _is_owed(store, sight, maker):
            found.append(Stray(kind=Kind.DELETED, sights=(sight,)))
    return found + [
        Stray(kind=Kind.ANOTHERS, sights=tuple(each), owner=name)
        for name, each in sorted(others.items())
    ]


def _recorded(
    sights: Mapping[str, Sequence[Sight]],
) -> Iterator[tuple[Sight, Maker | None]]:
    every = (sight for each in sights.values() for sight in each)
    for sight in sorted(every, key=lambda one: (one.host, one.machine.name)):
        if sight.machine.record is not None:
            yield sight, made_by(sight.machine.record)


def _is_owed(store: Store, sight: Sight, maker: Maker) -> bool:
    """Whether it is known that its host is owed the cleanup, which then is paid as ever."""
    return any(
        (one.host, one.number) == (sight.host, maker.attempt)
        and one.state is not AttemptState.RELEASED
        for one in store.attempts(sight.machine.uuid)
    )
