from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.inventories import an_inventory
from tests.support.servers import BUILD, OWNER, SPEC
from tests.support.stores import Clock, a_wanted, admit, begin
from vmctl.adapters.store.catalog import Catalog
from vmctl.adapters.store.picture import fleet_record
from vmctl.domain.catalog import ServerGroup
from vmctl.domain.fleet import Group, HostState, Pool, Pressure
from vmctl.domain.fleet_record import FleetRecord, Room
from vmctl.domain.host_record import HostRecord
from vmctl.domain.operation import OperationState
from vmctl.domain.record import AttemptState, Change, ServerState
from vmctl.domain.resources import Resources
from vmctl.domain.sample import FoundPool, Guest, HostSample, Stall
from vmctl.domain.sample_form import to_plain
from vmctl.domain.server_record import ServerRecord, to_xml
from vmctl.scheduler.fleet_data import fleet_data
from vmctl.scheduler.fleet_file import fleet_from
from vmctl.scheduler.policy import Policy
from vmctl.services.fleet import fleet_of, to_ask

if TYPE_CHECKING:
    from vmctl.adapters.store import SqlStore
    from vmctl.ports import Leases

NOW = 1_800_000_000.0
INVENTORY = """
    hosts:
      kvm1:
        address: 192.0.2.1
        zone: a
        labels: {rack: r1}
        reserved: {memory: 1GiB, disk: 2GiB}
        capacity: {disk: 50GiB}
        pools: [{name: default, default: true, shared: nfs}, {name: fast}, {name: gone}]
      kvm2:
        address: 192.0.2.2
        pools: [{name: store, default: true, shared: nfs}]
    networks:
      lan: {source: {bridge: br0}, cidrs: [198.51.100.0/24]}
    aggregates:
      ssd: {hosts: [kvm2], metadata: {ssd: "true"}}
    """
SAMPLE = HostSample(
    taken_at=NOW - 30,
    facts_at=NOW - 30,
    depth="full",
    arch="x86_64",
    virt_types=("kvm", "qemu"),
    qemu_version="8.2.1",
    cpus=8,
    memory=16384,
    load=(3.5, 1.0, 1.0),
    psi_cpu=Stall(avg10=1.0, avg60=12.0, avg300=2.0),
    cpu_ticks=1000,
    steal_ticks=50,
    cpu_model="Skylake",
    cpu_features=("avx", "sse"),
    uefi=True,
    pools=(
        FoundPool(
            name="default",
            active=True,
            capacity=102_400,
            available=40_960,
            base_images=("vmctl-base-abc",),
        ),
        FoundPool(name="fast", active=False, capacity=10_240, available=8192),
        FoundPool(name="other", active=True, capacity=1, available=1),
    ),
    guests=(
        Guest(uuid="s1", name="ours", state="running", vcpus=9, memory=9999),
        Guest(uuid="f1", name="old", state="off", vcpus=2, memory=2048),
    ),
)


def a_record(name: str = "kvm1", sample: HostSample | None = SAMPLE, **more: Any) -> HostRecord:
    kept = None if sample is None else json.dumps(to_plain(sample))
    return HostRecord(name=name, seen=sample.taken_at if sample else None, kept=kept, **more)


def a_claim(server: str, host: str = "kvm1", pool: str = "") -> Room:
    return Room(server=server, host=host, vcpus=1, memory=512, disk=1024, pool=pool)


def seen(record: FleetRecord, host: str = "kvm1") -> HostState:
    fleet = fleet_of(an_inventory(INVENTORY), record, NOW)
    return next(one for one in fleet.hosts if one.name == host)


def test_a_host_is_all_that_the_inventory_and_the_last_look_say() -> None:
    claims = (a_claim("s1"), a_claim("s1", pool="fast"), a_claim("s2", "kvm2"))
    record = FleetRecord(hosts={"kvm1": a_record()}, claims=claims, jobs={"kvm1": 2})

    host = seen(replace(record, failed_builds={"kvm1": 3}))

    assert host == HostState(
        name="kvm1",
        total=Resources(vcpus=8, memory=16384, disk=51_200),
        taken=Resources(vcpus=4, memory=3072, disk=2048),  # both hosts' disks are in the one store
        reserved=Resources(memory=1024, disk=2048),
        foreign=Resources(vcpus=2, memory=2048),
        disk_available=40_960,
        disk_shared="nfs",
        zone="a",
        sample_age=30.0,
        num_instances=1,
        num_io_ops=2,
        failed_builds=3,
        hypervisor_type="kvm",
        hypervisor_version=8_002_001,
        arch="x86_64",
        supported=(("x86_64", "kvm", "hvm"), ("x86_64", "qemu", "hvm")),
        capabilities=host.capabilities,
        labels={"rack": "r1"},
        servers=frozenset({"s1"}),
        claims=(Resources(vcpus=2, memory=1024, disk=1024),),
        networks=frozenset({"lan"}),
        pools=(
            Pool(name="default", total=51_200, taken=2048, reserved=2048, available=40_960,
                 shared="nfs"),
            Pool(name="fast", total=10_240, taken=1024, available=8192, active=False),
        ),
        guests=frozenset({"old"}),
        images=frozenset({"abc"}),
        pressure=Pressure(cpu=12.0, load=3.5, steal=5.0),
    )  # fmt: skip
    assert host.capabilities["cpu_info"] == {
        "arch": "x86_64",
        "model": "Skylake",
        "vendor": None,
        "features": ["avx", "sse"],
        "topology": {"sockets": None, "cores": None, "threads": None},
    }
    assert host.capabilities["uefi"] is True
    assert "tpm" not in host.capabilities


@pytest.mark.parametrize("pool", ["default", "fast"])
def test_another_operators_server_takes_from_the_pool_that_its_record_names(pool: str) -> None:
    server = ServerRecord(owner=OWNER, spec=SPEC, build=replace(BUILD, pool=pool))
    theirs = Guest(uuid="theirs", name="web-1", record=to_xml(server))
    before = seen(FleetRecord(hosts={"kvm1": a_record()}))

    host = seen(FleetRecord(hosts={"kvm1": a_record(sample=replace(SAMPLE, guests=(theirs,)))}))

    took = {
        after.name: after.taken - was.taken
        for was, after in zip(before.pools or (), host.pools or (), strict=True)
    }
    assert took == {"default": 0, "fast": 0} | {pool: 10240}
    assert host.taken.disk - before.taken.disk == took["default"]


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (None, "it was never asked"),
        (a_record(failed=NOW, error="no route"), "no route"),
        (a_record(failed=NOW - 60, error="no route"), None),
        (a_record(sample=None, failed=NOW), "no answer"),
        (a_record(sample=replace(SAMPLE, libvirt_error="it hangs")), "it hangs"),
        (HostRecord(name="kvm1", seen=NOW, kept='{"version": 99}'), "its last sample is another"),
    ],
    ids=["never", "failed", "failed before", "always failed", "libvirt", "other version"],
)
def test_a_host_is_down_unless_its_last_word_was_an_answer(
    record: HostRecord | None, why: str | None
) -> None:
    host = seen(FleetRecord(hosts={"kvm1": record} if record else {}))

    assert host.up == (why is None)
    assert (host.down_reason or "").startswith(why or "")


def test_the_operators_word_comes_from_the_record() -> None:
    disabled = seen(FleetRecord(hosts={"kvm1": a_record(enabled=False, reason="new disks")}))

    assert (disabled.enabled, disabled.disabled_reason) == (False, "new disks")
    assert seen(FleetRecord()).enabled


def test_groups_and_aggregates_come_along() -> None:
    group = ServerGroup(
        id="g", name="web", project="p", policy="affinity", max_server_per_host=2, members=("s1",)
    )
    fleet = fleet_of(an_inventory(INVENTORY), FleetRecord(groups=(group,)), NOW)

    assert fleet.groups == (
        Group(name="web", policy="affinity", members=frozenset({"s1"}), max_server_per_host=2),
    )
    assert [(one.name, one.hosts, one.metadata) for one in fleet.aggregates] == [
        ("ssd", frozenset({"kvm2"}), {"ssd": "true"})
    ]


def test_a_live_fleet_reads_back_from_its_file() -> None:
    record = FleetRecord(hosts={"kvm1": a_record()}, claims=(a_claim("s1"),))
    fleet = fleet_of(an_inventory(INVENTORY), record, NOW)

    back = fleet_from(fleet_data(fleet, Policy())).fleet

    for before, after in zip(fleet.hosts, back.hosts, strict=True):
        free = (before.spare_memory, before.spare_disk, before.spare_vcpus)
        assert (after.spare_memory, after.spare_disk, after.spare_vcpus) == free
        assert (after.up, after.pools is None) == (before.up, before.pools is None)
        assert (after.claims, after.guests) == (before.claims, before.guests)


def test_hosts_are_asked_whose_last_word_is_too_old() -> None:
    inventory = an_inventory(INVENTORY)

    def asked(**record: float) -> list[str]:
        records = {"kvm1": HostRecord(name="kvm1", **record)}  # type: ignore[arg-type]  # times
        return [host.name for host in to_ask(inventory, records, NOW, 60)]

    assert asked() == ["kvm1", "kvm2"]
    assert asked(seen=NOW - 60) == ["kvm2"]
    assert asked(seen=NOW - 61) == ["kvm1", "kvm2"]
    assert asked(seen=NOW - 999, failed=NOW - 5) == ["kvm2"]
    assert asked(seen=NOW + 61) == ["kvm1", "kvm2"]


def test_the_record_is_read_whole(store: SqlStore, leases: Leases, clock: Clock) -> None:
    failed = Change(state=ServerState.ERROR, fault="no disk")
    good = admit(store, leases, "good", a_wanted("kvm1"))
    bad = admit(store, leases, "bad", a_wanted("kvm1"))
    clock.tick()
    store.mark_attempt(bad, 1, AttemptState.OWED, "no disk")
    store.finish(bad, OperationState.UNWOUND, change=failed, release=[])
    begin(store, leases, "host-drain", None)
    Catalog(store).add_group(ServerGroup(id="g", name="web", project="", policy="affinity"))

    record = fleet_record(store)
    assert {claim.server for claim in record.claims} == {one.id for one in store.servers()}
    assert record.jobs == {"kvm1": 1}
    assert record.failed_builds == {"kvm1": 1}
    assert [group.name for group in record.groups] == ["web"]
    assert list(record.hosts) == [host.name for host in store.hosts()]

    clock.tick()
    store.mark_attempt(good, 1, AttemptState.BEGUN)
    assert fleet_record(store).failed_builds == {}
    clock.tick()
    again = admit(store, leases, "again", a_wanted("kvm1"))
    store.mark_attempt(again, 1, AttemptState.OWED, "no disk")
    assert fleet_record(store).failed_builds == {"kvm1": 1}
    clock.tick(86_401)
    assert fleet_record(store).failed_builds == {}
