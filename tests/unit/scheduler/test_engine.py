from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.scheduling import a_flavor, a_fleet, a_host, a_request, amount
from vmctl.domain.fleet import Fleet, Group, HostState
from vmctl.domain.placement import Placement, Refusal
from vmctl.errors import UsageError
from vmctl.scheduler.engine import place
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.policy import DEFAULT_WEIGHERS, Policy
from vmctl.scheduler.scene import Filter, Scene, Weigher
from vmctl.scheduler.weighers import WEIGHERS

if TYPE_CHECKING:
    from vmctl.domain.request import RequestSpec

IN_ORDER = Policy(tie="order")
THREE = a_fleet(a_host("kvm1"), a_host("kvm2"), a_host("kvm3"))


def chosen(placement: Placement) -> list[str]:
    return [choice.host for choice in placement.choices]


def test_a_forced_host_skips_every_filter_and_is_taken_down_full_and_disabled() -> None:
    full = a_host("kvm2", enabled=False, up=False, memory="1GiB", taken=amount(memory="1GiB"))
    fleet = a_fleet(a_host("kvm1"), full)

    placement = place(a_request(force_host="KVM2", tried=frozenset({"kvm2"})), fleet, Policy())

    assert chosen(placement) == ["kvm2"]
    assert [(each.host, each.filter) for each in placement.verdicts] == [
        ("kvm1", "ForceHost"),
        ("kvm2", None),
    ]


def test_forced_hosts_are_weighed() -> None:
    twins = a_fleet(a_host("kvm1", enabled=False), a_host("KVM1", memory="128GiB", up=False))

    placement = place(a_request(force_host="kvm1"), twins, Policy())

    assert chosen(placement) == ["KVM1"]
    assert [verdict.weights["RAM"].raw for verdict in placement.verdicts] == [65536, 131072]


def test_a_requested_host_must_pass_the_filters() -> None:
    fleet = a_fleet(a_host("kvm1"), a_host("kvm2", enabled=False))

    placement = place(a_request(host="kvm2"), fleet, Policy())

    assert placement.failed == (
        "no host can take the server: RequestedHost refuses 1 host, Compute refuses 1 host"
    )
    assert [verdict.filter for verdict in placement.verdicts] == ["RequestedHost", "Compute"]


def test_narrowing_does_not_depend_on_the_policys_filters() -> None:
    policy = Policy(filters=())

    assert chosen(place(a_request(host="kvm3"), THREE, policy)) == ["kvm3"]
    left = a_request(ignore_hosts=frozenset({"KVM1", "KVM2"}))
    assert chosen(place(left, THREE, policy)) == ["kvm3"]
    tried = a_request(tried=frozenset({"kvm1", "kvm2"}))
    assert chosen(place(tried, THREE, policy)) == ["kvm3"]


def test_an_ignored_host_cannot_be_forced() -> None:
    request = a_request(force_host="kvm1", ignore_hosts=frozenset({"kvm1"}))

    assert place(request, THREE, Policy()).failed is not None


def test_a_server_takes_exactly_its_claim_swap_included() -> None:
    flavor = a_flavor(memory="1GiB", disk="10GiB", ephemeral=1024, swap=512)
    host = a_host(disk="23GiB")

    assert place(a_request(flavor, count=2), a_fleet(host), Policy()).failed is None
    less = replace(host, total=replace(host.total, disk=23 * 1024 - 1))
    assert place(a_request(flavor, count=2), a_fleet(less), Policy()).failed is not None


def test_several_servers_fill_the_roomiest_host_first() -> None:
    fleet = a_fleet(a_host("kvm1", memory="8GiB"), a_host("kvm2", memory="12GiB"))
    policy = Policy(weighers={"RAM": 1.0}, tie="order")

    placement = place(a_request(a_flavor(memory="2GiB"), count=5), fleet, policy)

    assert chosen(placement) == ["kvm2", "kvm2", "kvm1", "kvm2", "kvm1"]
    assert [choice.weight for choice in placement.choices] == [1.0, 1.0, 1.0, 1.0, 1.0]


def test_a_negative_multiplier_stacks() -> None:
    fleet = a_fleet(a_host("kvm1", memory="8GiB"), a_host("kvm2", memory="12GiB"))
    policy = Policy(weighers={"RAM": -1.0})

    placement = place(a_request(a_flavor(memory="4GiB"), count=3), fleet, policy)

    assert chosen(placement) == ["kvm1", "kvm1", "kvm2"]


def test_all_or_nothing_says_how_far_it_came() -> None:
    fleet = a_fleet(a_host("kvm1", memory="4GiB"), a_host("kvm2", enabled=False))

    placement = place(a_request(count=5), fleet, Policy())

    assert placement.choices == ()
    assert placement.failed == (
        "only 2 of 5 servers find a host: Compute refuses 1 host, Ram refuses 1 host"
    )


@pytest.mark.parametrize(("least", "placed"), [(1, 2), (2, 2), (3, 0), (None, 0)])
def test_a_minimum_that_is_met_keeps_what_fits(least: int | None, placed: int) -> None:
    fleet = a_fleet(a_host("kvm1", memory="4GiB"))

    placement = place(a_request(count=5, min_count=least), fleet, Policy())

    assert len(placement.choices) == placed
    assert (placement.failed is None) == bool(placed)


def test_an_empty_fleet_fails_with_its_reason() -> None:
    placement = place(a_request(), a_fleet(), Policy())

    assert placement.failed == "no host can take the server: the fleet has no hosts"
    assert placement.verdicts == ()


def test_each_build_is_an_io_job_so_eight_fit_on_a_host_per_request() -> None:
    policy = Policy(filters=("IoOps",))

    assert place(a_request(count=24), THREE, policy).failed is None
    assert place(a_request(count=25), THREE, policy).failed is not None


def test_a_filter_that_is_asked_once_does_not_see_the_peers() -> None:
    fleet = a_fleet(a_host("kvm1", servers=frozenset({"s1"})))
    policy = Policy(filters=("SameHost", "DifferentHost"))
    request = a_request(count=3, hints={"same_host": "s1", "different_host": "s2"})

    assert chosen(place(request, fleet, policy)) == ["kvm1"] * 3


def group(policy: str, *members: str, most: int = 1) -> Group:
    return Group(name="g", policy=policy, members=frozenset(members), max_server_per_host=most)


def with_group(fleet: Fleet, group: Group) -> Fleet:
    return replace(fleet, groups=(group,))


def test_the_first_of_an_affinity_group_goes_anywhere_and_the_rest_follow() -> None:
    fleet = with_group(THREE, group("affinity"))

    assert chosen(place(a_request(group="g", count=7), fleet, IN_ORDER)) == ["kvm1"] * 7


def test_an_affinity_group_is_joined_where_it_is() -> None:
    hosts = (a_host("kvm1"), a_host("kvm2", servers=frozenset({"s1"}), memory="8GiB"))
    fleet = a_fleet(*hosts, groups=[group("affinity", "s1")])

    assert chosen(place(a_request(group="g", count=2), fleet, IN_ORDER)) == ["kvm2"] * 2
    failed = place(a_request(group="g", count=5), fleet, IN_ORDER).failed
    assert failed is not None
    assert "only 4 of 5" in failed


@pytest.mark.parametrize("most", [1, 2])
def test_an_anti_affinity_group_keeps_apart_within_the_request(most: int) -> None:
    fleet = with_group(THREE, group("anti-affinity", most=most))

    placement = place(a_request(group="g", count=3 * most), fleet, IN_ORDER)

    assert sorted(chosen(placement)) == sorted(["kvm1", "kvm2", "kvm3"] * most)
    assert place(a_request(group="g", count=3 * most + 1), fleet, IN_ORDER).failed is not None


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("soft-affinity", ["kvm1"] * 6),
        ("soft-anti-affinity", ["kvm1", "kvm2", "kvm3"] * 2),
    ],
)
def test_soft_groups_see_the_peers_of_the_same_request(policy: str, expected: list[str]) -> None:
    fleet = with_group(THREE, group(policy))
    weighers = {"ServerGroupSoftAffinity": 1.0, "ServerGroupSoftAntiAffinity": 1.0}

    placement = place(a_request(group="g", count=6), fleet, Policy(weighers=weighers, tie="order"))

    assert chosen(placement) == expected


@pytest.mark.parametrize(
    ("policy", "lacks"),
    [
        ("affinity", "filter ServerGroupAffinity"),
        ("anti-affinity", "filter ServerGroupAntiAffinity"),
        ("soft-affinity", "weigher ServerGroupSoftAffinity"),
        ("soft-anti-affinity", "weigher ServerGroupSoftAntiAffinity"),
    ],
)
@pytest.mark.parametrize("forced", [None, "kvm1"])
def test_a_group_that_the_policy_cannot_honour_is_refused(
    policy: str, lacks: str, forced: str | None
) -> None:
    fleet = with_group(THREE, group(policy))
    without = Policy(filters=("Ram",), weighers={"RAM": 1.0})

    placement = place(a_request(group="g", force_host=forced), fleet, without)

    assert placement.failed == (
        f"group g asks for {policy}, and the policy does not name the {lacks}"
    )
    assert {verdict.filter for verdict in placement.verdicts} == {"ServerGroup"}


def test_an_unknown_group_is_an_error() -> None:
    with pytest.raises(UsageError, match="the fleet has no server group g"):
        place(a_request(group="g"), THREE, Policy())


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (Policy(filters=("Ram", "Rom")), "there is no filter named Rom"),
        (Policy(weighers={"ROM": 1.0, "RUM": 1.0}), "there is no weigher named ROM, RUM"),
    ],
)
def test_an_unknown_name_in_the_policy_is_an_error(policy: Policy, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        place(a_request(), THREE, policy)


def test_alternates_are_the_next_hosts_and_never_a_chosen_one() -> None:
    hosts = (a_host(f"kvm{n}", memory=f"{n}GiB") for n in range(3, 8))
    policy = Policy(weighers={"RAM": 1.0}, max_attempts=4)

    one = place(a_request(), fleet := a_fleet(*hosts), policy)
    two = place(a_request(count=2), fleet, policy)

    assert [(each.host, each.alternates) for each in one.choices] == [
        ("kvm7", ("kvm6", "kvm5", "kvm4"))
    ]
    assert [(each.host, each.alternates) for each in two.choices] == [
        ("kvm7", ("kvm5", "kvm4", "kvm3")),
        ("kvm6", ("kvm5", "kvm4", "kvm3")),
    ]


def test_one_attempt_has_no_alternates() -> None:
    (choice,) = place(a_request(), THREE, Policy(max_attempts=1)).choices

    assert choice.alternates == ()


def test_alternates_of_several_servers_pass_the_filters_once_more() -> None:
    fleet = with_group(THREE, group("affinity"))

    placement = place(a_request(group="g", count=2), fleet, IN_ORDER)

    assert [choice.alternates for choice in placement.choices] == [(), ()]


def test_ties_go_to_the_earliest_host_or_to_the_one_that_the_seed_picks() -> None:
    by_seed = [chosen(place(a_request(seed=seed), THREE, Policy()))[0] for seed in range(20)]
    again = [chosen(place(a_request(seed=seed), THREE, Policy()))[0] for seed in range(20)]

    assert chosen(place(a_request(seed=7), THREE, IN_ORDER)) == ["kvm1"]
    assert set(by_seed) == {"kvm1", "kvm2", "kvm3"}
    assert by_seed == again


def test_a_tie_by_the_seed_does_not_depend_on_the_fleets_order() -> None:
    backwards = replace(THREE, hosts=THREE.hosts[::-1])

    for seed in range(5):
        request = a_request(seed=f"req-{seed}", count=3)
        assert chosen(place(request, THREE, Policy())) == chosen(
            place(request, backwards, Policy())
        )


def test_one_of_the_best_is_taken_by_the_seed() -> None:
    hosts = [a_host(f"kvm{n}", memory=f"{n * 10}GiB") for n in range(1, 6)]
    policy = Policy(weighers={"RAM": 1.0}, host_subset_size=3)

    picked = {chosen(place(a_request(seed=seed), a_fleet(*hosts), policy))[0] for seed in range(40)}

    assert picked == {"kvm3", "kvm4", "kvm5"}


def test_the_seeds_choices_are_the_same_for_ever() -> None:
    placement = place(a_request(seed="req-1", count=6), THREE, Policy(host_subset_size=2))

    assert chosen(placement) == ["kvm1", "kvm2", "kvm3", "kvm3", "kvm1", "kvm2"]


def _refuses_kvm1(host: HostState, _request: RequestSpec, _scene: Scene) -> Refusal | None:
    if host.name == "kvm1":
        raise ZeroDivisionError("oops")
    return None


def _weighs(values: dict[str, float]) -> Weigher:
    return Weigher(lambda host, _request, _scene: values[host.name])


def test_a_plug_in_filter_that_raises_refuses_the_host() -> None:
    policy = Policy(filters=("Broken",))
    filters = {**FILTERS, "Broken": Filter(_refuses_kvm1)}

    placement = place(a_request(count=2), THREE, policy, filters=filters)

    assert placement.verdicts[0].filter == "Broken"
    assert placement.verdicts[0].refusal == Refusal("the filter failed: ZeroDivisionError: oops")
    assert set(chosen(placement)) == {"kvm2", "kvm3"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"kvm2": 1.0, "kvm3": 2.0}, "the weigher failed: KeyError: 'kvm1'"),
        (
            {"kvm1": float("nan"), "kvm2": 1.0, "kvm3": 2.0},
            "the weigher gives nan, which is no finite number",
        ),
        (
            {"kvm1": float("inf"), "kvm2": 1.0, "kvm3": 2.0},
            "the weigher gives inf, which is no finite number",
        ),
    ],
)
def test_a_plug_in_weigher_that_fails_refuses_the_host(
    values: dict[str, float], reason: str
) -> None:
    policy = Policy(weighers={"RAM": 1.0, "Odd": 1.0})
    weighers = {**WEIGHERS, "Odd": _weighs(values)}

    placement = place(a_request(), THREE, policy, weighers=weighers)

    verdict = placement.verdicts[0]
    assert (verdict.filter, verdict.refusal) == ("Odd", Refusal(reason))
    assert chosen(placement) == ["kvm3"]


def test_shared_pools_are_not_oversold() -> None:
    hosts = [a_host(f"kvm{n}", disk="50GiB", disk_shared="nfs") for n in range(3)]

    assert place(a_request(count=5), a_fleet(*hosts), Policy()).failed is None
    assert place(a_request(count=6), a_fleet(*hosts), Policy()).failed is not None


def test_a_trace_judges_every_host_for_every_server() -> None:
    fleet = a_fleet(a_host("kvm1", memory="4GiB"), a_host("kvm2", memory="2GiB"))

    placement = place(a_request(count=4), fleet, IN_ORDER, trace=True)

    assert placement.failed is not None
    assert [[verdict.filter for verdict in each] for each in placement.trace] == [
        [None, None],
        [None, None],
        [None, "Ram"],
        ["Ram", "Ram"],
    ]
    assert placement.verdicts == placement.trace[0]


def test_the_default_weighers_prefer_room_the_image_and_hosts_that_do_not_fail() -> None:
    assert list(DEFAULT_WEIGHERS.items()) == [
        ("RAM", 1.0),
        ("CPU", 1.0),
        ("Disk", 1.0),
        ("IoOps", -1.0),
        ("BuildFailure", 1_000_000.0),
        ("ServerGroupSoftAffinity", 1.0),
        ("ServerGroupSoftAntiAffinity", 1.0),
        ("ImageLocality", 1.0),
    ]
    fleet = a_fleet(a_host("kvm1", failed_builds=1, memory="1TiB"), a_host("kvm2"))

    assert chosen(place(a_request(), fleet, Policy())) == ["kvm2"]
