"""What is there, taken and free of a host that gives out some of its CPUs one by one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.support.inventories import an_inventory
from tests.support.servers import BUILD, OWNER, SPEC
from vmctl.domain.fleet_record import FleetRecord, Room
from vmctl.domain.host import Host
from vmctl.domain.host_record import HostRecord
from vmctl.domain.resources import Resources
from vmctl.domain.sample import Guest, HostSample
from vmctl.domain.sample_form import pins_in, to_plain
from vmctl.domain.server_record import ServerRecord, to_xml
from vmctl.domain.usage import Usage, reckon
from vmctl.services.claiming import with_sample
from vmctl.services.fleet import fleet_of

HOST = Host(name="kvm1", address="kvm1", dedicated_cpus=(2, 3, 4, 5, 6, 7))
THEIRS = Guest(
    uuid="theirs",
    vcpus=2,
    memory=512,
    record=to_xml(ServerRecord(owner=OWNER, spec=SPEC, build=replace(BUILD, cpus=(2, 3)))),
    pins="0-3",
)
FREE = Guest(uuid="free", vcpus=1, memory=64)


def a_sample(*guests: Guest, cpus: int = 8) -> HostSample:
    return HostSample(taken_at=1.0, facts_at=1.0, cpus=cpus, memory=16000, guests=guests)


def usage(sample: HostSample, host: Host = HOST, vcpus: int = 0, cpus: Iterable[int] = ()) -> Usage:
    return reckon(
        host,
        sample,
        ours={"ours"},
        claimed=Resources(vcpus=vcpus),
        cpus=frozenset(cpus),
        pinned=pins_in(to_plain(sample)),
    )


def test_the_vcpus_are_those_that_are_left() -> None:
    seen = usage(a_sample())

    assert (seen.total.vcpus, seen.free.vcpus) == (2, 8)  # four times over
    assert (seen.dedicated, seen.dedicated_taken) == ((2, 3, 4, 5, 6, 7), frozenset())


def test_what_the_inventory_lets_be_used_is_shared_out_likewise() -> None:
    bounded = replace(HOST, capacity=replace(HOST.capacity, vcpus=7))

    assert usage(a_sample(), bounded).total.vcpus == 1
    assert usage(a_sample(cpus=4)).total.vcpus == 2
    assert usage(a_sample(cpus=4)).dedicated == (2, 3)


def test_a_server_of_ours_takes_its_own_and_no_vcpus() -> None:
    seen = usage(a_sample(), vcpus=5, cpus=(4, 5))  # one that shares has three of the five

    assert seen.taken.vcpus == 3
    assert seen.dedicated_taken == {4, 5}


def test_another_operators_takes_its_own_and_no_vcpus() -> None:
    seen = usage(a_sample(THEIRS, FREE))

    assert seen.taken.vcpus == 1
    assert seen.dedicated_taken == {2, 3}


def test_a_machine_that_is_off_keeps_its_own() -> None:
    stopped = replace(HOST, count_stopped=False)

    seen = usage(a_sample(replace(FREE, pins="6")), stopped)

    assert seen.taken.vcpus == 0
    assert seen.dedicated_taken == {6}


def test_where_none_are_dedicated_any_more_they_are_vcpus_again() -> None:
    plain = replace(HOST, dedicated_cpus=())

    seen = usage(a_sample(THEIRS), plain, vcpus=2, cpus=(4, 5))

    assert (seen.total.vcpus, seen.taken.vcpus, seen.dedicated_taken) == (8, 4, frozenset())


INVENTORY = an_inventory("hosts: {kvm1: {address: kvm1, dedicated_cpus: 2-7}}")


def test_the_fleet_tells_of_them_claimed_bound_and_free() -> None:
    ours = Guest(uuid="ours", vcpus=2, memory=512, state="running", pins="4-5")
    by_hand = Guest(uuid="moved", vcpus=1, memory=64, state="running", pins="7")
    record = with_sample(HostRecord(name="kvm1"), a_sample(THEIRS, ours, by_hand))
    rooms = (
        Room("kvm1", "moved", "", 1, 64, 0),
        Room("kvm1", "ours", "", 2, 512, 0, "4-5"),
    )

    (host,) = fleet_of(INVENTORY, FleetRecord(hosts={"kvm1": record}, claims=rooms), 1.0).hosts

    assert (host.total.vcpus, host.total.dedicated) == (2, 6)
    # The one of ours that somebody has bound by hand takes what it was given, and its CPU.
    assert (host.taken.vcpus, host.taken.dedicated) == (1, 5)
    assert host.foreign.dedicated == 3
    assert host.claims == (
        Resources(vcpus=1, memory=64),
        Resources(memory=512, dedicated=2),
    )
