"""What the hosts are like: looking at them, and reading what is on record about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vmctl.domain.host import Host
from vmctl.domain.host_record import HostRecord, Sighting
from vmctl.domain.resources import Resources
from vmctl.domain.sample_form import brief, from_plain, pins_in, to_plain
from vmctl.domain.usage import Usage, grown_of, pressure_word, reckon, state_of
from vmctl.errors import RemoteFailed, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from vmctl.domain.sample import Depth, HostSample
    from vmctl.domain.usage import State
    from vmctl.ports import Clock, Prober, Store

AT_ONCE = 32
"""Hosts that are asked at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostView:
    """One host as an operator sees it: what was written down, what is on record, what follows."""

    host: Host
    record: HostRecord
    sample: HostSample | None
    usage: Usage
    state: State
    known: bool = True
    """False for a host that holds servers and is no longer in the inventory."""

    @property
    def pressure(self) -> str | None:
        """How hard the host works, as far as it tells."""
        return pressure_word(self.sample)

    @property
    def fault(self) -> str | None:
        """Why it is down, if it is."""
        if self.state != "down":
            return None
        if self.sample is not None and self.record.answered:
            return self.sample.libvirt_error
        return self.record.error


def look(
    hosts: Sequence[Host],
    prober: Prober,
    records: Mapping[str, HostRecord],
    open_store: Callable[[], Store],
    clock: Clock,
    *,
    depth: Depth = "quick",
) -> dict[str, VmctlError]:
    """Look at these hosts side by side, keep what was seen, and give what went wrong by host.

    `records` are what is on record of them by now. The store, which takes its time to open, is
    opened while they are asked.

    A host that does not answer costs its own time limit and is kept as down; it fails nothing.
    One whose libvirt does not answer is told of too, for it is as good as down.
    """
    # Threads and queues are only for those who ask: a list from the record has no use for them.
    from vmctl.services.fanout import Ok, fanout

    def ask(host: Host) -> HostSample:
        return prober.look(host, depth=depth, before=sample_of(records.get(host.name)))

    ended = fanout(ask, hosts, AT_ONCE, meanwhile=open_store)
    now = clock()
    failures: dict[str, VmctlError] = {}
    bugs: list[Exception] = []
    sightings = []
    for name, outcome in ended.items():
        if isinstance(outcome, Ok):
            sample = outcome.value
            sightings.append(sighting(name, sample))
            if sample.libvirt_error is not None:
                failures[name] = RemoteFailed(
                    name,
                    f"{name}: {sample.libvirt_error}",
                    hint=f"vmctl host check {name}",
                    reason="libvirt",
                )
            continue
        if not isinstance(outcome.error, VmctlError):
            bugs.append(outcome.error)
            continue
        failures[name] = outcome.error
        sightings.append(Sighting(host=name, at=now, error=outcome.error.message))
    open_store().save_samples(sightings)
    if bugs:
        # Told only now, so that one host's oddity never costs what the others answered.
        raise bugs[0]
    return failures


def views(
    hosts: Iterable[Host],
    records: Mapping[str, HostRecord],
    claimed: Mapping[str, Collection[str]],
    now: float,
    *,
    whole: bool = False,
) -> list[HostView]:
    """See the hosts as they are on record, and those too that hold claims but are written nowhere.

    `claimed` are the servers that hold claims on each host. A host that was dropped from the
    inventory, or renamed in it, must not hide its servers. Samples are read as far as a list
    shows them, unless the `whole` is asked for.
    """
    found = []
    for host in hosts:
        record = records.get(host.name) or HostRecord(name=host.name)
        found.append(_view(host, record, claimed.get(host.name, ()), now, whole=whole))
    written = {view.host.name for view in found}
    for name in sorted(set(claimed) - written):
        record = records.get(name) or HostRecord(name=name)
        lost = Host(name=name, address="", zone="")
        found.append(_view(lost, record, claimed[name], now, whole=whole, known=False))
    return found


def never_asked(hosts: Iterable[Host], records: Mapping[str, HostRecord]) -> list[Host]:
    """Give the hosts of which nothing is on record, neither a sample nor a failure."""
    return [
        host
        for host in hosts
        if (record := records.get(host.name)) is None
        or (record.seen is None and record.failed is None)
    ]


def _view(
    host: Host,
    record: HostRecord,
    ours: Collection[str],
    now: float,
    *,
    whole: bool,
    known: bool = True,
) -> HostView:
    plain = record.sample
    if whole or plain is None:
        sample = None if plain is None else from_plain(plain)
    else:
        sample = brief(plain, ours, host.default_pool.name)
    used = record.used
    claimed = Resources(vcpus=used.vcpus, memory=used.memory, disk=used.disk)
    return HostView(
        host=host,
        record=record,
        sample=sample,
        usage=reckon(
            host,
            sample,
            ours=ours,
            claimed=claimed,
            cpus=used.cpus,
            pinned=pins_in(plain) if host.dedicated_cpus and plain else frozenset(),
        ),
        state=state_of(sample, failed=record.failed, now=now),
        known=known,
    )


def sample_of(record: HostRecord | None) -> HostSample | None:
    """Give the last sample of a host, if there is one that can be read."""
    plain = record.sample if record is not None else None
    return None if plain is None else from_plain(plain)


def sighting(name: str, sample: HostSample) -> Sighting:
    """Make of a sample what the record keeps of it."""
    return Sighting(
        host=name,
        at=sample.taken_at,
        sample=to_plain(replace(sample, grown=grown_of(sample.guests))),
        libvirt=sample.libvirt_uuid,
        machine=sample.machine_id,
        boot=sample.boot_id,
    )
