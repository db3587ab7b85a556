"""The fleet as the scheduler sees it, made of the inventory and of what is on record."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.collecting import no_collecting
from vmctl.domain.cpus import read_cpus
from vmctl.domain.fleet import Aggregate, Fleet, Group, HostState, Pool, Pressure
from vmctl.domain.resources import Resources
from vmctl.domain.sample import BASE_IMAGE_PREFIX
from vmctl.domain.sample_form import for_placing, pins_in
from vmctl.domain.usage import reckon

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vmctl.domain.fleet_record import FleetRecord, Room
    from vmctl.domain.host import Host
    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.inventory import Inventory
    from vmctl.domain.sample import HostSample, Stall


def fleet_of(inventory: Inventory, record: FleetRecord, now: float) -> Fleet:
    """See every host of the inventory as it is on record, ready to be placed on.

    A host without a sample that can be read is down: nothing is known to be free there.
    """
    with no_collecting():
        return _fleet_of(inventory, record, now)


def _fleet_of(inventory: Inventory, record: FleetRecord, now: float) -> Fleet:
    claims: dict[str, list[Room]] = defaultdict(list)
    for claim in record.claims:
        claims[claim.host].append(claim)
    shared = _shared(inventory, claims)
    return Fleet(
        hosts=tuple(
            _host(host, record, claims.get(host.name, ()), shared, now)
            for host in inventory.hosts.values()
        ),
        aggregates=tuple(
            Aggregate(name=one.name, hosts=frozenset(one.hosts), metadata=one.metadata)
            for one in inventory.aggregates.values()
        ),
        groups=tuple(
            Group(
                name=group.name,
                policy=group.policy,
                members=frozenset(group.members),
                max_server_per_host=group.max_server_per_host,
            )
            for group in record.groups
        ),
    )


def to_ask(
    inventory: Inventory, records: Mapping[str, HostRecord], now: float, oldest: float
) -> list[Host]:
    """Give the hosts whose last word, an answer or a failure, is older than placing allows."""

    def age(host: Host) -> float:
        record = records.get(host.name)
        heard = max(record.seen or 0.0, record.failed or 0.0) if record else 0.0
        return abs(now - heard)

    return [host for host in inventory.hosts.values() if age(host) > oldest]


def _shared(inventory: Inventory, claims: Mapping[str, Iterable[Room]]) -> Counter[str]:
    """What claims take of each storage that several hosts see, wherever they stand."""
    taken: Counter[str] = Counter()
    for host in inventory.hosts.values():
        default = host.default_pool.name
        for pool in host.pools:
            if pool.shared:
                taken[pool.shared] += sum(
                    claim.disk
                    for claim in claims.get(host.name, ())
                    if pool.name == (claim.pool or default)
                )
    return taken


def _host(
    host: Host,
    record: FleetRecord,
    claims: Iterable[Room],
    shared: Mapping[str, int],
    now: float,
) -> HostState:
    known = record.hosts.get(host.name)
    ours: dict[str, Resources] = {}
    cpus: set[int] = set()
    by_pool: Counter[str] = Counter()
    default = host.default_pool
    for claim in claims:
        disk = claim.disk if claim.pool in ("", default.name) else 0
        size = Resources(vcpus=claim.vcpus, memory=claim.memory, disk=disk)
        if claim.cpus:
            own = read_cpus(claim.cpus)
            cpus |= own
            given = len(own.intersection(host.dedicated_cpus))
            size = replace(size, vcpus=size.vcpus - given, dedicated=given)
        ours[claim.server] = ours[claim.server] + size if claim.server in ours else size
        by_pool[claim.pool or default.name] += claim.disk
    plain = known.sample if known else None
    sample = for_placing(plain, ours) if plain else None  # without the guests that are ours
    sizes = tuple(ours.values())
    claimed = _sum(sizes)
    usage = reckon(
        host,
        sample,
        ours=ours,
        claimed=claimed,
        cpus=frozenset(cpus),
        pinned=pins_in(plain) if host.dedicated_cpus and plain else frozenset(),
    )
    if usage.foreign_disks:
        by_pool.update(usage.foreign_disks)
        shared = Counter(shared)
        for pool in host.pools:
            shared[pool.shared or ""] += usage.foreign_disks.get(pool.name, 0)
    taken, total, foreign = usage.taken, usage.total, usage.foreign
    if usage.dedicated:
        taken = replace(taken, dedicated=len(usage.dedicated_taken))
        foreign = replace(foreign, dedicated=len(usage.dedicated_taken - cpus))
    if default.shared:
        taken = replace(taken, disk=shared.get(default.shared, 0))
    down = _down(known, sample)
    return HostState(
        name=host.name,
        total=Resources(
            vcpus=total.vcpus or 0,
            memory=total.memory or 0,
            disk=total.disk or 0,
            dedicated=len(usage.dedicated),
        ),
        taken=taken,
        reserved=host.reserved,
        foreign=foreign,
        cpu_ratio=host.allocation_ratios.cpu,
        ram_ratio=host.allocation_ratios.ram,
        disk_ratio=host.allocation_ratios.disk,
        disk_available=usage.available,
        disk_shared=default.shared,
        zone=host.zone,
        enabled=known is None or known.enabled,
        disabled_reason=known.reason if known else None,
        up=down is None,
        down_reason=down,
        sample_age=now - sample.taken_at if sample else None,
        num_instances=len(ours),
        num_io_ops=record.jobs.get(host.name, 0),
        failed_builds=record.failed_builds.get(host.name, 0),
        hypervisor_type=host.virt_type,
        hypervisor_version=sample.qemu_number if sample else None,
        arch=sample.arch if sample else None,
        supported=_supported(sample),
        capabilities=_capabilities(sample),
        labels=host.labels,
        servers=frozenset(ours),
        claims=sizes,
        networks=frozenset(host.networks),
        pools=_pools(host, sample, by_pool, shared),
        guests=frozenset(guest.name for guest in sample.guests) if sample else None,
        images=frozenset(one for pool in sample.pools for one in _images(pool.base_images))
        if sample
        else None,
        pressure=_pressure(sample),
    )


def _sum(sizes: Iterable[Resources]) -> Resources:
    """Sum up claims, CPUs of servers' own among the vCPUs."""
    vcpus = memory = disk = 0
    for size in sizes:
        vcpus += size.vcpus + size.dedicated
        memory, disk = memory + size.memory, disk + size.disk
    return Resources(vcpus=vcpus, memory=memory, disk=disk)


def _down(record: HostRecord | None, sample: HostSample | None) -> str | None:
    if record is None or (record.seen is None and record.failed is None):
        return "it was never asked"
    if not record.answered:
        return record.error or "no answer"
    if sample is None:
        return "its last sample is another vmctl's"
    return sample.libvirt_error


def _supported(sample: HostSample | None) -> tuple[tuple[str, str, str], ...]:
    if sample is None or sample.arch is None:
        return ()
    return tuple((sample.arch, kind, "hvm") for kind in sample.virt_types)


def _capabilities(sample: HostSample | None) -> dict[str, object]:
    if sample is None:
        return {}
    said = {
        "cpu_info": {
            "arch": sample.arch,
            "model": sample.cpu_model,
            "vendor": sample.cpu_vendor,
            "features": list(sample.cpu_features),
            "topology": {
                "sockets": sample.sockets,
                "cores": sample.cores,
                "threads": sample.threads,
            },
        },
        "uefi": sample.uefi,
        "secure_boot": sample.secure_boot,
        "tpm": sample.tpm,
        "hugepages_free": sample.hugepages_free,
    }
    return {name: value for name, value in said.items() if value is not None}


def _pools(
    host: Host, sample: HostSample | None, taken: Mapping[str, int], shared: Mapping[str, int]
) -> tuple[Pool, ...] | None:
    if sample is None:
        return None
    found = []
    for pool in host.pools:
        seen = sample.pool(pool.name)
        if seen is None:
            continue
        total, default = seen.capacity or 0, pool == host.default_pool
        if default and host.capacity.disk is not None:
            total = min(total, host.capacity.disk)
        here = taken.get(pool.name, 0)
        found.append(
            Pool(
                name=pool.name,
                total=total,
                taken=shared.get(pool.shared, 0) if pool.shared else here,
                reserved=host.reserved.disk if default else 0,
                available=seen.available,
                active=seen.active is not False,
                shared=pool.shared,
            )
        )
    return tuple(found)


def _images(names: Iterable[str]) -> Iterable[str]:
    """Give the digests of base images by their volumes' names."""
    return (name.removeprefix(BASE_IMAGE_PREFIX) for name in names)


def _pressure(sample: HostSample | None) -> Pressure | None:
    if sample is None:
        return None
    return Pressure(
        cpu=_avg(sample.psi_cpu),
        memory=_avg(sample.psi_memory),
        io=_avg(sample.psi_io),
        load=sample.load[0] if sample.load else None,
        steal=sample.steal,
    )


def _avg(stall: Stall | None) -> float | None:
    return None if stall is None else stall.avg60
