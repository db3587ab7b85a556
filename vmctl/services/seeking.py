"""Servers sought by their ids on hosts, all hosts side by side."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.sight import Sight
from vmctl.errors import VmctlError
from vmctl.services.fanout import Ok, fanout
from vmctl.services.hosts import AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from vmctl.domain.host import Host
    from vmctl.ports import Clock, Hypervisors, Prober, Store
    from vmctl.sagas.work import World
    from vmctl.services.fanout import Failed

_FEW = 3
"""So many servers are asked for one by one sooner than a host is asked for all that it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """What a look needs of the outside."""

    hypervisors: Hypervisors
    prober: Prober
    store: Store
    clock: Clock

    @classmethod
    def of(cls, world: World) -> Eyes:
        """Take them from all that a server's life goes through."""
        return cls(
            hypervisors=world.hypervisors,
            prober=world.prober,
            store=world.store,
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


def seek(hosts: Iterable[Host], eyes: Eyes, ids: Collection[str]) -> Seen:
    """Look on these hosts, side by side, for servers with these ids."""
    boots = {record.name: record.boot for record in eyes.store.hosts()}

    def ask(host: Host) -> list[Sight]:
        return sights_on(host, eyes, ids, boots.get(host.name))

    return take(fanout(ask, hosts, AT_ONCE))


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
