from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import cast

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.random_fleets import fleets, policies
from vmctl.domain.fleet import Fleet, Pool, Pressure
from vmctl.domain.request import FlavorSpec, ImageSpec, RequestSpec
from vmctl.domain.resources import Resources
from vmctl.errors import UsageError
from vmctl.scheduler.engine import place
from vmctl.scheduler.fleet_data import fleet_data
from vmctl.scheduler.fleet_file import fleet_from
from vmctl.scheduler.policy import Options, Policy
from vmctl.scheduler.request_file import answer, request_from

Json = dict[str, object]


def a_file(**host: object) -> Json:
    return {"version": 1, "hosts": [{"name": "kvm1", **host}]}


def test_a_host_of_only_a_name_has_the_obvious_defaults() -> None:
    (host,) = fleet_from(a_file()).fleet.hosts

    assert (host.total, host.taken) == (Resources(), Resources())
    assert (host.cpu_ratio, host.ram_ratio, host.disk_ratio) == (4.0, 1.0, 1.0)
    assert (host.enabled, host.up, host.zone, host.num_instances) == (True, True, None, 0)
    assert (host.hypervisor_type, host.arch) == ("kvm", "x86_64")
    assert host.supported == (("x86_64", "kvm", "hvm"),)
    assert (host.networks, host.pools, host.guests, host.images) == (None,) * 4


def test_a_whole_host_is_read() -> None:
    (host,) = fleet_from(
        a_file(
            zone="a", enabled=False, disabled_reason="disks", up=False, vcpus=16, vcpus_used=4,
            memory_mb=65536, memory_mb_used=1024, disk_gb=100, disk_gb_used=0.5, cpu_ratio=2,
            ram_ratio=1.5, disk_ratio=1, num_io_ops=1, failed_builds=2, hypervisor_type=None,
            hypervisor_version="8.2.0", arch=None, labels={"rack": 3, "ssd": True},
            servers=["s1", "s2"], networks=["lan"], guests=["db"], images=[], sample_age=-3,
            disk_gb_available=10, disk_shared="nfs", pressure={"cpu": 1.5},
            pools=[{"name": "fast", "disk_gb": 1, "active": False, "shared": "san"}],
            claims=[{"vcpus": 1, "memory_mb": 2, "disk_gb": 3}], capabilities={"tier": "gold"},
        )
    ).fleet.hosts  # fmt: skip

    assert host.total == Resources(vcpus=16, memory=65536, disk=102400)
    assert host.taken == Resources(vcpus=4, memory=1024, disk=512)
    assert (host.cpu_ratio, host.ram_ratio) == (2.0, 1.5)
    assert host.labels == {"rack": "3", "ssd": "true"}
    assert host.num_instances == 2
    assert (host.hypervisor_type, host.arch, host.supported) == (None, None, ())
    assert host.pools == (Pool(name="fast", total=1024, active=False, shared="san"),)
    assert host.claims == (Resources(vcpus=1, memory=2, disk=3072),)
    assert host.pressure == Pressure(cpu=1.5)
    assert (host.images, host.networks) == (frozenset(), frozenset({"lan"}))
    assert (host.sample_age, host.disk_available, host.disk_shared) == (-3, 10240, "nfs")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the file: must be a mapping, not []"),
        ({"version": 2}, "version: must be 1, not 2"),
        ({"host": []}, "host: no such key"),
        ({"hosts": {}}, "hosts: must be a list, not {}"),
        ({"hosts": ["kvm1"]}, "hosts[0]: must be a mapping, not 'kvm1'"),
        ({"hosts": [{}]}, "hosts[0].name: is missing"),
        (a_file(name=3), "hosts[0].name: must be a text, not 3"),
        (a_file(ram=3), "hosts[0].ram: no such key"),
        (a_file(memory_mb="4G"), "hosts[0].memory_mb: must be a whole number from 0 on, not '4G'"),
        (a_file(vcpus=-1), "hosts[0].vcpus: must be a whole number from 0 on, not -1"),
        (a_file(vcpus=True), "hosts[0].vcpus: must be a whole number from 0 on, not True"),
        (a_file(vcpus=None), "hosts[0].vcpus: must be a whole number from 0 on, not None"),
        (a_file(vcpus=1.5), "hosts[0].vcpus: must be a whole number from 0 on, not 1.5"),
        (a_file(disk_gb=0.0001), "hosts[0].disk_gb: must be a size in GiB that is whole in MiB"),
        (a_file(enabled="yes"), "hosts[0].enabled: must be true or false, not 'yes'"),
        (a_file(cpu_ratio=float("nan")), "hosts[0].cpu_ratio: must be a number from 0 on"),
        (a_file(servers="s1"), "hosts[0].servers: must be a list of names, not 's1'"),
        (a_file(labels={"a": []}), "hosts[0].labels: must be a mapping of texts, not {'a': []}"),
        (a_file(pools=[{"name": "p", "size": 1}]), "hosts[0].pools[0].size: no such key"),
        (a_file(pools=[{"name": "p"}] * 2), "hosts[0].pools: p is there twice"),
        (a_file(pressure={"gpu": 1}), "hosts[0].pressure.gpu: no such key"),
        (a_file(claims=[{"ram": 1}]), "hosts[0].claims[0].ram: no such key"),
        (
            a_file(supported_instances=[["x86_64"]]),
            "hosts[0].supported_instances: must be a list of [arch, hypervisor type, mode]",
        ),
        ({"hosts": [{"name": "a"}, {"name": "a"}]}, "hosts: a is there twice"),
        (
            {"aggregates": [{"name": "x", "hosts": ["kvm9"]}]},
            "aggregates[0].hosts: there is no host kvm9",
        ),
        (
            {"groups": [{"name": "g", "policy": "near"}]},
            "groups[0].policy: must be one of affinity, anti-affinity, soft-affinity, ",
        ),
        ({"groups": [{"name": "g"}]}, "groups[0].policy: must be one of affinity"),
        (
            {"groups": [{"name": "g", "policy": "affinity", "max_server_per_host": 0}]},
            "groups[0].max_server_per_host: must be a whole number from 1 on, not 0",
        ),
        ({"policy": {"tie": "coin"}}, "policy.tie: must be order or hash, not 'coin'"),
    ],
)
def test_an_error_in_a_fleet_names_its_place(data: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        fleet_from(data)

    assert caught.value.message.startswith(message)


def test_all_errors_of_a_file_are_said_at_once() -> None:
    data = {
        "hosts": [{"name": "a", "vcpus": "many"}, {"up": 1}],
        "policy": {"tie": "x"},
        "more": 1,
    }

    with pytest.raises(UsageError) as caught:
        fleet_from(data)

    assert caught.value.message.splitlines() == [
        "hosts[0].vcpus: must be a whole number from 0 on, not 'many'",
        "hosts[1].name: is missing",
        "hosts[1].up: must be true or false, not 1",
        "policy.tie: must be order or hash, not 'x'",
        "more: no such key",
    ]


def test_a_request_of_only_a_flavor_has_the_obvious_defaults() -> None:
    assert request_from({"flavor": {}}) == RequestSpec(flavor=FlavorSpec())


def test_a_whole_request_is_read() -> None:
    request = request_from(
        {
            "count": 3, "min": 2, "seed": "req-1", "project": "alice", "group": "g",
            "flavor": {
                "name": "m1", "vcpus": 2, "memory_mb": 512, "disk_gb": 1, "ephemeral_gb": 2,
                "swap_mb": 3, "extra_specs": {"hw:numa": 1, "on": True},
            },
            "image": {"id": "i", "name": "Debian", "properties": {"hw_architecture": "x86_64"}},
            "availability_zone": "a", "host": "h", "force_host": "f", "hints": {"query": []},
            "ignore_hosts": ["x"], "tried_hosts": ["y"], "labels": {"rack": 1},
            "networks": ["lan", "dmz"], "pool": "fast", "names": ["web"], "server": "s",
        }
    )  # fmt: skip

    assert request == RequestSpec(
        count=3,
        min_count=2,
        seed="req-1",
        project="alice",
        group="g",
        flavor=FlavorSpec(
            name="m1",
            vcpus=2,
            memory=512,
            disk=1024,
            ephemeral=2048,
            swap=3,
            extra_specs={"hw:numa": "1", "on": "true"},
        ),
        image=ImageSpec(id="i", name="Debian", properties={"hw_architecture": "x86_64"}),
        availability_zone="a",
        host="h",
        force_host="f",
        hints={"query": []},
        ignore_hosts=frozenset({"x"}),
        tried=frozenset({"y"}),
        labels={"rack": "1"},
        networks=("lan", "dmz"),
        pool="fast",
        names=("web",),
        server="s",
    )
    assert request.flavor.claim == Resources(vcpus=2, memory=512, disk=3075)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "flavor: is missing"),
        ({"flavor": {"ram": 1}}, "flavor.ram: no such key"),
        ({"flavor": {}, "count": 0}, "count: must be a whole number from 1 on, not 0"),
        ({"flavor": {}, "count": 2, "min": 3}, "min: must be at most the count of 2, not 3"),
        ({"flavor": {}, "image": {"size": 1}}, "image.size: no such key"),
        ({"flavor": {}, "image": "debian"}, "image: must be a mapping, not 'debian'"),
        ({"flavor": {}, "seed": 1.5}, "seed: must be a whole number or a text, not 1.5"),
        ({"flavor": {}, "hints": []}, "hints: must be a mapping, not []"),
        ({"flavor": {}, "zone": "a"}, "zone: no such key"),
    ],
)
def test_an_error_in_a_request_names_its_place(data: Json, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        request_from(data)

    assert caught.value.message == message


def test_null_is_absent_where_nothing_is_the_default() -> None:
    empty = dict.fromkeys(
        ("min", "image", "host", "force_host", "group", "project", "hints", "labels", "networks")
    )

    assert request_from({"flavor": {}, **empty}) == request_from({"flavor": {}})


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("hosts", "name", "vcpus", "policy", "flavor", "pools", "x")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, database=None)
@given(junk)
def test_junk_is_an_error_or_read_and_never_a_traceback(data: object) -> None:
    for read in (fleet_from, request_from):
        with suppress(UsageError):
            read(data)


@settings(max_examples=60, deadline=None, database=None, suppress_health_check=list(HealthCheck))
@given(fleets(), policies())
def test_a_fleet_survives_being_written_and_read(fleet: Fleet, policy: Policy) -> None:
    fleet = replace(
        fleet,
        hosts=tuple(
            replace(host, taken=host.taken + host.reserved, reserved=Resources())
            for host in fleet.hosts
        ),
    )

    written = json.loads(json.dumps(fleet_data(fleet, policy)))

    assert fleet_from(written).fleet == fleet
    assert fleet_from(written).policy == policy


def test_an_answer_has_the_public_keys_and_no_others() -> None:
    fleet = fleet_from(
        {
            "hosts": [
                {"name": "kvm1", "vcpus": 4, "memory_mb": 8192, "disk_gb": 10},
                {"name": "kvm2", "vcpus": 4, "memory_mb": 4096, "disk_gb": 10},
                {"name": "kvm3", "vcpus": 4, "memory_mb": 1024, "disk_gb": 10},
            ],
            "policy": {"weighers": {"RAM": 1.0}},
        }
    )
    request = request_from({"flavor": {"memory_mb": 2048}})

    assert answer(place(request, fleet.fleet, fleet.policy)) == {
        "placements": [{"index": 0, "host": "kvm1", "weight": 1.0, "alternates": ["kvm2"]}],
        "verdicts": [
            {
                "host": "kvm1",
                "passed": True,
                "filter": None,
                "reason": None,
                "need": None,
                "have": None,
                "weights": {"RAM": {"raw": 8192, "normalised": 1.0, "weighted": 1.0}},
            },
            {
                "host": "kvm2",
                "passed": True,
                "filter": None,
                "reason": None,
                "need": None,
                "have": None,
                "weights": {"RAM": {"raw": 4096, "normalised": 0.5, "weighted": 0.5}},
            },
            {
                "host": "kvm3",
                "passed": False,
                "filter": "Ram",
                "reason": "needs 2 GiB, the host has 1 GiB in all",
                "need": 2048,
                "have": 1024,
                "weights": {},
            },
        ],
        "failed": None,
    }


def test_the_documented_files_are_read() -> None:
    text = (Path(__file__).parents[3] / "docs" / "scheduler.md").read_text()
    fleet_text, request_text = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)

    fleet, request = (
        fleet_from(yaml.safe_load(fleet_text)),
        request_from(yaml.safe_load(request_text)),
    )

    verdicts = place(request, fleet.fleet, fleet.policy).verdicts
    assert [(each.host, each.filter) for each in verdicts] == [
        ("kvm1", None),
        ("kvm2", "AvailabilityZone"),
    ]


def test_a_traced_answer_says_for_which_server_each_verdict_is() -> None:
    fleet = fleet_from({"hosts": [{"name": "kvm1", "memory_mb": 4096}]})
    request = request_from({"count": 2, "flavor": {"memory_mb": 2048}})

    verdicts = answer(place(request, fleet.fleet, fleet.policy, trace=True))["verdicts"]

    assert [(each["index"], each["host"]) for each in cast("list[Json]", verdicts)] == [
        (0, "kvm1"),
        (1, "kvm1"),
    ]


def schema(name: str) -> Json:
    text = resources.files("vmctl.scheduler").joinpath(f"schema/{name}.json").read_text()
    return cast("Json", json.loads(text))


def inside(data: Json, *path: str) -> Json:
    for key in path:
        data = cast("Json", data[key])
    return data


def test_the_schema_of_a_fleet_has_the_keys_that_are_read() -> None:
    properties = inside(schema("fleet"), "properties")
    host = inside(properties, "hosts", "items")
    samples: dict[str, object] = {
        key: {"name": "kvm1"}.get(key) for key in inside(host, "properties")
    }

    with pytest.raises(UsageError) as caught:
        fleet_from({"hosts": [samples]})
    assert "no such key" not in caught.value.message

    written = fleet_data(fleet_from(a_file()).fleet, Policy())
    assert set(cast("list[Json]", written["hosts"])[0]) <= set(inside(host, "properties"))
    assert set(properties) == set(written)
    options = inside(properties, "policy", "properties", "options", "properties")
    assert set(options) == set(Options.__slots__)
    policy = inside(properties, "policy", "properties")
    assert set(policy) == set(cast("Json", written["policy"]))


def test_the_schema_of_a_request_has_the_keys_that_are_read() -> None:
    properties = inside(schema("request"), "properties")
    flavor = inside(properties, "flavor", "properties")

    with pytest.raises(UsageError) as caught:
        request_from(dict.fromkeys(properties, 1.5) | {"flavor": dict.fromkeys(flavor, -1)})

    assert "no such key" not in caught.value.message
    assert len(caught.value.message.splitlines()) == len(properties) - 1 + len(flavor)


def test_the_schema_of_an_answer_has_the_keys_that_are_written() -> None:
    fleet = fleet_from({"hosts": [{"name": "a"}, {"name": "b"}], "policy": {"filters": []}})
    written = answer(place(request_from({"flavor": {}}), fleet.fleet, fleet.policy, trace=True))

    properties = inside(schema("answer"), "properties")
    assert set(properties) == set(written)
    for key in ("placements", "verdicts"):
        (first, *_) = cast("list[Json]", written[key])
        assert set(inside(properties, key, "items", "properties")) == set(first)
