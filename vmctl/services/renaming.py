"""Hosts that the inventory calls by another name than before: the record goes after them.

That it is the same machine is known by its two identities, and by a domain there that says it is
one of the servers on record: identities alone are often copied with a disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.server_record import Maker, made_by
from vmctl.errors import AddressTaken
from vmctl.services.hosts import look, sample_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.observation import Turn
    from vmctl.domain.operation import Event
    from vmctl.ports import Store
    from vmctl.services.seeking import Eyes


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """A host that goes by another name on record, and its servers that stand there."""

    before: str
    after: str
    turns: tuple[Turn, ...] = ()
    why_not: str | None = None  # what is in the way of it

    @property
    def words(self) -> str:
        """Say it in a line."""
        what = f"the host {self.before} is called {self.after} in the inventory now"
        if self.why_not is not None:
            return f"{what}, and the record cannot follow: {self.why_not}"
        count = len(self.turns)
        them = "1 server follows" if count == 1 else f"{count} servers follow"
        return f"{what}: on record, too, and its {them}"


def follow_names(
    eyes: Eyes, hosts: Mapping[str, Host], lost: Collection[str], event: Event
) -> list[Renamed]:
    """Look whether hosts of these names, none of them the inventory's, go by others there now.

    Those that may be one of them are asked: they were never asked before, or were known to be it.
    Where somebody is at work on what is on such a host, it waits.
    """
    store = eyes.store
    records = {one.name: one for one in store.hosts()}
    sought = {
        name: identity
        for name in lost
        if name not in hosts and (identity := _identity(records.get(name))) is not None
    }
    asked = [
        host
        for name, host in hosts.items()
        if (one := records.get(name)) is None
        or one.seen is None
        or _identity(one) in sought.values()
    ]
    if not sought or not asked:
        return []
    look(asked, eyes.prober, records, lambda: store, eyes.clock)
    records = {one.name: one for one in store.hosts()}
    found = []
    for name, identity in sought.items():
        heirs = [
            one.name
            for one in records.values()
            if one.name in hosts and one.answered and _identity(one) == identity
        ]
        if len(heirs) == 1 and _is_there(store, name, records[heirs[0]]):
            renamed = _renamed(eyes, name, heirs[0], event)
            found += [] if renamed is None else [renamed]
    return found


def _renamed(eyes: Eyes, before: str, after: str, event: Event) -> Renamed | None:
    store = eyes.store
    unfinished = (one.id for one in store.operations(unfinished=True))
    at_rest = [one for one in unfinished if eyes.leases.is_dead(one)]
    try:
        turns = store.rename_host(before, after, at_rest, event=event)
    except AddressTaken as error:
        return Renamed(before=before, after=after, why_not=error.message)
    return None if turns is None else Renamed(before=before, after=after, turns=turns)


def _identity(record: HostRecord | None) -> tuple[str, str] | None:
    if record is None or record.machine is None or record.libvirt is None:
        return None
    return record.machine, record.libvirt


def _is_there(store: Store, before: str, record: HostRecord) -> bool:
    """Whether a host has the domain of a server that is on record under its name before."""
    sample = sample_of(record)
    if sample is None:
        return False
    makers = {made_by(one.record) for one in sample.guests if one.record is not None}
    owner = store.uuid()
    claims = store.claims(before)
    return any(Maker(owner, one.server, one.number) in makers for one in claims)
