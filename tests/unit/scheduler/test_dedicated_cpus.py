"""CPUs that a host gives out one by one: who is refused them, who takes them, what is said."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.support.scheduling import a_flavor, a_fleet, a_host, a_request, an_image
from vmctl.domain.fleet import HostState
from vmctl.domain.placement import Placement
from vmctl.domain.request import RequestSpec
from vmctl.domain.resources import Resources
from vmctl.errors import UsageError
from vmctl.scheduler.capacity import capacity
from vmctl.scheduler.engine import place
from vmctl.scheduler.fleet_data import fleet_data
from vmctl.scheduler.fleet_file import fleet_from
from vmctl.scheduler.nearest import nearest_misses
from vmctl.scheduler.policy import Policy
from vmctl.scheduler.what_if import host_from

OWN = {"hw:cpu_policy": "dedicated"}
CORE = replace(Policy(), filters=("Core",))


def giving(name: str = "kvm1", *, total: int = 6, taken: int = 0, vcpus: int = 2) -> HostState:
    host = a_host(name, vcpus=vcpus, cpu_ratio=1.0)
    return replace(
        host,
        total=replace(host.total, dedicated=total),
        taken=Resources(dedicated=taken),
    )


def asking(vcpus: int = 4, **other: object) -> RequestSpec:
    return a_request(a_flavor(vcpus=vcpus, extra_specs=OWN), **other)


def reasons(placement: Placement) -> dict[str, str]:
    return {
        one.host: f"{one.filter}: {one.refusal.reason}"
        for one in placement.verdicts
        if one.refusal is not None
    }


def test_a_host_is_refused_in_numbers() -> None:
    fleet = a_fleet(giving("full", taken=5), giving("small", total=3), a_host("none"), giving())

    placement = place(asking(), fleet, CORE)

    assert [choice.host for choice in placement.choices] == ["kvm1"]
    assert reasons(placement) == {
        "full": "DedicatedCpus: needs 4 dedicated CPUs, 1 of 6 free",
        "small": "DedicatedCpus: needs 4 dedicated CPUs, the host has 3 in all",
        "none": "DedicatedCpus: needs 4 dedicated CPUs, the host gives out none",
    }


def test_the_image_may_ask_as_well() -> None:
    request = a_request(a_flavor(vcpus=2), image=an_image(hw_cpu_policy="dedicated"))

    assert reasons(place(request, a_fleet(a_host()), CORE)) == {
        "kvm1": "DedicatedCpus: needs 2 dedicated CPUs, the host gives out none"
    }


def test_a_policy_that_nobody_knows_is_refused_by_its_name() -> None:
    request = a_request(a_flavor(extra_specs={"hw:cpu_policy": "mixed"}))

    assert reasons(place(request, a_fleet(giving()), CORE)) == {
        "kvm1": "DedicatedCpus: hw:cpu_policy=mixed is not known: shared and dedicated are"
    }


def test_they_are_none_of_the_vcpus_and_no_ratio_multiplies_them() -> None:
    oversold = replace(giving(total=4), cpu_ratio=16.0, taken=Resources(vcpus=99))
    fleet = a_fleet(oversold)

    assert place(asking(4), fleet, CORE).failed is None
    assert place(asking(5), fleet, CORE).failed is not None
    assert reasons(place(a_request(a_flavor(vcpus=1)), fleet, CORE)) == {
        "kvm1": "Core: needs 1 vCPU, -67 free of 2 × 16.0, 99 claimed"
    }


def test_servers_of_one_request_take_them_one_after_the_other() -> None:
    fleet = a_fleet(giving("a", total=4), giving("b", total=3))

    placement = place(asking(2, count=4, min_count=1), fleet, CORE)

    assert sorted(choice.host for choice in placement.choices) == ["a", "a", "b"]


def test_who_shares_takes_none_of_them() -> None:
    placement = place(a_request(a_flavor(vcpus=1), count=3, min_count=1), a_fleet(giving()), CORE)

    assert len(placement.choices) == 2


def test_where_all_are_dedicated_nobody_shares_any() -> None:
    only = giving(vcpus=0)

    assert reasons(place(a_request(), a_fleet(only), CORE)) == {
        "kvm1": "Core: needs 1 vCPU, the host has none that is shared"
    }
    assert place(asking(), a_fleet(only), CORE).failed is None


def test_a_forced_host_is_asked_nothing() -> None:
    assert place(asking(force_host="kvm1"), a_fleet(a_host()), CORE).failed is None


@pytest.mark.parametrize(
    ("host", "advice"),
    [
        (a_host(), "give the host dedicated_cpus in the inventory"),
        (
            giving(taken=5),
            "a flavor with at most 1 vCPUs would fit; or give the host more dedicated_cpus",
        ),
    ],
)
def test_what_would_help_is_said(host: HostState, advice: str) -> None:
    (miss,) = nearest_misses(asking(), a_fleet(host), CORE)

    assert miss.advice == (advice,)


def test_the_next_one_is_judged_beside_those_that_fit() -> None:
    (miss,) = nearest_misses(asking(count=2), a_fleet(giving()), CORE)

    assert [why.reason for _, why in miss.refusals] == ["needs 4 dedicated CPUs, 2 of 6 free"]


def test_capacity_counts_them_and_says_what_is_stranded() -> None:
    found = capacity(asking(), a_fleet(giving("a", total=10), giving("b")), CORE)

    assert found.total == 3
    assert found.binding == {"DedicatedCpus": 2}
    assert (found.stranded.dedicated, found.stranded.vcpus) == (4, 4)


def test_servers_of_a_dead_host_need_as_many_elsewhere() -> None:
    own = Resources(memory=1024, dedicated=3)
    a = replace(giving("a", taken=3), claims=(own,), num_instances=1)
    b = replace(giving("b", taken=2), claims=(replace(own, dedicated=2),), num_instances=1)
    room = capacity(asking(1), a_fleet(a, b), CORE, survive_one=True).survival
    tight = capacity(
        asking(1), a_fleet(a, replace(b, taken=Resources(dedicated=4))), CORE, survive_one=True
    ).survival

    assert room is not None
    assert tight is not None
    assert (room.fits, room.safe_now) == (1, True)
    assert not tight.safe_now


def test_whose_they_are_must_be_known_for_that() -> None:
    unknown = replace(giving("a", taken=3), num_instances=2)

    with pytest.raises(UsageError, match="host a: whose the dedicated CPUs are") as caught:
        capacity(asking(1), a_fleet(unknown, giving("b")), CORE, survive_one=True)

    assert "claims" in (caught.value.hint or "")


def test_a_fleet_file_tells_of_them() -> None:
    own = Resources(memory=1024, dedicated=3)
    fleet = a_fleet(replace(giving(taken=3), claims=(own,), num_instances=1), a_host("kvm2"))

    data = json.loads(json.dumps(fleet_data(fleet, CORE)))

    assert data["hosts"][0]["dedicated_cpus"] == 6
    assert "dedicated_cpus" not in data["hosts"][1]
    read = fleet_from(data).fleet.hosts[0]
    assert (read.total.dedicated, read.taken.dedicated) == (6, 3)
    assert read.claims == (own,)


def test_a_host_that_is_not_there_may_have_them() -> None:
    host = host_from("name=new,vcpus=2,dedicated_cpus=6,memory=8GiB,disk=1TiB")

    assert host.total.dedicated == 6
    assert place(asking(), a_fleet(host), CORE).failed is None
