"""CPUs of a host by their numbers: read, written and chosen."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmctl.adapters.pins import find_own_cpus, find_pins
from vmctl.domain.cpus import (
    HIGHEST,
    choose,
    cpu_policy_of,
    dedicated_on,
    format_cpus,
    parse_cpus,
    read_cpus,
    shared_on,
)
from vmctl.domain.host import Host
from vmctl.domain.sample import HostSample
from vmctl.errors import ClaimLost

HOST = Host(name="kvm1", address="kvm1", dedicated_cpus=(2, 3, 4, 5))
SAMPLE = HostSample(taken_at=1.0, cpus=6)


def test_ranges_are_read_as_they_are_written() -> None:
    assert parse_cpus("2-4, 10") == (2, 3, 4, 10)
    assert format_cpus((10, 4, 2, 3)) == "2-4,10"


@given(st.frozensets(st.integers(min_value=0, max_value=HIGHEST)))
def test_what_is_written_is_read_back(cpus: frozenset[int]) -> None:
    assert read_cpus(format_cpus(cpus)) == cpus


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is no CPU: CPUs are numbers and ranges of them, such as 2-7,10"),
        ("two", "'two' is no CPU"),
        ("2-", "'2-' is no CPU"),
        ("-2", "'-2' is no CPU"),
        ("^2", "'^2' is no CPU"),
        ("7-2", "7-2 ends before it begins"),
        ("0-99999999", "99999999 is no CPU of any host: the highest is 8191"),
    ],
)
def test_what_is_no_cpu_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_cpus(text)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [("0-3,^2", {0, 1, 3}), ("5", {5}), ("", set()), (None, set()), ("x,1", {1}), ("^1", set())],
)
def test_what_others_write_is_read_as_far_as_it_goes(text: str | None, cpus: set[int]) -> None:
    assert read_cpus(text) == cpus


def test_a_huge_range_of_others_costs_nothing() -> None:
    assert len(read_cpus("0-999999999")) == HIGHEST + 1


@pytest.mark.parametrize(
    ("specs", "properties", "policy"),
    [
        ({}, {}, "shared"),
        ({"hw:cpu_policy": "shared"}, {}, "shared"),
        ({"hw:cpu_policy": " Dedicated"}, {}, "dedicated"),
        ({}, {"hw_cpu_policy": "dedicated"}, "dedicated"),
        ({"hw:cpu_policy": "mixed"}, {}, "mixed"),
    ],
)
def test_either_of_image_and_flavor_asks_for_own_cpus(
    specs: dict[str, str], properties: dict[str, str], policy: str
) -> None:
    assert cpu_policy_of(properties, specs) == policy


def test_what_a_host_has_not_is_not_given_out() -> None:
    assert dedicated_on(HOST, HostSample(taken_at=1.0, cpus=4)) == (2, 3)
    assert dedicated_on(HOST, HostSample(taken_at=1.0, cpus=4, cpus_online="0-1,4-5")) == (4, 5)
    assert dedicated_on(HOST, None) == HOST.dedicated_cpus


def test_the_others_are_shared_and_named_only_where_some_are_dedicated() -> None:
    assert shared_on(HOST, HostSample(taken_at=1.0, cpus=4, cpus_online="0-1,4,8")) == (0, 1, 8)
    assert shared_on(Host(name="kvm2", address="kvm2"), SAMPLE) == ()
    assert shared_on(HOST, HostSample(taken_at=1.0)) == ()


def test_the_lowest_free_ones_are_chosen() -> None:
    assert choose(HOST, SAMPLE, 2, {2, 0}) == (3, 4)


def test_those_that_are_held_stay_if_they_can() -> None:
    assert choose(HOST, SAMPLE, 2, set(), (5, 4)) == (5, 4)
    assert choose(HOST, SAMPLE, 2, {4}, (5, 4)) == (2, 3)
    assert choose(HOST, SAMPLE, 2, set(), (7, 8)) == (2, 3)


@pytest.mark.parametrize(
    ("need", "taken", "why"),
    [
        (4, {2, 3, 5}, "needs 4 dedicated CPUs, 1 of 4 free"),
        (1, {2, 3, 4, 5}, "needs 1 dedicated CPU, 0 of 4 free"),
        (5, set(), "needs 5 dedicated CPUs, the host has 4 in all"),
    ],
)
def test_too_few_are_a_lost_claim(need: int, taken: set[int], why: str) -> None:
    with pytest.raises(ClaimLost, match=f"host kvm1 cannot take the server: {why}"):
        choose(HOST, SAMPLE, need, taken)


def test_where_all_are_dedicated_nobody_shares_any() -> None:
    only = Host(name="kvm1", address="kvm1", dedicated_cpus=(0, 1))

    with pytest.raises(ClaimLost, match="all its CPUs are dedicated"):
        choose(only, HostSample(taken_at=1.0, cpus=2), 0, ())

    assert choose(only, HostSample(taken_at=1.0, cpus=3), 0, ()) == ()


LIBVIRTS = """<domain type='kvm'>
  <vcpu placement='static' cpuset='0-1'>2</vcpu>
  <cputune>
    <vcpupin vcpu='1' cpuset='6'/>
    <vcpupin vcpu='0' cpuset='4'/>
    <emulatorpin cpuset="8-9,^9"/>
    <iothreadpin iothread='1' cpuset='11'/>
  </cputune>
</domain>"""


def test_every_cpu_that_a_domain_is_bound_to_is_found() -> None:
    assert find_pins(LIBVIRTS) == "0-1,4,6,8,11"
    assert find_pins("<domain><vcpu>2</vcpu></domain>") == ""


def test_vcpus_have_cpus_of_their_own_where_each_is_pinned_to_one() -> None:
    assert find_own_cpus(LIBVIRTS) == (4, 6)
    assert find_own_cpus(LIBVIRTS.replace("'6'", "'6-7'")) == ()
    assert find_own_cpus(LIBVIRTS.replace("vcpu='1'", "vcpu='2'")) == ()
