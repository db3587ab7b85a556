"""Which addresses a network has to give."""

from __future__ import annotations

from itertools import islice

import pytest

from vmctl.domain.addresses import allotable, parse_address, parse_range, parse_subnet
from vmctl.domain.network import AddressRange, Network, Source


def a_network(
    *cidrs: str, gateway: str = "", pool: str = "", exclude: tuple[str, ...] = ()
) -> Network:
    def span(text: str) -> AddressRange:
        first, last = parse_range(text)
        return AddressRange(first=str(first), last=str(last))

    return Network(
        name="lan",
        source=Source(kind="bridge", name="br0"),
        cidrs=cidrs,
        gateway=(gateway,) if gateway else (),
        dns=("10.0.0.3",),
        allocation_pool=(span(pool),) if pool else (),
        exclude=tuple(span(one) for one in exclude),
    )


def test_a_whole_cidr_is_given_but_for_what_no_server_may_bear() -> None:
    network = a_network("10.0.0.0/29", gateway="10.0.0.1", exclude=("10.0.0.5", "fd00::1"))

    assert list(allotable(network)) == ["10.0.0.2", "10.0.0.4", "10.0.0.6"]


def test_a_pool_bounds_what_is_given() -> None:
    network = a_network("10.0.0.0/24", pool="10.0.0.8-10.0.0.12", exclude=("10.0.0.10/31",))

    assert list(allotable(network)) == ["10.0.0.8", "10.0.0.9", "10.0.0.12"]


def test_a_huge_exclusion_costs_no_steps() -> None:
    network = a_network("fd00::/64", gateway="fd00::1", exclude=("fd00::-fd00::ffff:ffff:ffff",))

    assert list(islice(allotable(network), 2)) == ["fd00::1:0:0:0", "fd00::1:0:0:1"]


def test_families_and_cidrs_follow_each_other() -> None:
    network = a_network("10.0.0.0/31", "fd00::/127")

    assert list(allotable(network)) == ["10.0.0.0", "10.0.0.1", "fd00::", "fd00::1"]


@pytest.mark.parametrize("text", ["10.0.0.256", "10.0.0.01", "", "fe80::1%eth0", "ten"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no IP address|has a scope"):
        parse_address(text)


@pytest.mark.parametrize("text", ["10.0.0.0", "10.0.0.0/33", "10.0.0.1/24", "/", "fd00::%1/64"])
def test_what_is_no_cidr_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no cidr|bits set beyond"):
        parse_subnet(text)
