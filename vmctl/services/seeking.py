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
    from collections.abc import Collection, Iterable

    from vmctl.domain.host import Host
    from vmctl.domain.machine import Machine
    from vmctl.ports import Clock, Hypervisor, Hypervisors, Prober, Store
    from vmctl.sagas.work import World

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


def seek(hosts: Iterable[Host], eyes: Eyes, ids: Collection[str] | None = None) -> Seen:
    """Look at these hosts for servers with these ids, or for every domain that there is."""
    boots = {record.name: record.boot for record in eyes.store.hosts()}

    def ask(host: Host) -> list[Sight]:
        at = eyes.clock()
        return [
            Sight(host=host.name, at=at, machine=machine, boot=boots.get(host.name))
            for machine in machines_on(eyes.hypervisors.on(host), ids)
        ]

    seen = Seen()
    for name, outcome in fanout(ask, hosts, AT_ONCE).items():
        if isinstance(outcome, Ok):
            seen.heard.add(name)
            for sight in outcome.value:
                seen.sights[sight.machine.uuid].append(sight)
        elif isinstance(outcome.error, VmctlError):
            seen.failures[name] = outcome.error
        else:
            raise outcome.error
    return seen


def machines_on(hypervisor: Hypervisor, ids: Collection[str] | None) -> list[Machine]:
    """List the domains with these ids that a host has, or all of them."""
    if ids is not None and len(ids) <= _FEW:
        found = (hypervisor.machine(identity) for identity in ids)
        return [machine for machine in found if machine is not None]
    return [one for one in hypervisor.machines() if ids is None or one.uuid in ids]
