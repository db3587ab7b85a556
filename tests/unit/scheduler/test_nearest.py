from __future__ import annotations

from tests.support.scheduling import a_flavor, a_fleet, a_host, a_request, amount
from vmctl.scheduler.nearest import nearest_misses
from vmctl.scheduler.policy import Policy

GIB8 = a_flavor(memory="8GiB", vcpus=4, disk="20GiB")


def test_the_host_that_lacks_least_comes_first_with_all_that_is_against_it() -> None:
    fleet = a_fleet(
        a_host("far", memory="16GiB", taken=amount(memory="16GiB")),
        a_host("off", enabled=False, memory="4GiB"),
        a_host("near", memory="16GiB", taken=amount(memory="9GiB")),
    )

    misses = nearest_misses(a_request(GIB8), fleet, Policy())

    assert [miss.host for miss in misses] == ["near", "far", "off"]
    assert [name for name, _ in misses[2].refusals] == ["Compute", "Ram"]
    assert misses[0].advice == (
        (
            "a flavor with at most 7 GiB of memory would fit; or free 1 GiB there; "
            "or set ram_ratio to 1.07"
        ),
    )
    assert misses[2].advice == (
        "vmctl host enable off",
        "a flavor with at most 4 GiB of memory would fit",
    )


def test_what_would_help_is_said_for_cores_disk_pools_and_zones() -> None:
    fleet = a_fleet(
        a_host("cores", vcpus=8, cpu_ratio=1.0, taken=amount(vcpus=6)),
        a_host("disk", disk="40GiB", taken=amount(disk="30GiB")),
        a_host("pool", disk_available=5 * 1024),
        a_host("small", vcpus=2),
    )

    advice = {miss.host: miss.advice for miss in nearest_misses(a_request(GIB8), fleet, Policy())}

    assert advice == {
        "cores": ("a flavor with at most 2 vCPUs would fit; or set cpu_ratio to 1.25",),
        "disk": (
            (
                "a flavor with at most 10 GiB of disk would fit; or free 10 GiB there; "
                "or set disk_ratio to 1.25"
            ),
        ),
        "pool": ("free 15 GiB in its pool",),
        "small": ("a flavor with at most 2 vCPUs would fit",),
    }


def test_the_advised_ratio_is_enough() -> None:
    host = a_host("kvm1", memory="13GiB", taken=amount(memory="9GiB"))
    (miss,) = nearest_misses(a_request(GIB8), a_fleet(host), Policy())
    ratio = float(miss.advice[0].rpartition(" ")[2])

    better = a_fleet(a_host("kvm1", memory="13GiB", taken=host.taken, ram_ratio=ratio))

    assert nearest_misses(a_request(GIB8), better, Policy()) == ()


def test_the_first_server_that_does_not_fit_is_explained() -> None:
    fleet = a_fleet(a_host("kvm1", memory="20GiB"))

    (miss,) = nearest_misses(a_request(GIB8, count=3), fleet, Policy())

    assert miss.refusals[0][1].reason == ("needs 8 GiB, 4 GiB free of 20 GiB × 1.0, 16 GiB claimed")
    assert nearest_misses(a_request(GIB8, count=2), fleet, Policy()) == ()


def test_a_zone_and_a_silent_host_have_their_remedies() -> None:
    fleet = a_fleet(a_host("kvm1", zone="b", up=False))

    (miss,) = nearest_misses(a_request(availability_zone="a"), fleet, Policy())

    assert miss.advice == (
        "ask for --availability-zone b, or for none",
        "vmctl host list --refresh; vmctl host check kvm1",
    )
