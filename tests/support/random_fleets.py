"""Fleets, requests and policies for property tests: small, full of ties and of full hosts."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from vmctl.domain.fleet import Aggregate, Fleet, Group, HostState, Pool, Pressure
from vmctl.domain.placement import Refusal
from vmctl.domain.request import FlavorSpec, ImageSpec, RequestSpec
from vmctl.domain.resources import Resources
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.policy import DEFAULT_FILTERS, DEFAULT_WEIGHERS, Options, Policy
from vmctl.scheduler.scene import Filter, Scene, Weigher
from vmctl.scheduler.weighers import WEIGHERS

SERVERS = ("s1", "s2", "s3", "s4", "s5")
POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")
METADATA = {
    "ram_allocation_ratio": ("0.5", "1.5", "nonsense"),
    "cpu_allocation_ratio": ("1.0", "2"),
    "disk_allocation_ratio": ("0.5", "3,4"),
    "max_instances_per_host": ("2", "3", "1,2"),
    "max_io_ops_per_host": ("1", "4"),
    "ram_weight_multiplier": ("-1", "0", "2.5", "many", "nan"),
    "cpu_weight_multiplier": ("-2", "3"),
    "io_ops_weight_multiplier": ("1", "-3"),
    "build_failure_weight_multiplier": ("0", "-1"),
    "availability_zone": ("z1", "z1,z2"),
    "instance_type": ("small", "large"),
    "filter_tenant_id": ("alice", "bob"),
    "gpu": ("yes", "1, 2"),
}


def _odd_check(host: HostState, _request: RequestSpec, _scene: Scene) -> Refusal | None:
    if host.taken.memory % 3 == 2:
        raise RuntimeError("odd memory")
    return Refusal("it has three servers", 3, 3) if host.num_instances == 3 else None


def _odd_raw(host: HostState, _request: RequestSpec, _scene: Scene) -> float:
    if host.num_io_ops == 3:
        raise RuntimeError("odd jobs")
    if host.num_io_ops == 5:
        return float("nan")
    return host.taken.memory * 7 % 11 / 3


PLUGGED_FILTERS = {**FILTERS, "Odd": Filter(_odd_check)}
PLUGGED_WEIGHERS = {**WEIGHERS, "Odd": Weigher(_odd_raw, "odd_weight_multiplier")}


@st.composite
def hosts(draw: st.DrawFn, name: str) -> HostState:
    few = st.integers(0, 3)
    total = Resources(
        vcpus=draw(st.sampled_from((0, 2, 4, 8))),
        memory=draw(st.sampled_from((4, 8, 16))),
        disk=draw(st.sampled_from((10, 20, 40))),
    )
    host = HostState(
        name=name,
        total=total,
        taken=Resources(vcpus=draw(few), memory=draw(few), disk=draw(few)),
        cpu_ratio=draw(st.sampled_from((1.0, 2.0, 4.0))),
        ram_ratio=draw(st.sampled_from((1.0, 1.0, 1.5))),
        num_io_ops=draw(few),
        servers=frozenset(draw(st.sets(st.sampled_from(SERVERS), max_size=2))),
    )
    if draw(st.booleans()):
        return host
    return replace(
        host,
        disk_ratio=draw(st.sampled_from((0.5, 1.0, 2.0))),
        reserved=Resources(vcpus=draw(few), memory=draw(few), disk=draw(few)),
        disk_available=draw(st.none() | st.integers(0, 30)),
        disk_shared=draw(st.sampled_from((None, "nfs", "ceph"))),
        zone=draw(st.sampled_from((None, "z1", "z2"))),
        enabled=draw(st.sampled_from((True, True, False))),
        sample_age=draw(st.sampled_from((None, 5.0, 61.0, -70.0))),
        num_instances=draw(few),
        failed_builds=draw(st.sampled_from((0, 0, 1, 4))),
        hypervisor_version=draw(st.sampled_from((None, 8002000, "9.0.1"))),
        labels=draw(st.dictionaries(st.just("rack"), st.sampled_from(("r1", "r2")))),
        images=draw(st.sampled_from((None, frozenset(), frozenset({"debian"})))),
        pressure=draw(st.sampled_from((None, Pressure(cpu=50), Pressure(io=3, steal=1)))),
        pools=draw(
            st.sampled_from(
                (
                    None,
                    (Pool(name="fast", total=16, taken=1, shared="san"),),
                    (Pool(name="fast", total=30, available=9),),
                )
            )
        ),
    )


@st.composite
def fleets(draw: st.DrawFn, max_hosts: int = 8) -> Fleet:
    count = draw(st.integers(0, max_hosts))
    alike = draw(st.booleans())
    names = [f"h{index}" for index in range(count)]
    made = [draw(hosts(name)) for name in (names[:1] if alike else names)]
    if alike and made:
        made = [replace(made[0], name=name) for name in names]
    aggregates = [
        Aggregate(
            name=f"a{index}",
            hosts=frozenset(draw(st.sets(st.sampled_from(names)))) if names else frozenset(),
            metadata=draw(_metadata()),
        )
        for index in range(draw(st.integers(0, 3)))
    ]
    group = Group(
        name="g",
        policy=draw(st.sampled_from(POLICIES)),
        members=frozenset(draw(st.sets(st.sampled_from(SERVERS), max_size=3))),
        max_server_per_host=draw(st.integers(1, 3)),
    )
    return Fleet(hosts=tuple(made), aggregates=tuple(aggregates), groups=(group,))


@st.composite
def _metadata(draw: st.DrawFn) -> dict[str, str]:
    keys = draw(st.sets(st.sampled_from(sorted(METADATA)), max_size=3))
    return {key: draw(st.sampled_from(METADATA[key])) for key in sorted(keys)}


@st.composite
def flavors(draw: st.DrawFn) -> FlavorSpec:
    return FlavorSpec(
        name=draw(st.sampled_from(("small", "large"))),
        vcpus=draw(st.integers(0, 3)),
        memory=draw(st.integers(0, 4)),
        disk=draw(st.integers(0, 6)),
        ephemeral=draw(st.integers(0, 1)),
        swap=draw(st.integers(0, 1)),
        extra_specs=draw(st.sampled_from(({}, {}, {"gpu": "<or> yes <or> 1"}))),
    )


@st.composite
def requests(draw: st.DrawFn, max_count: int = 14) -> RequestSpec:
    count = draw(st.integers(1, max_count))
    request = RequestSpec(
        flavor=draw(flavors()),
        count=count,
        min_count=draw(st.none() | st.integers(1, count)),
        image=draw(st.sampled_from((None, ImageSpec(id="debian")))),
        group=draw(st.sampled_from((None, "g"))),
        seed=draw(st.integers(0, 3)),
    )
    if draw(st.booleans()):
        return request
    return replace(
        request,
        availability_zone=draw(st.sampled_from((None, "z1", "nova"))),
        host=draw(st.sampled_from((None, None, None, "h1", "H1"))),
        force_host=draw(st.sampled_from((None, None, None, "h0", "H1", "h99"))),
        ignore_hosts=frozenset(draw(st.sets(st.sampled_from(("H0", "h2")), max_size=1))),
        tried=frozenset(draw(st.sets(st.sampled_from(("h0", "h3")), max_size=1))),
        pool=draw(st.sampled_from((None, "fast"))),
        project=draw(st.sampled_from((None, "alice"))),
        server=draw(st.sampled_from((None, "s1"))),
        hints=draw(
            st.sampled_from(
                (
                    {},
                    {"different_host": ["s1", "s2"]},
                    {"same_host": "s3"},
                    {"query": '[">=", "$free_ram_mb", 3]'},
                    {"query": '["<", "$num_io_ops", 4]'},
                )
            )
        ),
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    filters: tuple[str, ...] = DEFAULT_FILTERS
    weighers = dict(DEFAULT_WEIGHERS)
    if draw(st.booleans()):
        chosen = draw(st.lists(st.sampled_from(sorted(PLUGGED_FILTERS)), unique=True, max_size=8))
        needed = ("ServerGroupAffinity", "ServerGroupAntiAffinity")
        filters = tuple(dict.fromkeys((*chosen, *needed)))
    if draw(st.booleans()):
        names = draw(st.lists(st.sampled_from(sorted(PLUGGED_WEIGHERS)), unique=True, max_size=6))
        needed = ("ServerGroupSoftAffinity", "ServerGroupSoftAntiAffinity")
        multipliers = st.sampled_from((-1.0, 0.0, 0.1, 0.5, 1.0, 3.0, 1e6))
        weighers = {name: draw(multipliers) for name in dict.fromkeys((*names, *needed))}
    return Policy(
        filters=filters,
        weighers=weighers,
        host_subset_size=draw(st.sampled_from((1, 1, 1, 2, 3))),
        max_attempts=draw(st.integers(1, 4)),
        tie=draw(st.sampled_from(("hash", "order"))),
        options=Options(max_instances_per_host=5, max_io_ops_per_host=6),
    )
