from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

import pytest

from tests.support.scheduling import (
    a_flavor,
    a_fleet,
    a_host,
    a_request,
    a_scene,
    amount,
    an_aggregate,
)
from vmctl.domain.fleet import HostState, Pool
from vmctl.domain.placement import Refusal
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.policy import Options, Policy

if TYPE_CHECKING:
    from vmctl.domain.request import FlavorSpec
    from vmctl.domain.resources import Resources

T = TypeVar("T", HostState, Options)


def judged(
    name: str,
    host: HostState,
    flavor: FlavorSpec | None = None,
    metadata: dict[str, str] | None = None,
    options: Options | None = None,
    **asked: object,
) -> Refusal | None:
    aggregates = [an_aggregate(host.name, metadata=metadata)] if metadata else []
    request = a_request(flavor, **asked)
    (state,), scene = a_scene(
        a_fleet(host, aggregates=aggregates), request, Policy(options=options or Options())
    )
    return FILTERS[name].check(state, request, scene)


def with_field(value: T, field: str, number: int) -> T:
    return replace(value, **{field: number})  # type: ignore[arg-type]  # a field named by the table


def reason(refusal: Refusal | None) -> str | None:
    return None if refusal is None else refusal.reason


GIB8 = a_flavor(memory="8GiB", vcpus=2, disk="20GiB")


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param(a_host(memory="16GiB"), None, id="room"),
        pytest.param(a_host(memory="8GiB"), None, id="just fits"),
        pytest.param(
            a_host(memory="16GiB", taken=amount(memory="8193MiB")),
            "needs 8192 MiB, 8191 MiB free of 16 GiB × 1.0, 8 GiB claimed",
            id="one MiB short",
        ),
        pytest.param(
            a_host(memory="16GiB", taken=amount(memory="13107MiB")),
            "needs 8 GiB, 3.2 GiB free of 16 GiB × 1.0, 12.8 GiB claimed",
            id="in an operator's words",
        ),
        pytest.param(
            a_host(memory="4GiB", ram_ratio=4.0),
            "needs 8 GiB, the host has 4 GiB in all",
            id="never overcommits against itself",
        ),
        pytest.param(
            a_host(memory="8GiB", ram_ratio=2.0, taken=amount(memory="8GiB")),
            None,
            id="overcommitted with room",
        ),
        pytest.param(
            a_host(memory="8GiB", ram_ratio=0.5),
            "needs 8 GiB, 4 GiB free of 8 GiB × 0.5, 0 MiB claimed",
            id="a ratio below one",
        ),
        pytest.param(
            a_host(memory="16GiB", ram_ratio=2.0, reserved=amount(memory="25GiB")),
            "needs 8 GiB, 7 GiB free of 16 GiB × 2.0, 0 MiB claimed, 25 GiB reserved",
            id="reserved counts as used, not off the total",
        ),
        pytest.param(
            a_host(memory="16GiB", taken=amount(memory="12GiB"), foreign=amount(memory="3GiB")),
            "needs 8 GiB, 4 GiB free of 16 GiB × 1.0, 12 GiB claimed (3 GiB by foreign guests)",
            id="foreign guests are named",
        ),
    ],
)
def test_ram(host: HostState, expected: str | None) -> None:
    assert reason(judged("Ram", host, GIB8)) == expected


def test_ram_says_need_and_have_in_mib() -> None:
    refusal = judged("Ram", a_host(memory="16GiB", taken=amount(memory="12GiB")), GIB8)

    assert refusal is not None
    assert (refusal.need, refusal.have) == (8192, 4096)


def test_an_oversold_host_refuses_even_what_needs_no_memory() -> None:
    host = a_host(memory="8GiB", taken=amount(memory="9GiB"))

    assert judged("Ram", host, a_flavor(memory="0M")) is not None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param(a_host(vcpus=2), None, id="just fits"),
        pytest.param(a_host(vcpus=0), None, id="a host that does not say how many passes"),
        pytest.param(
            a_host(vcpus=1, cpu_ratio=4.0),
            "needs 2 vCPUs, the host has 1 in all",
            id="never overcommits against itself",
        ),
        pytest.param(
            a_host(vcpus=8, cpu_ratio=4.0, taken=amount(vcpus=30)), None, id="the last two"
        ),
        pytest.param(
            a_host(vcpus=8, cpu_ratio=4.0, taken=amount(vcpus=31), foreign=amount(vcpus=4)),
            "needs 2 vCPUs, 1 free of 8 × 4.0, 31 claimed (4 by foreign guests)",
            id="one short",
        ),
        pytest.param(
            a_host(vcpus=2, cpu_ratio=1.5, taken=amount(vcpus=1), reserved=amount(vcpus=1)),
            "needs 2 vCPUs, 1 free of 2 × 1.5, 1 claimed, 1 reserved",
            id="reserved",
        ),
    ],
)
def test_core(host: HostState, expected: str | None) -> None:
    assert reason(judged("Core", host, GIB8)) == expected


def test_core_counts_halves_that_a_ratio_leaves() -> None:
    refusal = judged("Core", a_host(vcpus=3, cpu_ratio=1.5, taken=amount(vcpus=3)), GIB8)

    assert refusal is not None
    assert (refusal.need, refusal.have) == (2, 1.5)


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        pytest.param(a_host(disk="23GiB"), None, id="just fits"),
        pytest.param(
            a_host(disk="22GiB"),
            "needs 23 GiB, the host has 22 GiB in all",
            id="root, ephemeral and swap count",
        ),
        pytest.param(
            a_host(disk="22GiB", disk_ratio=2.0),
            "needs 23 GiB, the host has 22 GiB in all",
            id="never overcommits against itself",
        ),
        pytest.param(
            a_host(disk="40GiB", taken=amount(disk="20GiB")),
            "needs 23 GiB, 20 GiB free of 40 GiB × 1.0, 20 GiB claimed",
            id="claimed",
        ),
        pytest.param(
            a_host(disk="40GiB", disk_ratio=1.5, taken=amount(disk="37GiB")),
            None,
            id="overcommitted with room",
        ),
        pytest.param(
            a_host(disk="400GiB", disk_available=22 * 1024),
            "needs 23 GiB, the pool has 22 GiB available",
            id="at most what the pool has",
        ),
        pytest.param(
            a_host(disk="40GiB", disk_available=30 * 1024, taken=amount(disk="35GiB")),
            "needs 23 GiB, 5 GiB free of 40 GiB × 1.0, 35 GiB claimed",
            id="thin disks leave more in the pool than is free",
        ),
    ],
)
def test_disk(host: HostState, expected: str | None) -> None:
    flavor = a_flavor(disk="20GiB", ephemeral=2048, swap=1024)

    assert reason(judged("Disk", host, flavor)) == expected


def test_disk_is_judged_on_the_pool_that_is_asked_for() -> None:
    pools = (Pool(name="fast", total=10240), Pool(name="slow", total=102400))
    host = a_host(disk="1TiB", pools=pools)

    assert judged("Disk", host, GIB8, pool="slow") is None
    refusal = judged("Disk", host, GIB8, pool="fast")
    assert reason(refusal) == "needs 20 GiB, the host has 10 GiB in all"


@pytest.mark.parametrize(
    ("name", "key", "full"),
    [
        ("AggregateRam", "ram_allocation_ratio", amount(memory="8GiB")),
        ("AggregateCore", "cpu_allocation_ratio", amount(vcpus=8)),
        ("AggregateDisk", "disk_allocation_ratio", amount(disk="32GiB")),
    ],
)
@pytest.mark.parametrize(
    ("value", "passes"),
    [
        pytest.param(None, False, id="the host's ratio"),
        pytest.param("2.0", True, id="the aggregate's"),
        pytest.param("lots", False, id="unreadable: the host's"),
        pytest.param("2.0,3.0", False, id="a list is no number: the host's"),
        pytest.param("nan", False, id="not a number: the host's"),
    ],
)
def test_an_aggregate_sets_the_ratio(
    *, name: str, key: str, full: Resources, value: str | None, passes: bool
) -> None:
    host = a_host(vcpus=8, memory="8GiB", disk="32GiB", cpu_ratio=1.0, taken=full)

    refusal = judged(name, host, GIB8, {key: value} if value else None)

    assert (refusal is None) == passes


def test_the_smallest_ratio_of_several_aggregates_counts() -> None:
    host = a_host(memory="8GiB", taken=amount(memory="8GiB"))
    aggregates = [
        an_aggregate("kvm1", name=value, metadata={"ram_allocation_ratio": value})
        for value in ("3.0", "1.5")
    ]
    request = a_request(GIB8)
    (state,), scene = a_scene(a_fleet(host, aggregates=aggregates), request)

    refusal = FILTERS["AggregateRam"].check(state, request, scene)

    assert reason(refusal) == "needs 8 GiB, 4 GiB free of 8 GiB × 1.5, 8 GiB claimed"


@pytest.mark.parametrize(
    ("name", "option", "field", "limit", "words"),
    [
        ("NumInstances", "max_instances_per_host", "num_instances", 50, "servers are there"),
        ("IoOps", "max_io_ops_per_host", "num_io_ops", 8, "I/O-heavy jobs run there"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "Aggregate"])
def test_a_count_must_be_below_its_limit(
    *, prefix: str, name: str, option: str, field: str, limit: int, words: str
) -> None:
    below, at = with_field(a_host(), field, limit - 1), with_field(a_host(), field, limit)

    assert judged(prefix + name, below) is None
    refusal = judged(prefix + name, at)
    assert refusal == Refusal(f"{limit} {words}, {limit} is the limit", limit + 1, limit)
    assert judged(prefix + name, at, options=with_field(Options(), option, limit + 1)) is None


@pytest.mark.parametrize("name", ["NumInstances", "IoOps"])
@pytest.mark.parametrize(
    ("value", "passes"), [("3", True), ("2", False), ("1,2", True), ("1.5", True), ("few", True)]
)
def test_an_aggregate_sets_a_count_only_by_a_whole_number(
    *, name: str, value: str, passes: bool
) -> None:
    key = "max_instances_per_host" if name == "NumInstances" else "max_io_ops_per_host"

    refusal = judged(f"Aggregate{name}", a_host(num_instances=2, num_io_ops=2), None, {key: value})

    assert (refusal is None) == passes
