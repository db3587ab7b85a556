"""Fleets of any size to place servers on: uniform, and mixed as real ones are."""

from __future__ import annotations

import random

from vmctl.domain.fleet import Fleet, HostState
from vmctl.domain.request import FlavorSpec, RequestSpec
from vmctl.domain.resources import Resources

FLAVOR = FlavorSpec(name="m1.small", vcpus=1, memory=2048, disk=20 * 1024)


def uniform(hosts: int) -> Fleet:
    """Hosts of one kind, empty."""
    total = Resources(vcpus=64, memory=256 * 1024, disk=4000 * 1024)
    return Fleet(hosts=tuple(HostState(name=f"kvm{n:05}", total=total) for n in range(hosts)))


def mixed(hosts: int) -> Fleet:
    """Hosts of eighteen kinds, each as full as chance would have it; every fifth has some job."""
    chance = random.Random(hosts)
    return Fleet(hosts=tuple(_a_host(f"kvm{n:05}", chance) for n in range(hosts)))


def a_request(count: int) -> RequestSpec:
    return RequestSpec(flavor=FLAVOR, count=count, seed="bench")


def _a_host(name: str, chance: random.Random) -> HostState:
    vcpus = chance.choice((32, 64, 128))
    memory = vcpus * chance.choice((2, 4, 8)) * 1024
    disk = chance.choice((2000, 8000)) * 1024
    return HostState(
        name=name,
        total=Resources(vcpus=vcpus, memory=memory, disk=disk),
        taken=Resources(
            vcpus=chance.randrange(4 * vcpus),
            memory=chance.randrange(0, memory, 512),
            disk=chance.randrange(0, disk, 10 * 1024),
        ),
        num_io_ops=max(0, chance.randrange(10) - 7),
        failed_builds=int(chance.random() < 0.01),
    )
