from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.naive_placement import naive_place
from tests.support.random_fleets import (
    PLUGGED_FILTERS,
    PLUGGED_WEIGHERS,
    fleets,
    policies,
    requests,
)
from vmctl.scheduler.engine import place
from vmctl.scheduler.policy import Policy

if TYPE_CHECKING:
    import random

    from vmctl.domain.fleet import Fleet
    from vmctl.domain.placement import Placement, Verdict
    from vmctl.domain.request import RequestSpec

EXAMPLES = int(os.environ.get("VMCTL_EXAMPLES", "300"))
many = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def placed(request: RequestSpec, fleet: Fleet, policy: Policy, *, trace: bool = False) -> Placement:
    return place(
        request,
        fleet,
        policy,
        filters=PLUGGED_FILTERS,
        weighers=PLUGGED_WEIGHERS,
        trace=trace,
    )


@many
@given(requests(), fleets(), policies())
def test_the_engine_answers_as_the_plain_loop_does(
    request: RequestSpec, fleet: Fleet, policy: Policy
) -> None:
    expected = naive_place(
        request, fleet, policy, filters=PLUGGED_FILTERS, weighers=PLUGGED_WEIGHERS
    )

    quick = placed(request, fleet, policy)
    traced = placed(request, fleet, policy, trace=True)

    assert quick.choices == traced.choices == expected.choices
    assert quick.verdicts == traced.verdicts == expected.verdicts
    assert traced.trace == expected.trace
    assert (quick.failed is None) == (expected.failed is None)
    assert quick.failed == traced.failed
    for verdicts in (quick.verdicts, *traced.trace):
        assert_each_host_has_one_verdict(fleet, verdicts)
    assert_all_or_nothing(request, quick)


def assert_each_host_has_one_verdict(fleet: Fleet, verdicts: tuple[Verdict, ...]) -> None:
    assert [verdict.host for verdict in verdicts] == [host.name for host in fleet.hosts]
    for verdict in verdicts:
        assert (verdict.filter is None) == verdict.passed
        assert verdict.passed or not verdict.weights


def assert_all_or_nothing(request: RequestSpec, placement: Placement) -> None:
    if placement.failed is None:
        assert (request.min_count or request.count) <= len(placement.choices) <= request.count
    else:
        assert placement.choices == ()


@settings(many, max_examples=max(EXAMPLES // 10, 20))
@given(requests(max_count=80), fleets(max_hosts=40), policies())
def test_the_engine_answers_as_the_plain_loop_does_in_a_larger_fleet(
    request: RequestSpec, fleet: Fleet, policy: Policy
) -> None:
    roomy = replace(
        fleet,
        hosts=tuple(
            replace(
                host,
                total=replace(host.total, memory=host.total.memory * 10, disk=host.total.disk * 20),
                taken=replace(host.taken, memory=host.taken.memory * index % 37),
            )
            for index, host in enumerate(fleet.hosts)
        ),
    )
    policy = replace(
        policy, options=replace(policy.options, max_instances_per_host=50, max_io_ops_per_host=50)
    )
    expected = naive_place(
        request, roomy, policy, filters=PLUGGED_FILTERS, weighers=PLUGGED_WEIGHERS
    )

    assert placed(request, roomy, policy).choices == expected.choices


@settings(many, max_examples=max(EXAMPLES // 2, 20))
@given(requests(), fleets(), policies(), st.randoms(use_true_random=False))
def test_the_order_of_the_filters_does_not_change_who_survives(
    request: RequestSpec, fleet: Fleet, policy: Policy, chance: random.Random
) -> None:
    shuffled = list(policy.filters)
    chance.shuffle(shuffled)

    one = placed(request, fleet, policy)
    other = placed(request, fleet, replace(policy, filters=tuple(shuffled)))

    assert [verdict.passed for verdict in one.verdicts] == [
        verdict.passed for verdict in other.verdicts
    ]
    assert one.choices == other.choices


@settings(many, max_examples=max(EXAMPLES // 2, 20))
@given(requests(), fleets(), st.sampled_from(("hash", "order")), st.integers(1, 3))
def test_nothing_is_ever_oversold(
    request: RequestSpec, fleet: Fleet, tie: str, subset: int
) -> None:
    request = replace(request, force_host=None, pool=None)
    placement = place(request, fleet, Policy(tie=tie, host_subset_size=subset))

    need = request.flavor.claim
    chosen = [choice.host for choice in placement.choices]
    shared = {host.name: host.disk_shared for host in fleet.hosts}
    for host in fleet.hosts:
        mine = chosen.count(host.name)
        if not mine:
            continue
        used = host.taken + host.reserved
        assert used.memory + mine * need.memory <= host.total.memory * host.ram_ratio
        assert need.memory <= host.total.memory
        if host.total.vcpus:
            assert used.vcpus + mine * need.vcpus <= host.total.vcpus * host.cpu_ratio
            assert need.vcpus <= host.total.vcpus
        on_disk = (
            mine
            if host.disk_shared is None
            else sum(shared[name] == host.disk_shared for name in chosen)
        )
        if host.disk_shared is None:
            assert used.disk + on_disk * need.disk <= host.total.disk * host.disk_ratio
        if host.disk_available is not None and host.disk_shared is None:
            assert on_disk * need.disk <= host.disk_available
