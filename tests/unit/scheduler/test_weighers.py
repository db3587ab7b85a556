from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.scheduling import (
    a_fleet,
    a_host,
    a_request,
    a_scene,
    amount,
    an_aggregate,
    an_image,
)
from vmctl.domain.fleet import Fleet, Group, HostState, Pressure
from vmctl.domain.placement import Score
from vmctl.scheduler.engine import place
from vmctl.scheduler.policy import DEFAULT_WEIGHERS, Policy
from vmctl.scheduler.weighers import WEIGHERS

if TYPE_CHECKING:
    from vmctl.domain.request import RequestSpec


def weighed(
    weigher: str,
    *hosts: HostState,
    multiplier: float = 1.0,
    fleet: Fleet | None = None,
    request: RequestSpec | None = None,
) -> list[Score]:
    """Raw, normalised and weighted for each host, in the fleet's order."""
    named = tuple(replace(host, name=f"h{index}") for index, host in enumerate(hosts))
    fleet = replace(fleet or a_fleet(), hosts=named)
    placement = place(
        request or a_request(), fleet, Policy(filters=(), weighers={weigher: multiplier})
    )
    return [verdict.weights[weigher] for verdict in placement.verdicts]


@pytest.mark.parametrize(
    ("weigher", "hosts", "expected"),
    [
        pytest.param(
            "RAM",
            (a_host(memory="8GiB"), a_host(memory="32GiB", taken=amount(memory="16GiB"))),
            [(8192, 0.5, 0.5), (16384, 1, 1)],
            id="RAM",
        ),
        pytest.param(
            "RAM",
            (
                a_host(memory="8GiB", ram_ratio=4.0),
                a_host(memory="8GiB", reserved=amount(memory="4GiB")),
            ),
            [(8192, 1, 1), (4096, 0.5, 0.5)],
            id="RAM knows no ratio, and reserved is used",
        ),
        pytest.param(
            "RAM",
            (a_host(memory="8GiB"), a_host(memory="8GiB")),
            [(8192, 1, 1), (8192, 1, 1)],
            id="equal hosts with room all get 1",
        ),
        pytest.param(
            "RAM",
            (
                a_host(memory="8GiB", taken=amount(memory="9GiB")),
                a_host(memory="8GiB", taken=amount(memory="10GiB")),
                a_host(memory="8GiB", taken=amount(memory="4GiB")),
            ),
            [(-1024, 0, 0), (-2048, 0, 0), (4096, 1, 1)],
            id="oversold hosts tie at 0",
        ),
        pytest.param(
            "RAM",
            (
                a_host(memory="8GiB", taken=amount(memory="9GiB")),
                a_host(memory="8GiB", taken=amount(memory="10GiB")),
            ),
            [(-1024, 0, 0), (-2048, 0, 0)],
            id="all oversold",
        ),
        pytest.param(
            "CPU",
            (
                a_host(vcpus=8, cpu_ratio=4.0, taken=amount(vcpus=8)),
                a_host(vcpus=16, cpu_ratio=1.0, taken=amount(vcpus=4)),
            ),
            [(24, 1, 1), (12, 0.5, 0.5)],
            id="CPU is by the ratio",
        ),
        pytest.param(
            "Disk",
            (
                a_host(disk="100GiB", disk_ratio=3.0),
                a_host(disk="100GiB", disk_available=25 * 1024),
            ),
            [(102400, 1, 1), (25600, 0.25, 0.25)],
            id="Disk is what the pool has at most",
        ),
        pytest.param(
            "IoOps",
            (a_host(num_io_ops=2), a_host(num_io_ops=4)),
            [(2, 0.5, 0.5), (4, 1, 1)],
            id="IoOps starts at 0, not at the smallest",
        ),
        pytest.param(
            "NumInstances",
            (a_host(num_instances=2), a_host(num_instances=4), a_host(num_instances=3)),
            [(2, 0, 0), (4, 1, 1), (3, 0.5, 0.5)],
            id="NumInstances starts at the smallest",
        ),
        pytest.param(
            "NumInstances",
            (a_host(num_instances=3), a_host(num_instances=3)),
            [(3, 0, 0), (3, 0, 0)],
            id="all equal from the smallest on is 0",
        ),
        pytest.param(
            "BuildFailure",
            (a_host(failed_builds=0), a_host(failed_builds=2)),
            [(0, 0, 0), (2, 1, -1)],
            id="BuildFailure turns its multiplier round",
        ),
        pytest.param(
            "HypervisorVersion",
            (
                a_host(hypervisor_version=8002000),
                a_host(hypervisor_version="9.2"),
                a_host(hypervisor_version="unknown"),
            ),
            [(8002000, 8002000 / 9002000, 8002000 / 9002000), (9002000, 1, 1), (0, 0, 0)],
            id="HypervisorVersion",
        ),
        pytest.param(
            "Pressure",
            (
                a_host(pressure=Pressure(cpu=5, memory=20, io=None, steal=1)),
                a_host(pressure=Pressure()),
                a_host(),
            ),
            [(20, 1, 1), (0, 0, 0), (0, 0, 0)],
            id="Pressure holds nothing against who tells nothing",
        ),
    ],
)
def test_weighers(
    weigher: str, hosts: tuple[HostState, ...], expected: list[tuple[float, float, float]]
) -> None:
    assert weighed(weigher, *hosts) == expected


def test_the_base_image_being_there_counts() -> None:
    hosts = (a_host(images=frozenset({"debian"})), a_host(images=frozenset({"x"})), a_host())

    assert weighed("ImageLocality", *hosts, request=a_request(image=an_image())) == [
        (1, 1, 1),
        (0, 0, 0),
        (0, 0, 0),
    ]
    assert weighed("ImageLocality", *hosts) == [(0, 0, 0)] * 3


@pytest.mark.parametrize(
    ("weigher", "policy", "raws"),
    [
        ("ServerGroupSoftAffinity", "soft-affinity", [2, 0, 1]),
        ("ServerGroupSoftAffinity", "anti-affinity", [0, 0, 0]),
        ("ServerGroupSoftAntiAffinity", "soft-anti-affinity", [-2, 0, -1]),
        ("ServerGroupSoftAntiAffinity", "affinity", [0, 0, 0]),
    ],
)
def test_soft_groups_count_their_members(weigher: str, policy: str, raws: list[float]) -> None:
    group = Group(name="g", policy=policy, members=frozenset({"s1", "s2", "s3"}))
    hosts = (
        a_host(servers=frozenset({"s1", "s2"})),
        a_host(servers=frozenset({"x"})),
        a_host(servers=frozenset({"s3", "y"})),
    )
    fleet = a_fleet(
        *(replace(host, name=f"h{index}") for index, host in enumerate(hosts)), groups=(group,)
    )
    request = a_request(group="g")
    states, scene = a_scene(fleet, request)

    assert [WEIGHERS[weigher].raw(state, request, scene) for state in states] == raws


def test_spread_counts_peers_under_the_same_label() -> None:
    group = Group(name="g", policy="soft-affinity", members=frozenset({"s1", "s2"}))
    hosts = (
        a_host(servers=frozenset({"s1"}), labels={"rack": "r1"}),
        a_host(labels={"rack": "r1"}),
        a_host(labels={"rack": "r2"}),
        a_host(servers=frozenset({"s2"})),
        a_host(),
    )
    policy = Policy(filters=(), weighers={"Spread": 1.0, "ServerGroupSoftAffinity": 0.0})
    named = tuple(replace(host, name=f"h{index}") for index, host in enumerate(hosts))

    placement = place(a_request(group="g"), a_fleet(*named, groups=(group,)), policy)

    raws = [verdict.weights["Spread"].raw for verdict in placement.verdicts]
    assert raws == [-1, -1, 0, -1, 0]


def test_spread_keeps_the_servers_of_one_request_in_different_racks() -> None:
    racks = ("r1", "r1", "r2", "r2", "r3")
    hosts = (a_host(f"h{i}", labels={"rack": rack}) for i, rack in enumerate(racks))
    policy = Policy(weighers={"Spread": 1.0}, tie="order")

    placement = place(a_request(count=6), a_fleet(*hosts), policy)

    chosen = [choice.host for choice in placement.choices]
    assert chosen == ["h0", "h2", "h4", "h0", "h2", "h4"]


def test_one_host_that_passes_alone_is_not_weighed() -> None:
    (only, other) = place(
        a_request(), a_fleet(a_host("h0"), a_host("h1", enabled=False)), Policy()
    ).verdicts

    assert (only.passed, only.weight, only.weights) == (True, 0.0, {})
    assert (other.passed, other.weights) == (False, {})


def test_weights_are_summed_in_the_order_of_the_policy() -> None:
    hosts = (a_host("h0", memory="10GiB", num_io_ops=1), a_host("h1", memory="20GiB"))

    verdict, other = place(
        a_request(), a_fleet(*hosts), Policy(weighers={"RAM": 0.3, "IoOps": -0.1, "CPU": 0.7})
    ).verdicts

    assert verdict.weights == {
        "RAM": Score(10240, 0.5, 0.15),
        "IoOps": Score(1, 1.0, -0.1),
        "CPU": Score(64, 1.0, 0.7),
    }
    assert verdict.weight == 0.0 + 0.15 + -0.1 + 0.7
    assert other.weight == 0.3 + 0.0 + 0.7


@pytest.mark.parametrize(
    ("metadata", "weighted"),
    [
        pytest.param([], 1.0, id="the policy's"),
        pytest.param([{"ram_weight_multiplier": "3"}], 3.0, id="the aggregate's"),
        pytest.param(
            [{"ram_weight_multiplier": "3"}, {"ram_weight_multiplier": "-2"}],
            -2.0,
            id="the smallest",
        ),
        pytest.param(
            [{"ram_weight_multiplier": "3"}, {"ram_weight_multiplier": "x"}],
            1.0,
            id="one that cannot be read: the policy's",
        ),
        pytest.param([{"ram_weight_multiplier": "1,2"}], 1.0, id="a list is no number"),
        pytest.param([{"ram_weight_multiplier": "nan"}], 1.0, id="nor is nan"),
        pytest.param([{"ram_weight_multiplier": "inf"}], 1.0, id="nor is inf"),
    ],
)
def test_an_aggregate_overrides_a_multiplier(
    metadata: list[dict[str, str]], weighted: float
) -> None:
    aggregates = [
        an_aggregate("h0", name=str(index), metadata=each) for index, each in enumerate(metadata)
    ]

    scores = weighed("RAM", a_host(), a_host(), fleet=a_fleet(aggregates=aggregates))

    assert scores == [(65536, 1, weighted), (65536, 1, 1)]


def test_an_aggregate_overrides_build_failure_and_it_stays_a_penalty() -> None:
    aggregate = an_aggregate("h1", metadata={"build_failure_weight_multiplier": "5"})

    scores = weighed(
        "BuildFailure", a_host(), a_host(failed_builds=3), fleet=a_fleet(aggregates=[aggregate])
    )

    assert scores == [(0, 0, 0), (3, 1, -5)]


def test_a_multiplier_reorders_hosts_with_equal_raws() -> None:
    aggregate = an_aggregate("h1", metadata={"ram_weight_multiplier": "2"})
    fleet = a_fleet(a_host("h0"), a_host("h1"), aggregates=[aggregate])

    assert place(a_request(), fleet, Policy(tie="order")).choices[0].host == "h1"


def test_every_default_weigher_is_known() -> None:
    assert set(DEFAULT_WEIGHERS) <= set(WEIGHERS)
