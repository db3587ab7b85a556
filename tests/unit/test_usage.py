"""What is there, taken and free on a host; how hard it works; whether it is up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.servers import BUILD, OWNER, SPEC
from vmctl.domain.host import Host, Limits, Pool, Ratios
from vmctl.domain.resources import Resources
from vmctl.domain.sample import FoundPool, Guest, HostSample, Stall
from vmctl.domain.server_record import ServerRecord, to_xml
from vmctl.domain.usage import Usage, pressure_word, reckon, state_of

OURS, LEGACY, OFF = "server-1", "legacy-db", "old-build"
GUESTS = (
    Guest(uuid=OURS, state="running", vcpus=2, memory=2048),
    Guest(uuid=LEGACY, state="running", vcpus=1, memory=512),
    Guest(uuid=OFF, state="off", vcpus=4, memory=4096),
)
SAMPLE = HostSample(
    taken_at=100.0,
    cpus=8,
    memory=16000,
    pools=(FoundPool(name="default", active=True, capacity=90000, available=50000),),
    guests=GUESTS,
)
HOST = Host(name="kvm1", address="kvm1", allocation_ratios=Ratios(cpu=4.0, ram=1.5))
CLAIM = (OURS, Resources(vcpus=2, memory=2100, disk=20480))


def usage_of(
    host: Host, sample: HostSample | None, claims: Sequence[tuple[str, Resources]]
) -> Usage:
    claimed = sum((claim for _, claim in claims), Resources())
    return reckon(host, sample, ours={uuid for uuid, _ in claims}, claimed=claimed)


def test_a_running_server_counts_once_by_its_claim() -> None:
    usage = usage_of(HOST, SAMPLE, [CLAIM])

    assert usage.taken == Resources(vcpus=2 + 1 + 4, memory=2100 + 512 + 4096, disk=20480)
    assert usage.foreign == Resources(vcpus=5, memory=4608)
    assert (usage.servers, usage.foreign_guests) == (1, 2)


def test_free_is_total_by_ratio_less_reserved_and_taken() -> None:
    usage = usage_of(HOST, SAMPLE, [CLAIM])

    assert usage.total == Limits(vcpus=8, memory=16000, disk=90000)
    assert usage.free == Limits(
        vcpus=32 - 7, memory=24000 - 512 - 6708, disk=min(90000 - 20480, 50000)
    )


def test_a_switched_off_stranger_counts_unless_the_inventory_says_otherwise() -> None:
    host = Host(name="kvm1", address="kvm1", count_stopped=False)

    usage = usage_of(host, SAMPLE, [])

    assert usage.foreign == Resources(vcpus=3, memory=2560)


RECORD = to_xml(ServerRecord(owner=OWNER, spec=SPEC, build=BUILD))  # 2 vCPUs, 512 MiB, 10 GiB


def test_another_operators_server_counts_by_its_own_claim_even_while_it_is_off() -> None:
    host = Host(name="kvm1", address="kvm1", count_stopped=False)
    sample = replace(SAMPLE, guests=(*GUESTS, Guest(uuid="theirs", record=RECORD)))

    usage = usage_of(host, sample, [])

    assert usage.foreign == Resources(vcpus=3 + 2, memory=2560 + 512, disk=10240)
    assert usage.free.disk == min(90000 - 10240, 50000)
    assert usage.foreign_disks == {"default": 10240}


def test_the_disk_of_another_operators_server_is_taken_from_its_own_pool() -> None:
    record = to_xml(ServerRecord(owner=OWNER, spec=SPEC, build=replace(BUILD, pool="fast")))
    sample = replace(SAMPLE, guests=(Guest(uuid="theirs", record=record),))

    usage = usage_of(HOST, sample, [])

    assert usage.foreign.disk == 0
    assert usage.foreign_disks == {"fast": 10240}


def test_a_record_makes_no_machine_smaller_than_it_is_defined() -> None:
    sample = replace(SAMPLE, guests=(Guest(uuid="x", vcpus=8, memory=9999, record=RECORD),))

    assert usage_of(HOST, sample, []).foreign == Resources(vcpus=8, memory=9999, disk=10240)


def test_a_record_that_cannot_be_read_counts_as_a_machine_without_one() -> None:
    sample = replace(SAMPLE, guests=(Guest(uuid="x", vcpus=1, memory=64, record="<server>"),))

    assert usage_of(HOST, sample, []).foreign == Resources(vcpus=1, memory=64)


def test_a_paused_stranger_counts_as_a_running_one() -> None:
    host = Host(name="kvm1", address="kvm1", count_stopped=False)
    sample = HostSample(taken_at=1.0, guests=(Guest(uuid="x", state="paused", vcpus=1, memory=64),))

    assert usage_of(host, sample, []).foreign_guests == 1


@pytest.mark.parametrize(
    ("capacity", "total"),
    [
        (Limits(vcpus=2, memory=4096, disk=10000), Limits(vcpus=2, memory=4096, disk=10000)),
        (Limits(vcpus=99, memory=99999, disk=999999), Limits(vcpus=8, memory=16000, disk=90000)),
        (Limits(memory=1000), Limits(vcpus=8, memory=1000, disk=90000)),
    ],
    ids=["less", "more than there is", "memory only"],
)
def test_the_inventorys_capacity_is_an_upper_bound(capacity: Limits, total: Limits) -> None:
    host = Host(name="kvm1", address="kvm1", capacity=capacity)

    assert usage_of(host, SAMPLE, []).total == total


def test_a_host_that_never_answered_has_no_known_size() -> None:
    host = Host(name="kvm1", address="kvm1", capacity=Limits(vcpus=2, memory=1024, disk=1024))

    usage = usage_of(host, None, [CLAIM])

    assert usage.total == usage.free == Limits()
    assert usage.taken == CLAIM[1]


def test_the_disk_is_the_default_pools() -> None:
    host = Host(
        name="kvm1", address="kvm1", pools=(Pool(name="default"), Pool(name="fast", default=True))
    )

    assert usage_of(host, SAMPLE, []).total.disk is None


def test_two_attempts_of_one_server_hold_room_twice_and_are_one_server() -> None:
    usage = usage_of(HOST, SAMPLE, [CLAIM, CLAIM])

    assert usage.servers == 1
    assert usage.taken.disk == 40960


@given(
    claims=st.lists(st.tuples(st.sampled_from([OURS, LEGACY, "other"]), st.integers(0, 9000))),
    stopped=st.booleans(),
)
def test_every_machine_is_counted_once(claims: list[tuple[str, int]], *, stopped: bool) -> None:
    host = Host(name="kvm1", address="kvm1", count_stopped=stopped)
    usage = usage_of(host, SAMPLE, [(uuid, Resources(memory=memory)) for uuid, memory in claims])

    claimed = {uuid for uuid, _ in claims}
    strangers = sum(
        guest.memory
        for guest in GUESTS
        if guest.uuid not in claimed and (stopped or guest.state != "off")
    )
    assert usage.taken.memory == sum(memory for _, memory in claims) + strangers


def _stalls(cpu: float, memory: float, io: float) -> HostSample:
    return HostSample(
        taken_at=1.0,
        psi_cpu=Stall(avg60=cpu),
        psi_memory=Stall(avg60=memory),
        psi_io=Stall(avg60=io),
    )


@pytest.mark.parametrize(
    ("sample", "steal", "word"),
    [
        (None, None, None),
        (HostSample(taken_at=1.0, load=(90.0, 90.0, 90.0)), 50.0, None),
        (_stalls(19.9, 4.9, 19.9), None, "low"),
        (_stalls(20.0, 0, 0), None, "medium: cpu"),
        (_stalls(0, 5.0, 0), None, "medium: memory"),
        (_stalls(59.9, 0, 60.0), None, "high: io"),
        (_stalls(30.0, 25.0, 30.0), None, "high: memory"),
        (_stalls(0, 0, 0), 10.0, "medium: steal"),
        (_stalls(0, 0, 0), 31.0, "high: steal"),
        (_stalls(0, 4.9, 0), 6.0, "low"),
    ],
)
def test_the_pressure_is_the_worst_of_its_kinds(
    sample: HostSample | None, steal: float | None, word: str | None
) -> None:
    assert pressure_word(sample, steal) == word


@pytest.mark.parametrize(
    ("sample", "failed", "now", "state"),
    [
        (None, None, 0.0, "unknown"),
        (None, 50.0, 60.0, "down"),
        (SAMPLE, None, 400.0, "up"),
        (SAMPLE, None, 401.0, "stale"),
        (SAMPLE, 99.0, 110.0, "up"),
        (SAMPLE, 101.0, 110.0, "down"),
        (HostSample(taken_at=100.0, libvirt_error="no answer"), None, 110.0, "down"),
    ],
    ids=["never asked", "never up", "fresh", "old", "mended", "gone since", "libvirt hangs"],
)
def test_the_state_is_what_is_known_last(
    sample: HostSample | None, failed: float | None, now: float, state: str
) -> None:
    assert state_of(sample, failed=failed, now=now, fresh=300.0) == state
