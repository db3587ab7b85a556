from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from tests.support.scheduling import (
    a_flavor,
    a_fleet,
    a_host,
    a_request,
    a_scene,
    an_aggregate,
    an_image,
)
from vmctl.domain.fleet import Group, HostState, Pool, Pressure
from vmctl.scheduler.filters import FILTERS, NARROWINGS
from vmctl.scheduler.policy import Options, Policy

if TYPE_CHECKING:
    from vmctl.domain.request import ImageSpec


def judged(
    name: str,
    state: HostState,
    *metadata: dict[str, str],
    options: Options | None = None,
    group: Group | None = None,
    **asked: object,
) -> str | None:
    """Why the filter refuses the host, whose aggregates have such metadata, or None."""
    aggregates = [
        an_aggregate(state.name, name=f"a{index}", metadata=each)
        for index, each in enumerate(metadata)
    ]
    fleet = a_fleet(state, aggregates=aggregates, groups=() if group is None else (group,))
    request = replace(a_request(**asked), group=group.name if group else None)
    (state,), scene = a_scene(fleet, request, Policy(options=options or Options()))
    refusal = ({**FILTERS, **NARROWINGS})[name].check(state, request, scene)
    return None if refusal is None else refusal.reason


def test_all_hosts_passes_all() -> None:
    assert judged("AllHosts", a_host(enabled=False, up=False)) is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (a_host(), None),
        (a_host(enabled=False), "is disabled"),
        (a_host(enabled=False, disabled_reason="new disks"), "is disabled: new disks"),
        (a_host(up=False, down_reason="no answer in 5 s"), "is down: no answer in 5 s"),
        (a_host(sample_age=60.0), None),
        (a_host(sample_age=95.0), "its last sample is 95 s old, 60 s is the limit"),
        (a_host(sample_age=-60.0), None),
        (a_host(sample_age=-61.0), "its last sample is 61 s in the future, 60 s is the limit"),
    ],
)
def test_compute(host: HostState, expected: str | None) -> None:
    assert judged("Compute", host) == expected


@pytest.mark.parametrize(
    ("host", "metadata", "asked", "passes"),
    [
        pytest.param(a_host(zone="a"), [], None, True, id="none asked"),
        pytest.param(a_host(zone="a"), [], "", True, id="an empty one asked"),
        pytest.param(a_host(zone="a"), [], "a", True, id="its own"),
        pytest.param(a_host(zone="a"), [], "b", False, id="another"),
        pytest.param(a_host(zone="a"), [], "A", False, id="case counts"),
        pytest.param(a_host(), [], "nova", True, id="no zone is the default zone"),
        pytest.param(a_host(), [], "a", False, id="no zone is no other zone"),
        pytest.param(a_host(zone="a"), [], "nova", False, id="a zone is not the default zone"),
        pytest.param(a_host(), [{"availability_zone": "a, b"}], "b", True, id="comma-split"),
        pytest.param(
            a_host(),
            [{"availability_zone": "a"}, {"availability_zone": "b"}],
            "b",
            True,
            id="several aggregates",
        ),
        pytest.param(
            a_host(), [{"availability_zone": "a"}], "nova", False, id="an aggregate's is a zone"
        ),
    ],
)
def test_availability_zone(
    *, host: HostState, metadata: list[dict[str, str]], asked: str | None, passes: bool
) -> None:
    refusal = judged("AvailabilityZone", host, *metadata, availability_zone=asked)

    assert (refusal is None) == passes


def test_a_refused_zone_names_both() -> None:
    host = a_host(zone="b")

    refusal = judged("AvailabilityZone", host, {"availability_zone": "a"}, availability_zone="c")

    assert refusal == "is in zone a, b, not in c"


def test_the_default_zone_has_another_name_by_option() -> None:
    options = Options(default_availability_zone="home")

    assert judged("AvailabilityZone", a_host(), options=options, availability_zone="home") is None


@pytest.mark.parametrize(
    ("name", "asked", "passes"),
    [
        ("RequestedHost", {}, True),
        ("RequestedHost", {"host": "kvm1"}, True),
        ("RequestedHost", {"host": "KVM1"}, False),
        ("ForceHost", {}, True),
        ("ForceHost", {"force_host": "KVM1"}, True),
        ("ForceHost", {"force_host": "kvm2"}, False),
        ("IgnoreHosts", {"ignore_hosts": frozenset({"KVM1"})}, False),
        ("IgnoreHosts", {"ignore_hosts": frozenset({"kvm2"})}, True),
        ("Retry", {}, True),
        ("Retry", {"tried": frozenset({"kvm1"})}, False),
        ("Retry", {"tried": frozenset({"KVM1"})}, True),
    ],
)
def test_hosts_by_name(*, name: str, asked: dict[str, object], passes: bool) -> None:
    request = a_request(**asked)
    (state,), scene = a_scene(a_fleet(a_host("kvm1")), request)

    refusal = {**FILTERS, **NARROWINGS}[name].check(state, request, scene)

    assert (refusal is None) == passes


@pytest.mark.parametrize(
    ("there", "asked", "expected"),
    [
        (None, ("lan",), None),
        (frozenset({"lan", "dmz"}), (), None),
        (frozenset({"lan", "dmz"}), ("dmz", "lan"), None),
        (frozenset({"lan", "dmz"}), ("san", "lan"), "has no network san (it has: dmz, lan)"),
        (frozenset[str](), ("san",), "has no network san (it has: none)"),
    ],
)
def test_network(
    there: frozenset[str] | None, asked: tuple[str, ...], expected: str | None
) -> None:
    assert judged("Network", a_host(networks=there), networks=asked) == expected


@pytest.mark.parametrize(
    ("pools", "asked", "expected"),
    [
        (None, "fast", None),
        ((), None, None),
        ((Pool(name="fast", total=1),), "fast", None),
        ((Pool(name="fast", total=1),), "slow", "has no pool slow (it has: fast)"),
        ((Pool(name="fast", total=1, active=False),), "fast", "its pool fast is not active"),
    ],
)
def test_pool(pools: tuple[Pool, ...] | None, asked: str | None, expected: str | None) -> None:
    assert judged("Pool", a_host(pools=pools), pool=asked) == expected


@pytest.mark.parametrize(
    ("guests", "names", "passes"),
    [
        (None, ("web",), True),
        (frozenset({"db"}), ("web",), True),
        (frozenset({"db"}), (), True),
        (frozenset({"db"}), ("web", "db"), False),
    ],
)
def test_name(*, guests: frozenset[str] | None, names: tuple[str, ...], passes: bool) -> None:
    assert (judged("Name", a_host(guests=guests), names=names) is None) == passes


@pytest.mark.parametrize(
    ("pressure", "expected"),
    [
        (None, None),
        (Pressure(), None),
        (Pressure(cpu=40, memory=40, io=40, steal=20, load=32), None),
        (Pressure(cpu=41), "processor pressure is 41.0 %, 40.0 % is the limit"),
        (Pressure(memory=99.5), "memory pressure is 99.5 %, 40.0 % is the limit"),
        (Pressure(io=41), "I/O pressure is 41.0 %, 40.0 % is the limit"),
        (Pressure(steal=21), "stolen processor time is 21.0 %, 20.0 % is the limit"),
        (Pressure(load=40), "load per vCPU is 2.5, 2.0 is the limit"),
    ],
)
def test_pressure(pressure: Pressure | None, expected: str | None) -> None:
    assert judged("Pressure", a_host(vcpus=16, pressure=pressure)) == expected


def test_load_is_not_judged_where_the_vcpus_are_unknown() -> None:
    assert judged("Pressure", a_host(vcpus=0, pressure=Pressure(load=40))) is None


@pytest.mark.parametrize(
    ("asked", "specs", "expected"),
    [
        ({}, {}, None),
        ({"rack": "r1"}, {}, None),
        ({"rack": "r2"}, {}, "label rack is 'r1', must be 'r2'"),
        ({"row": "3"}, {}, "label row is not set, must be '3'"),
        ({"rack": "<or> r2 <or> r1"}, {}, None),
        ({}, {"label:rack": "s!= r1"}, "label rack is 'r1', must be 's!= r1'"),
        ({}, {"label:rack": "r1", "hw:rack": "r2"}, None),
    ],
)
def test_label(asked: dict[str, str], specs: dict[str, str], expected: str | None) -> None:
    host = a_host(labels={"rack": "r1"})

    assert judged("Label", host, labels=asked, flavor=a_flavor(extra_specs=specs)) == expected


@pytest.mark.parametrize("project", ["alice", "bob"])
@pytest.mark.parametrize(
    ("metadata", "alice_passes", "bob_passes"),
    [
        ([], True, True),
        ([{"filter_tenant_id": "alice"}], True, False),
        ([{"filter_tenant_id": "carol, alice"}], True, False),
        ([{"filter_tenant_id2": "bob"}, {"filter_tenant_id": "alice"}], True, True),
        ([{"tenant": "carol"}], True, True),
    ],
)
def test_aggregate_multi_tenancy_isolation(
    *, metadata: list[dict[str, str]], alice_passes: bool, bob_passes: bool, project: str
) -> None:
    refusal = judged("AggregateMultiTenancyIsolation", a_host(), *metadata, project=project)

    assert (refusal is None) == (alice_passes if project == "alice" else bob_passes)


@pytest.mark.parametrize(
    ("metadata", "image", "passes"),
    [
        ([{"os_type": "linux"}], None, True),
        ([{"os_type": "linux"}], an_image(), True),
        ([{"os_type": "linux"}], an_image(os_type="linux"), True),
        ([{"os_type": "linux"}], an_image(os_type="windows"), False),
        ([{"os_type": "linux, windows"}], an_image(os_type="windows"), True),
        ([{"os_type": "linux"}, {"os_type": "windows"}], an_image(os_type="windows"), True),
        ([{"min_ram": "1024"}], an_image(min_ram=1024), True),
        ([], an_image(os_type="windows"), True),
    ],
)
def test_aggregate_image_properties_isolation(
    *, metadata: list[dict[str, str]], image: ImageSpec | None, passes: bool
) -> None:
    refusal = judged("AggregateImagePropertiesIsolation", a_host(), *metadata, image=image)

    assert (refusal is None) == passes


@pytest.mark.parametrize(
    ("metadata", "passes"),
    [
        ([], True),
        ([{"instance_type": "m1.small"}], True),
        ([{"instance_type": "m1.large, m1.small"}], True),
        ([{"instance_type": "m1.large"}], False),
        ([{"instance_type": "m1.large"}, {"instance_type": "m1.small"}], True),
    ],
)
def test_aggregate_type_affinity(*, metadata: list[dict[str, str]], passes: bool) -> None:
    assert (judged("AggregateTypeAffinity", a_host(), *metadata) is None) == passes


@pytest.mark.parametrize("isolated_host", [True, False])
@pytest.mark.parametrize("isolated_image", [True, False])
@pytest.mark.parametrize("restricted", [True, False])
def test_isolated_hosts(*, isolated_host: bool, isolated_image: bool, restricted: bool) -> None:
    options = Options(
        isolated_hosts=("kvm1",) if isolated_host else (),
        isolated_images=("debian",) if isolated_image else ("other",),
        restrict_isolated_hosts_to_isolated_images=restricted,
    )

    refusal = judged("IsolatedHosts", a_host("kvm1"), options=options, image=an_image())

    if restricted:
        assert (refusal is None) == (isolated_host == isolated_image)
    else:
        assert (refusal is None) == (isolated_host or not isolated_image)


@pytest.mark.parametrize(("restricted", "passes"), [(True, False), (False, True)])
def test_without_isolated_images_an_isolated_host_takes_nothing_if_restricted(
    *, restricted: bool, passes: bool
) -> None:
    options = Options(
        isolated_hosts=("kvm1",), restrict_isolated_hosts_to_isolated_images=restricted
    )

    assert (judged("IsolatedHosts", a_host("kvm1"), options=options) is None) == passes


def test_an_isolated_image_may_be_listed_by_its_name() -> None:
    options = Options(isolated_hosts=("kvm1",), isolated_images=("Debian 12",))

    assert judged("IsolatedHosts", a_host("kvm1"), options=options, image=an_image()) is None


@pytest.mark.parametrize(
    ("policy", "servers", "most", "server", "passes"),
    [
        pytest.param("anti-affinity", {"s1"}, 1, None, False, id="one is one too many"),
        pytest.param("anti-affinity", {"x"}, 1, None, True, id="not a member"),
        pytest.param("anti-affinity", {"s1"}, 2, None, True, id="two allowed"),
        pytest.param("anti-affinity", {"s1", "s2"}, 2, None, False, id="two there"),
        pytest.param("anti-affinity", {"s1"}, 1, "s1", True, id="it is this very server"),
        pytest.param("soft-anti-affinity", {"s1"}, 1, None, True, id="soft"),
        pytest.param("affinity", {"s1"}, 1, None, True, id="the other policy"),
    ],
)
def test_server_group_anti_affinity(
    *, policy: str, servers: set[str], most: int, server: str | None, passes: bool
) -> None:
    group = Group(
        name="g", policy=policy, members=frozenset({"s1", "s2"}), max_server_per_host=most
    )
    host = a_host(servers=frozenset(servers))

    refusal = judged("ServerGroupAntiAffinity", host, group=group, server=server)

    assert (refusal is None) == passes


@pytest.mark.parametrize(
    ("policy", "here", "elsewhere", "expected"),
    [
        pytest.param("affinity", set(), set(), None, id="the first goes anywhere"),
        pytest.param("affinity", {"s1"}, set(), None, id="with its group"),
        pytest.param("affinity", {"s1"}, {"s2"}, None, id="the group is on both"),
        pytest.param("affinity", set(), {"gone"}, None, id="members that stand nowhere"),
        pytest.param(
            "affinity", {"x"}, {"s1"}, "group g keeps together, and it is on kvm2", id="elsewhere"
        ),
        pytest.param("soft-affinity", set(), {"s1"}, None, id="soft"),
    ],
)
def test_server_group_affinity(
    policy: str, here: set[str], elsewhere: set[str], expected: str | None
) -> None:
    group = Group(name="g", policy=policy, members=frozenset({"s1", "s2"}))
    fleet = a_fleet(
        a_host("kvm1", servers=frozenset(here)),
        a_host("kvm2", servers=frozenset(elsewhere)),
        groups=(group,),
    )
    request = a_request(group="g")
    (state, _), scene = a_scene(fleet, request)

    refusal = FILTERS["ServerGroupAffinity"].check(state, request, scene)

    assert (None if refusal is None else refusal.reason) == expected


@pytest.mark.parametrize(
    ("name", "hint", "passes"),
    [
        ("DifferentHost", None, True),
        ("DifferentHost", "s9", True),
        ("DifferentHost", "s1", False),
        ("DifferentHost", ["s9", "s2"], False),
        ("DifferentHost", [], True),
        ("SameHost", None, True),
        ("SameHost", "s1", True),
        ("SameHost", ["s9", "s2"], True),
        ("SameHost", "s9", False),
        ("SameHost", ["s9"], False),
    ],
)
def test_hints_on_servers(*, name: str, hint: object, passes: bool) -> None:
    key = {"DifferentHost": "different_host", "SameHost": "same_host"}[name]
    host = a_host(servers=frozenset({"s1", "s2"}))

    assert (judged(name, host, hints={key: hint} if hint is not None else {}) is None) == passes


def test_a_host_without_servers_is_not_the_same_host() -> None:
    assert judged("SameHost", a_host(), hints={"same_host": "s1"}) is not None


def test_filters_that_do_not_apply_pass_all() -> None:
    host = a_host(networks=frozenset(), pools=(), guests=frozenset({"x"}))
    request = a_request()
    (state,), scene = a_scene(a_fleet(host), request)

    for each in FILTERS.values():
        if not each.applies(request, scene):
            assert each.check(replace(state), request, scene) is None
