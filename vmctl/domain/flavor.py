"""Flavors: the sizes that servers come in."""

from __future__ import annotations

from dataclasses import dataclass

from vmctl.domain.resources import Resources
from vmctl.errors import NotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """The size of a server, memory and disk in MiB."""

    name: str
    resources: Resources


def _flavor(name: str, vcpus: int, memory: int, gib: int) -> Flavor:
    return Flavor(name=name, resources=Resources(vcpus=vcpus, memory=memory, disk=gib * 1024))


FLAVORS = {
    one.name: one
    for one in (
        _flavor("m1.tiny", 1, 512, 1),
        _flavor("m1.small", 1, 2048, 20),
        _flavor("m1.medium", 2, 4096, 40),
        _flavor("m1.large", 4, 8192, 80),
        _flavor("m1.xlarge", 8, 16384, 160),
    )
}
"""The flavors that are there from the first use, as openstack's users know them."""


def find_flavor(name: str) -> Flavor:
    """Give the flavor of that name."""
    if name in FLAVORS:
        return FLAVORS[name]
    raise NotFound(f"No Flavor found for {name}", hint=f"there are {', '.join(FLAVORS)}")
