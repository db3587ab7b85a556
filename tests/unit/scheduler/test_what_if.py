from __future__ import annotations

import pytest

from tests.support.scheduling import a_flavor, a_fleet, a_host, a_request, amount, an_aggregate
from vmctl.domain.fleet import Pool
from vmctl.domain.resources import Resources
from vmctl.errors import Conflict, NotFound, UsageError
from vmctl.scheduler.engine import place
from vmctl.scheduler.policy import Policy
from vmctl.scheduler.taking import load
from vmctl.scheduler.what_if import host_from, with_host, without_host

TWO = a_fleet(a_host("kvm1"), a_host("kvm2"), aggregates=[an_aggregate("kvm1", "kvm2")])


def test_a_removed_host_is_gone_from_its_aggregates_too() -> None:
    left = without_host(TWO, "kvm1")

    assert [host.name for host in left.hosts] == ["kvm2"]
    assert left.aggregates[0].hosts == {"kvm2"}


def test_only_a_host_of_the_fleet_can_be_removed() -> None:
    with pytest.raises(NotFound, match="the fleet has no host kvm3"):
        without_host(TWO, "kvm3")


def test_an_added_host_takes_part() -> None:
    new = host_from("name=kvm9, vcpus=64, memory=1TiB, disk=4TiB, zone=b, label.rack=r7")

    placement = place(a_request(availability_zone="b"), with_host(TWO, new), Policy())

    assert new.total == Resources(vcpus=64, memory=1024**2, disk=4 * 1024**2)
    assert (new.labels, new.cpu_ratio, new.arch) == ({"rack": "r7"}, 4.0, "x86_64")
    assert [choice.host for choice in placement.choices] == ["kvm9"]


def test_ratios_and_the_architecture_may_be_given() -> None:
    host = host_from(
        "name=x,vcpus=1,memory=1G,disk=1G,cpu_ratio=2,ram_ratio=1.5,disk_ratio=0.5,arch=aarch64"
    )

    assert (host.cpu_ratio, host.ram_ratio, host.disk_ratio) == (2.0, 1.5, 0.5)
    assert host.supported == (("aarch64", "kvm", "hvm"),)


def test_no_host_is_added_twice() -> None:
    with pytest.raises(Conflict, match="the fleet has a host kvm1 already"):
        with_host(TWO, a_host("kvm1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("kvm9", "'kvm9' is no word of a host: name=NAME,vcpus=NUMBER,"),
        ("name=", "'name=' is no word of a host"),
        ("name=a", "vcpus, memory, disk missing in 'name=a'"),
        ("name=a,name=b", "name is given twice"),
        ("name=a,vcpus=0,memory=1G,disk=1G", "vcpus: '0' is no number of vCPUs"),
        ("name=a,vcpus=1,memory=1024,disk=1G", "memory: '1024' is no size"),
        ("name=a,vcpus=1,memory=1G,disk=-1G", "disk: '-1G' is no size"),
        ("name=a,vcpus=1,memory=1G,disk=1G,cpu_ratio=0", "cpu_ratio: '0' is no ratio"),
        ("name=a,vcpus=1,memory=1G,disk=1G,ram_ratio=x", "ram_ratio: could not convert"),
        ("name=a,vcpus=1,memory=1G,disk=1G,gpu=1", "gpu in 'name=a,"),
    ],
)
def test_wrong_words_of_a_host_are_named(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        host_from(text)

    assert caught.value.message.startswith(message)


def test_a_loaded_fleet_counts_what_was_placed() -> None:
    request = a_request(a_flavor(vcpus=1, memory="2GiB", disk="10GiB"))

    one, other = load(TWO, request, {"kvm2": 3}).hosts

    assert one == TWO.hosts[0]
    assert other.taken == amount(vcpus=3, memory="6GiB", disk="30GiB")
    assert (other.num_instances, other.num_io_ops) == (3, 3)


def test_a_loaded_pool_loses_its_disk_wherever_it_is_shared() -> None:
    san = Pool(name="fast", total=102400, available=51200, shared="san")
    fleet = a_fleet(a_host("kvm1", pools=(san,)), a_host("kvm2", pools=(san,)))

    one, other = load(fleet, a_request(a_flavor(disk="10GiB"), pool="fast"), {"kvm2": 2}).hosts

    assert one.pools == other.pools
    assert one.pools is not None
    assert (one.pools[0].taken, one.pools[0].available) == (20480, 30720)
    assert (one.taken, other.taken) == (Resources(), amount(vcpus=2, memory="4GiB"))
