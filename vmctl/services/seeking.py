"""Servers sought by their ids on hosts, all hosts side by side."""

from __future__ import annotations

import math
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.server_line import word_of
from vmctl.domain.sight import Sight
from vmctl.errors import TimedOut, VmctlError
from vmctl.services.fanout import Ok, fanout
from vmctl.services.hosts import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from vmctl.domain.host import Host
    from vmctl.domain.record import Server
    from vmctl.ports import Clock, Hypervisors, Leases, Prober, Store
    from vmctl.sagas.work import World
    from vmctl.services.fanout import Failed

_FEW = 3
"""So many servers are asked for one by one sooner than a host is asked for all that it has."""

BRIEF, BRIEFER = 6.0, 2.0
"""Seconds for hosts that are asked only to be safe; the fewer for those that were down before."""

_LONGEST = 15.0
"""Seconds for all of them, however many there are: whoever waits wants one server started."""

_FRESH = 30.0
"""Seconds for which what was seen of servers elsewhere is good enough for a deed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """What a look needs of the outside."""

    hypervisors: Hypervisors
    prober: Prober
    store: Store
    leases: Leases
    clock: Clock

    @classmethod
    def of(cls, world: World) -> Eyes:
        """Take them from all that a server's life goes through."""
        return cls(
            hypervisors=world.hypervisors,
            prober=world.prober,
            store=world.store,
            leases=world.leases,
            clock=world.clock,
        )


@dataclass(slots=True)
class Seen:
    """What came of looking at hosts: domains by id, and the hosts that did and did not answer."""

    sights: dict[str, list[Sight]] = field(default_factory=lambda: defaultdict(list))
    heard: set[str] = field(default_factory=set)
    failures: dict[str, VmctlError] = field(default_factory=dict)

    def add(self, other: Seen) -> None:
        """Take in another look, whose word counts where both have one."""
        for each in self.sights.values():
            each[:] = [one for one in each if one.host not in other.heard]
        for identity, found in other.sights.items():
            self.sights[identity] += found
        self.heard |= other.heard
        self.failures |= other.failures
        for name in other.heard:
            self.failures.pop(name, None)


def seek(hosts: Iterable[Host], eyes: Eyes, ids: Collection[str]) -> Seen:
    """Look on these hosts, side by side, for servers with these ids."""
    boots = {record.name: record.boot for record in eyes.store.hosts()}

    def ask(host: Host) -> list[Sight]:
        return sights_on(host, eyes, ids, boots.get(host.name))

    return take(fanout(ask, hosts, AT_ONCE))


def seek_briefly(
    hosts: Iterable[Host],
    eyes: Eyes,
    ids: Collection[str],
    *,
    limit: float = BRIEF,
    limit_down: float = BRIEFER,
) -> Seen:
    """Look on hosts where these servers are not to be; what is silent is not waited for long."""
    records = {record.name: record for record in eyes.store.hosts()}
    up: list[Host] = []
    down: list[Host] = []
    for host in hosts:
        record = records.get(host.name)
        (down if record is not None and word_of(record).down else up).append(host)

    def ask(host: Host) -> list[Sight]:
        record = records.get(host.name)
        return sights_on(host, eyes, ids, record.boot if record else None)

    late: dict[str, Ok[list[Sight]] | Failed] = {}

    def ask_those() -> None:
        # Each in a thread of its own: most will say nothing, and none is to wait for another.
        late.update(fanout(ask, down, len(down), deadline=limit_down))

    patience = min(limit * math.ceil(len(up) / AT_ONCE), max(limit, _LONGEST))
    ended = fanout(ask, up, AT_ONCE, deadline=patience, meanwhile=ask_those if down else None)
    return take(ended | late)


class Survey:
    """Other hosts asked for the servers of one command, when first needed: each once for all."""

    def __init__(self, hosts: Mapping[str, Host], eyes: Eyes, servers: Sequence[Server]) -> None:
        homes = {one.host for one in servers}
        # Its own host is asked for each server just before a deed.
        self._hosts = [host for name, host in hosts.items() if homes != {name}]
        self._eyes = eyes
        self._ids = frozenset(one.id for one in servers)
        self._lock = threading.Lock()
        self._at = 0.0
        self._seen: Seen | None = None

    def look(self, *, patiently: bool = False) -> Seen:
        """Say where they were seen; patiently: hosts that were not waited for are asked again."""
        with self._lock:
            seen, now = self._seen, self._eyes.clock()
            if seen is None or now - self._at > _FRESH:
                seen = seek_briefly(self._hosts, self._eyes, self._ids)
                self._seen, self._at = seen, now
            hasty = {name for name, why in seen.failures.items() if isinstance(why, TimedOut)}
            if patiently and hasty:
                missed = [host for host in self._hosts if host.name in hasty]
                seen.add(seek(missed, self._eyes, self._ids))
            copy = Seen()
            copy.add(seen)
            return copy

    @property
    def silent(self) -> Mapping[str, VmctlError]:
        """Say of each host that was asked and did not answer, why."""
        return {} if self._seen is None else dict(self._seen.failures)


def sights_on(host: Host, eyes: Eyes, ids: Collection[str] | None, boot: str | None) -> list[Sight]:
    """List the domains with these ids that a host has, or all that there are."""
    hypervisor, at = eyes.hypervisors.on(host), eyes.clock()
    if ids is not None and len(ids) <= _FEW:
        looked = (hypervisor.machine(identity) for identity in ids)
        found = [machine for machine in looked if machine is not None]
    else:
        found = [one for one in hypervisor.machines() if ids is None or one.uuid in ids]
    return [Sight(host=host.name, at=at, machine=machine, boot=boot) for machine in found]


def take(ended: Mapping[str, Ok[list[Sight]] | Failed]) -> Seen:
    """Gather what was seen on hosts; one that failed says nothing."""
    seen = Seen()
    for name, outcome in ended.items():
        if isinstance(outcome, Ok):
            seen.heard.add(name)
            for sight in outcome.value:
                seen.sights[sight.machine.uuid].append(sight)
        elif isinstance(outcome.error, VmctlError):
            seen.failures[name] = outcome.error
        else:
            raise outcome.error
    return seen
