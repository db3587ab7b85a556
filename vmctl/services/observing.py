"""Looking at servers where they stand, and keeping what was seen."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.observation import Observation
from vmctl.domain.record import Power
from vmctl.domain.server_line import STANDS
from vmctl.errors import VmctlError
from vmctl.services.fanout import Ok, fanout
from vmctl.services.hosts import AT_ONCE, look

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.observation import Turn
    from vmctl.domain.server_line import ServerLine
    from vmctl.ports import Clock, Hypervisors, Prober, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What came of a look: hosts that did not answer, states that turned, servers not there."""

    failures: Mapping[str, VmctlError]
    turns: tuple[Turn, ...]
    missing: tuple[ServerLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eyes:
    """What a look needs of the outside."""

    hypervisors: Hypervisors
    prober: Prober
    store: Store
    clock: Clock


def observe(
    lines: Iterable[ServerLine],
    hosts: Mapping[str, Host],
    eyes: Eyes,
    *,
    addresses: bool = False,
) -> Outlook:
    """Look at these servers, all of a host's in one call, and keep what was seen.

    Their addresses are asked one by one, so only where none is known, unless they are asked for. A
    host that is not in the inventory is not asked.
    """
    there: dict[str, list[ServerLine]] = defaultdict(list)
    for line in lines:
        host = line.host
        if host in hosts and host is not None and line.state in STANDS and line.deleted is None:
            there[host].append(line)
    asked = [hosts[name] for name in there]
    # First whether the host is up, and in which boot: what is seen after that is of this one.
    store = eyes.store
    before = {record.name: record for record in store.hosts()}
    failures = look(asked, eyes.prober, before, lambda: store, eyes.clock)
    boots = {record.name: record.boot for record in store.hosts()}

    def ask(host: Host) -> list[Observation]:
        return _seen_on(host, there[host.name], eyes, boots.get(host.name), addresses=addresses)

    answering = [host for host in asked if host.name not in failures]
    seen: list[Observation] = []
    for name, outcome in fanout(ask, answering, AT_ONCE).items():
        if isinstance(outcome, Ok):
            seen += outcome.value
        elif isinstance(outcome.error, VmctlError):
            failures[name] = outcome.error
        else:
            raise outcome.error
    gone = {one.server for one in seen if one.power is Power.NOSTATE}
    return Outlook(
        failures=failures,
        turns=eyes.store.observe(seen),
        missing=tuple(line for each in there.values() for line in each if line.id in gone),
    )


def _seen_on(
    host: Host, lines: Iterable[ServerLine], eyes: Eyes, boot: str | None, *, addresses: bool
) -> list[Observation]:
    hypervisor = eyes.hypervisors.on(host)
    at = eyes.clock()
    there = {machine.uuid: machine for machine in hypervisor.machines()}
    found = []
    for line in lines:
        machine = there.get(line.id)
        power = Power.NOSTATE if machine is None else machine.power
        asks = power is Power.RUNNING and (addresses or not line.networks)
        seen = hypervisor.seen_addresses(line.id) if asks else None
        found.append(
            Observation(
                server=line.id,
                host=host.name,
                at=at,
                power=power,
                saved=None if machine is None else machine.managed_save,
                boot=boot,
                seen=seen,
            )
        )
    return found
