from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.naive_placement import naive_place
from tests.support.scheduling import a_fleet, a_host, a_request
from vmctl.domain.fleet import Aggregate, Fleet, Group, HostState
from vmctl.domain.request import FlavorSpec, ImageSpec, RequestSpec
from vmctl.domain.resources import Resources
from vmctl.scheduler.engine import place
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.policy import DEFAULT_WEIGHERS, Policy
from vmctl.scheduler.scene import Filter, Scene, Weigher
from vmctl.scheduler.weighers import WEIGHERS

if TYPE_CHECKING:
    from vmctl.domain.placement import Refusal

FLAVOR = FlavorSpec(name="small", vcpus=1, memory=1024, disk=1024)
BASE = a_request(FLAVOR, image=ImageSpec(id="debian"))


def a_mixed_fleet(size: int, seed: int) -> Fleet:
    """Hosts of a few kinds, alike or not, with jobs, failures, images, racks and aggregates."""
    chance = random.Random(seed)
    grain = chance.choice((1, 64, 1024))
    hosts = [_a_host(f"h{n}", grain, chance) for n in range(size)]
    aggregates = tuple(
        Aggregate(
            name=name,
            hosts=frozenset(host.name for host in hosts if chance.random() < 0.3),
            metadata={key: value},
        )
        for name, key, value in (
            ("a", "ram_weight_multiplier", "-0.7"),
            ("b", "io_ops_weight_multiplier", "0.3"),
            ("c", "build_failure_weight_multiplier", "0"),
        )
    )
    members = frozenset({"s1", "s2"})
    groups = tuple(
        Group(name=policy, policy=policy, members=members, max_server_per_host=3)
        for policy in ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
    )
    return Fleet(hosts=tuple(hosts), aggregates=aggregates, groups=groups)


def _a_host(name: str, grain: int, chance: random.Random) -> HostState:
    total = Resources(
        vcpus=chance.choice((8, 16)), memory=chance.choice((16, 24)) * 1024, disk=65536
    )
    return HostState(
        name=name,
        total=total,
        taken=Resources(
            vcpus=chance.randrange(8),
            memory=chance.randrange(0, 8192, grain),
            disk=chance.randrange(0, 16384, grain),
        ),
        num_io_ops=max(0, chance.randrange(6) - 3),
        failed_builds=int(chance.random() < 0.1),
        labels={"rack": f"r{chance.randrange(5)}"},
        servers=frozenset({"s1"} if name == "h3" else {"s2"} if name == "h7" else ()),
        images=frozenset({"debian"} if chance.random() < 0.3 else ()),
        disk_shared=chance.choice((None, None, None, None, "nfs")),
    )


@pytest.mark.parametrize(
    ("request_", "policy"),
    [
        pytest.param(BASE, Policy(), id="defaults"),
        pytest.param(BASE, Policy(tie="order", host_subset_size=4), id="one of four"),
        pytest.param(replace(BASE, group="anti-affinity"), Policy(), id="anti-affinity"),
        pytest.param(replace(BASE, group="soft-affinity"), Policy(), id="soft affinity"),
        pytest.param(replace(BASE, group="soft-anti-affinity"), Policy(), id="soft apart"),
        pytest.param(
            BASE, Policy(weighers={**DEFAULT_WEIGHERS, "Spread": 2.0, "RAM": -1.0}), id="spread"
        ),
        pytest.param(
            BASE,
            Policy(filters=("Ram", "IoOps"), weighers={"RAM": 1.0, "NumInstances": -0.1}),
            id="hosts drop out",
        ),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_many_servers_in_a_mixed_fleet_go_where_the_plain_loop_puts_them(
    request_: RequestSpec, policy: Policy, seed: int
) -> None:
    fleet = a_mixed_fleet(60, seed)
    request = replace(request_, count=250, min_count=1, seed=seed)

    assert place(request, fleet, policy).choices == naive_place(request, fleet, policy).choices


def test_after_the_first_server_only_the_host_that_was_taken_is_judged_and_weighed_again() -> None:
    asked: Counter[str] = Counter()

    def counting(name: str) -> Filter:
        def check(_host: HostState, _request: RequestSpec, _scene: Scene) -> Refusal | None:
            asked[name] += 1
            return None

        return Filter(check, once=name == "Once")

    def raw(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
        asked["Weigher"] += 1
        return host.num_instances

    fleet = a_fleet(*(a_host(f"h{n}") for n in range(50)))

    placement = place(
        a_request(count=20),
        fleet,
        Policy(filters=("Once", "Each"), weighers={"Count": -1.0}),
        filters={**FILTERS, "Once": counting("Once"), "Each": counting("Each")},
        weighers={**WEIGHERS, "Count": Weigher(raw)},
    )

    assert len(placement.choices) == 20
    assert asked == {"Once": 50, "Each": 50 + 20, "Weigher": 50 + 20}


def test_without_a_trace_there_is_none() -> None:
    assert place(a_request(count=3), a_fleet(a_host()), Policy()).trace == ()
