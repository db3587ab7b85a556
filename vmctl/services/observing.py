"""Looking at servers where they stand, and keeping what was seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vmctl.domain.record import Power
from vmctl.services.fanout import fanout
from vmctl.services.following import Following, may_stand
from vmctl.services.hosts import AT_ONCE, look
from vmctl.services.renaming import follow_names
from vmctl.services.seeking import seek, seek_briefly, sights_on, take

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from vmctl.domain.host import Host
    from vmctl.domain.observation import Turn
    from vmctl.domain.operation import Event
    from vmctl.domain.server_line import ServerLine
    from vmctl.domain.sight import Sight
    from vmctl.errors import VmctlError
    from vmctl.services.renaming import Renamed
    from vmctl.services.seeking import Eyes, Seen


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What came of a look: hosts that did not answer, what turned on record, what to look into.

    `sights` are all domains that were seen, by their ids; `heard` the hosts that answered;
    `silent` those where nobody expected these servers, and that did not say that they have none.
    """

    failures: Mapping[str, VmctlError]
    silent: Mapping[str, VmctlError] = field(default_factory=dict)
    turns: tuple[Turn, ...] = ()
    notes: tuple[str, ...] = ()
    sights: Mapping[str, Sequence[Sight]] = field(default_factory=dict)
    heard: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Whoever looks at servers: what the hosts are, what looks at them, and who it is told of."""

    hosts: Mapping[str, Host]
    eyes: Eyes
    event: Event

    def observe(
        self,
        lines: Iterable[ServerLine],
        *,
        addresses: bool = False,
        elsewhere: bool = False,
        everywhere: bool = False,
    ) -> Outlook:
        """Look at these servers, all of a host's in one call, and have the record follow.

        Their addresses are asked one by one, so only where none is known, unless they are asked
        for. Hosts without any of them are asked for these servers `elsewhere`, none of them for
        long; for all that they have, `everywhere`; and else for servers that are not where they
        should be. A host that is not in the inventory is only looked for by its name.
        """
        store = self.eyes.store
        lines, renamed = self._named(list(lines))
        found = [one for one in lines if may_stand(one) and one.host in self.hosts]
        wanted = _wanted(found, self.hosts)
        asked = [host for name, host in self.hosts.items() if everywhere or name in wanted]
        # First whether the host is up, and in which boot: what is seen after that is of this one.
        before = {record.name: record for record in store.hosts()}
        failures = look(asked, self.eyes.prober, before, lambda: store, self.eyes.clock)
        answering = [host for host in asked if host.name not in failures]
        ids = frozenset(one.id for one in found) if elsewhere else None
        of_host = _Asking(self, wanted, ids, addresses=addresses, everywhere=everywhere)
        seen = of_host.all(answering)
        seen.failures |= failures
        silent: dict[str, VmctlError] = {}
        if ids:
            names = {host.name for host in asked}
            rest = [host for name, host in self.hosts.items() if name not in names]
            beyond = seek_briefly(rest, self.eyes, ids)
            silent, beyond.failures = beyond.failures, {}
            seen.add(beyond)
        following = Following(store, store.uuid(), self.hosts, self.event)
        gone = [one for one in found if following.where(one, seen).gone]
        if gone:
            # Looked for once more, on all hosts: it may have been on its way between two of them.
            others = [one for name, one in self.hosts.items() if name not in seen.failures]
            seen.add(seek(others, self.eyes, {one.id for one in gone}))
        done = following.follow(found, seen, self.eyes.clock())
        return Outlook(
            failures=seen.failures,
            silent=silent,
            turns=(*(turn for one in renamed for turn in one.turns), *done.turns),
            notes=(*(one.words for one in renamed), *done.notes, *done.places),
            sights=seen.sights,
            heard=seen.heard,
        )

    def _named(self, lines: list[ServerLine]) -> tuple[list[ServerLine], list[Renamed]]:
        """Have hosts that go by other names now do so on record, and in these lines."""
        lost = {line.host for line in lines if line.host is not None} - self.hosts.keys()
        renamed = follow_names(self.eyes, self.hosts, lost, self.event) if lost else []
        names = {one.before: one.after for one in renamed if one.why_not is None}
        return [
            line._replace(host=names.get(line.host or "", line.host)) for line in lines
        ], renamed


def _wanted(
    lines: Iterable[ServerLine], hosts: Mapping[str, Host]
) -> dict[str, dict[str, ServerLine]]:
    """Say by host which servers to look for there: its own, and those that were seen there, too."""
    wanted: dict[str, dict[str, ServerLine]] = defaultdict(dict)
    for line in lines:
        for name in (line.host, *line.also):
            if name in hosts and name is not None:
                wanted[name][line.id] = line
    return wanted


@dataclass(frozen=True, slots=True)
class _Asking:
    watch: Watch
    wanted: Mapping[str, Mapping[str, ServerLine]]
    ids: Collection[str] | None  # what every host is asked for, or else each for its own
    addresses: bool = field(kw_only=True)
    everywhere: bool = field(kw_only=True)

    def all(self, hosts: Iterable[Host]) -> Seen:
        """Ask these hosts, side by side."""
        boots = {record.name: record.boot for record in self.watch.eyes.store.hosts()}
        ended = fanout(lambda host: self._one(host, boots.get(host.name)), hosts, AT_ONCE)
        return take(ended)

    def _one(self, host: Host, boot: str | None) -> list[Sight]:
        ours = self.wanted.get(host.name, {})
        ids = None if self.everywhere else self.ids or ours
        sights = sights_on(host, self.watch.eyes, ids, boot)
        hypervisor = self.watch.eyes.hypervisors.on(host)
        found = []
        for sight in sights:
            line = ours.get(sight.machine.uuid)
            runs = line is not None and sight.machine.power is Power.RUNNING
            if line is not None and runs and (self.addresses or not line.networks):
                found.append(replace(sight, seen=hypervisor.seen_addresses(line.id)))
            else:
                found.append(sight)
        return found
