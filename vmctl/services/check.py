"""Checking hosts: gather, then grade; every host by itself, all side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.check_facts import BOOTED, HUNG, Contact, Facts, Identity, KvmTrial, Trial
from vmctl.domain.check_steps import check
from vmctl.domain.host_record import KvmCheck
from vmctl.errors import HostError
from vmctl.services.fanout import Failed, fanout
from vmctl.services.hosts import AT_ONCE, sample_of, sighting

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from vmctl.domain.check import Finding
    from vmctl.domain.check_facts import Need
    from vmctl.domain.host import Host
    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.network import Network
    from vmctl.domain.sample import HostSample
    from vmctl.ports import Clock, Examiner, Prober, Store


def check_hosts(
    hosts: Sequence[Host],
    known: Collection[str],
    networks: Mapping[str, tuple[Network, ...]],
    needs: Mapping[str, Need],
    *,
    examiner: Examiner,
    prober: Prober,
    store: Store,
    clock: Clock,
    again: bool = False,
) -> dict[str, tuple[Finding, ...]]:
    """Check these hosts and give the findings of each, in the order of its steps.

    `known` are the names of the inventory, `networks` those that each host should carry, `needs`
    what a flavor asks of it. What was seen is kept, so that a host that was replaced behind its
    name is told the next time too. `again` tries KVM even if this boot's answer is on record.
    """
    records = {record.name: record for record in store.hosts()}

    def gather(host: Host) -> Facts:
        record = records.get(host.name)
        facts = Facts(
            host=host,
            contact=Contact(),
            before=_identity(record),
            networks=networks.get(host.name, ()),
            need=needs.get(host.name),
        )
        return _gathered(facts, record, examiner, prober, again=again)

    ended = fanout(gather, hosts, AT_ONCE)
    found: dict[str, Facts] = {}
    for name, outcome in ended.items():
        if isinstance(outcome, Failed):
            raise outcome.error
        found[name] = outcome.value
    store.save_samples(
        sighting(name, facts.sample) for name, facts in found.items() if facts.sample
    )
    for name, facts in found.items():
        _keep_kvm(name, facts, store, clock)
    # A name that is not in the inventory any more is no other machine: the host was renamed.
    written = [record for name, record in records.items() if name in known]
    others = _machines(written, found)
    return {name: check(_compared(facts, others)) for name, facts in found.items()}


def _gathered(
    facts: Facts, record: HostRecord | None, examiner: Examiner, prober: Prober, *, again: bool
) -> Facts:
    """Gather what can be had, each part only where the one before it worked."""
    host = facts.host
    facts = replace(facts, contact=examiner.contact(host))
    if facts.contact.failed is not None:
        return facts
    try:
        sample = prober.look(host, depth="full", before=sample_of(record))
    except HostError as error:
        return replace(facts, sample_fault=error.message.removeprefix(f"{host.name}: "))
    facts = replace(facts, sample=sample, kvm=None if again else _kept_kvm(record, sample))
    wants_kvm = host.virt_type == "kvm" and facts.kvm is None
    try:
        facts = replace(facts, trial=examiner.try_out(host, sample, kvm=wants_kvm))
    except HostError:
        facts = replace(facts, trial=Trial(whole=False))
    if sample.libvirt_error is not None:
        return facts
    return replace(facts, library=examiner.library(host))


def _identity(record: HostRecord | None) -> Identity | None:
    if record is None or record.seen is None:
        return None
    return Identity(machine=record.machine, libvirt=record.libvirt)


def _kept_kvm(record: HostRecord | None, sample: HostSample) -> KvmTrial | None:
    """Give what an earlier check found, if the host has not been started anew since."""
    kept = record.kvm if record else None
    if kept is None or kept.boot != sample.boot_id:
        return None
    said = BOOTED if kept.alive else HUNG
    return KvmTrial(alive=kept.alive, said=f"{said}, tried earlier in this boot")


def _keep_kvm(name: str, facts: Facts, store: Store, clock: Clock) -> None:
    """Keep an answer that holds until the next boot; other failures may pass, or be mended."""
    tried = facts.trial.kvm if facts.trial else None
    boot = facts.sample.boot_id if facts.sample else None
    if tried is None or boot is None:
        return
    if tried.alive or (tried.alive is False and tried.said == HUNG):
        store.save_kvm(name, KvmCheck(alive=tried.alive, boot=boot, at=clock()))


def _machines(records: Iterable[HostRecord], found: Mapping[str, Facts]) -> dict[str, Identity]:
    """Give the machine behind every name: as just seen, else as on record."""
    known = {one.name: Identity(machine=one.machine, libvirt=one.libvirt) for one in records}
    for name, facts in found.items():
        if facts.sample is not None:
            known[name] = Identity(
                machine=facts.sample.machine_id, libvirt=facts.sample.libvirt_uuid
            )
    return known


def _compared(facts: Facts, machines: Mapping[str, Identity]) -> Facts:
    """Name the other hosts that are this very machine, or were installed from one image."""
    mine = machines.get(facts.host.name)
    if mine is None or facts.sample is None:
        return facts
    others = {name: one for name, one in machines.items() if name != facts.host.name}
    same = tuple(n for n, one in others.items() if one.libvirt and one.libvirt == mine.libvirt)
    cloned = tuple(
        name
        for name, one in others.items()
        if one.machine and one.machine == mine.machine and name not in same
    )
    return replace(facts, same_machine=same, same_machine_id=cloned)
