from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.random_fleets import PLUGGED_FILTERS, flavors, fleets, requests
from tests.support.scheduling import a_flavor, a_fleet, a_host, a_request, amount, an_aggregate
from vmctl.domain.fleet import Fleet, Group
from vmctl.domain.request import FlavorSpec, RequestSpec
from vmctl.domain.resources import Resources
from vmctl.scheduler.capacity import capacity
from vmctl.scheduler.engine import place
from vmctl.scheduler.policy import DEFAULT_FILTERS, Options, Policy
from vmctl.scheduler.taking import load
from vmctl.scheduler.what_if import without_host

EXAMPLES = int(os.environ.get("VMCTL_EXAMPLES", "300")) // 3
some = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)
LIMITED = Options(max_instances_per_host=7, max_io_ops_per_host=6)
CHAINS = (
    DEFAULT_FILTERS,
    (*DEFAULT_FILTERS, "NumInstances", "Json", "Odd"),
    ("ServerGroupAntiAffinity", "AggregateRam", "IoOps", "ServerGroupAffinity"),
)


@some
@given(requests(), fleets(max_hosts=5), st.sampled_from(CHAINS))
def test_capacity_says_n_exactly_when_n_fit_and_one_more_does_not(
    request: RequestSpec, fleet: Fleet, chain: tuple[str, ...]
) -> None:
    policy = Policy(filters=chain, options=LIMITED)

    found = capacity(request, fleet, policy, filters=PLUGGED_FILTERS).total

    if found is None:
        many = replace(request, count=200, min_count=None)
        assert place(many, fleet, policy, filters=PLUGGED_FILTERS).failed is None
        return
    one_more = replace(request, count=found + 1, min_count=None)
    assert place(one_more, fleet, policy, filters=PLUGGED_FILTERS).failed is not None
    if found:
        just = replace(request, count=found, min_count=None)
        assert place(just, fleet, policy, filters=PLUGGED_FILTERS).failed is None


@some
@given(fleets(max_hosts=4), flavors())
def test_any_one_host_may_die_when_capacity_says_so(fleet: Fleet, flavor: FlavorSpec) -> None:
    request = RequestSpec(flavor=flavor)
    policy = Policy(filters=("Compute", "Ram", "NumInstances"), options=LIMITED)
    fleet = replace(
        fleet,
        hosts=tuple(
            replace(host, claims=(host.taken,) if host.taken != Resources() else ())
            for host in fleet.hosts
        ),
    )
    found = capacity(request, fleet, policy, survive_one=True).survival
    assert found is not None

    def survivable(added: int) -> bool:
        grown, new = fleet, Counter[str]()
        if added:
            placed = place(replace(request, count=added), fleet, policy)
            assert placed.failed is None
            new.update(choice.host for choice in placed.choices)
            grown = load(fleet, request, new)
        return all(evacuable(grown, host.name, host.claims, new) for host in fleet.hosts)

    def evacuable(
        grown: Fleet, dead: str, claims: tuple[Resources, ...] | None, new: Counter[str]
    ) -> bool:
        rest = without_host(grown, dead)
        sizes = [*(claims or ()), *[flavor.claim] * new[dead]]
        sizes.sort(key=lambda size: (-size.memory, -size.disk, -size.vcpus))
        for size in sizes:
            moved = RequestSpec(
                flavor=FlavorSpec(vcpus=size.vcpus, memory=size.memory, disk=size.disk)
            )
            placed = place(moved, rest, policy)
            if placed.failed is not None:
                return False
            rest = load(rest, moved, {placed.choices[0].host: 1})
        return True

    assert found.safe_now == survivable(0)
    if found.safe_now:
        total = capacity(request, fleet, policy).total
        assert total is not None
        assert survivable(found.fits)
        assert found.fits == total or not survivable(found.fits + 1)
        assert (found.weakest is None) == (found.fits == total)


def test_capacity_names_what_binds_and_what_is_stranded() -> None:
    fleet = a_fleet(
        a_host("kvm1", zone="a", vcpus=4, memory="8GiB", disk="1TiB", cpu_ratio=1.0),
        a_host("kvm2", zone="b", vcpus=2, memory="64GiB", disk="1TiB", cpu_ratio=1.0),
        a_host("kvm3", zone="b", enabled=False),
    )

    found = capacity(a_request(a_flavor(vcpus=1, memory="4GiB", disk="10GiB")), fleet, Policy())

    assert (found.total, found.zones) == (4, {"a": 2, "b": 2})
    assert [(each.host, each.fits, each.filter) for each in found.hosts] == [
        ("kvm1", 2, "Ram"),
        ("kvm2", 2, "Core"),
        ("kvm3", 0, "Compute"),
    ]
    assert found.binding == {"Ram": 1, "Core": 1, "Compute": 1}
    assert found.hosts[0].stranded == amount(vcpus=2, disk="1004GiB")
    assert found.hosts[1].stranded == amount(memory="56GiB", disk="1004GiB")
    assert found.hosts[2].stranded == Resources()
    assert found.stranded == amount(vcpus=2, memory="56GiB", disk="2008GiB")


def test_a_shared_pool_is_counted_once() -> None:
    fleet = a_fleet(
        a_host("kvm1", disk="100GiB", disk_shared="nfs"),
        a_host("kvm2", disk="100GiB", disk_shared="nfs"),
    )

    found = capacity(a_request(a_flavor(disk="10GiB")), fleet, Policy())

    assert [each.fits for each in found.hosts] == [10, 10]
    assert found.total == 10


def test_capacity_without_any_limit_is_none() -> None:
    found = capacity(a_request(), a_fleet(a_host()), Policy(filters=("AllHosts",)))

    assert (found.total, found.hosts[0].fits, found.hosts[0].filter) == (None, None, None)


@pytest.mark.parametrize(
    ("chain", "hints"),
    [(("Ram", "Odd"), {}), (("Ram", "Json"), {"query": '["not", ["=", "$num_instances", 3]]'})],
)
def test_a_filter_that_would_pass_again_further_on_still_ends_a_host(
    chain: tuple[str, ...], hints: dict[str, object]
) -> None:
    fleet = a_fleet(a_host("kvm1", memory="30GiB"))
    policy = Policy(filters=chain)
    one = a_request(a_flavor(memory="3GiB"), hints=hints)

    found = capacity(one, fleet, policy, filters=PLUGGED_FILTERS)

    assert (found.total, found.hosts[0].filter) == (3, chain[1])
    assert place(replace(one, count=4), fleet, policy, filters=PLUGGED_FILTERS).failed is not None


def test_a_group_that_keeps_apart_limits_each_host() -> None:
    group = Group(name="g", policy="anti-affinity", max_server_per_host=2)
    fleet = a_fleet(a_host("kvm1"), a_host("kvm2"), groups=(group,))

    found = capacity(a_request(group="g"), fleet, Policy())

    assert found.total == 4
    assert found.binding == {"ServerGroupAntiAffinity": 2}


def test_a_zone_of_an_aggregate_is_counted_as_one() -> None:
    fleet = a_fleet(
        a_host("kvm1", memory="4GiB"),
        a_host("kvm2", memory="4GiB"),
        aggregates=(an_aggregate("kvm1", metadata={"availability_zone": "z9"}),),
    )

    assert capacity(a_request(), fleet, Policy()).zones == {"nova": 2, "z9": 2}


def test_two_hosts_survive_a_death_up_to_what_one_of_them_holds() -> None:
    used = amount(memory="2GiB")
    fleet = a_fleet(
        a_host("kvm1", memory="16GiB", taken=used, num_instances=1),
        a_host("kvm2", memory="16GiB", taken=used, num_instances=1),
    )

    found = capacity(a_request(a_flavor(memory="2GiB")), fleet, Policy(), survive_one=True)

    assert found.total == 14
    assert found.survival is not None
    assert (found.survival.fits, found.survival.safe_now) == (6, True)


def test_a_fleet_that_cannot_lose_a_host_already_says_which() -> None:
    fleet = a_fleet(
        a_host("kvm1", memory="16GiB", taken=amount(memory="12GiB"), num_instances=3),
        a_host("kvm2", memory="8GiB"),
    )

    found = capacity(a_request(), fleet, Policy(), survive_one=True).survival

    assert found is not None
    assert (found.fits, found.safe_now, found.weakest) == (0, False, "kvm1")
