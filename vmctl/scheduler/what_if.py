"""Fleets that are not: one host fewer, one host more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from vmctl.domain.fleet import Fleet, HostState
from vmctl.domain.resources import Resources, parse_size
from vmctl.errors import Conflict, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

_WANTED = "name=NAME,vcpus=NUMBER,memory=SIZE,disk=SIZE"


def without_host(fleet: Fleet, name: str) -> Fleet:
    """The fleet as it would be if a host and all that stands on it were gone."""
    hosts = tuple(host for host in fleet.hosts if host.name != name)
    if len(hosts) == len(fleet.hosts):
        raise NotFound(f"the fleet has no host {name}")
    aggregates = tuple(
        replace(aggregate, hosts=aggregate.hosts - {name}) for aggregate in fleet.aggregates
    )
    return replace(fleet, hosts=hosts, aggregates=aggregates)


def with_host(fleet: Fleet, host: HostState) -> Fleet:
    """The fleet as it would be with one host more, which comes last."""
    if any(each.name == host.name for each in fleet.hosts):
        raise Conflict(f"the fleet has a host {host.name} already")
    return replace(fleet, hosts=(*fleet.hosts, host))


def host_from(text: str) -> HostState:
    """Read the words of an empty host: `name=kvm9,vcpus=64,memory=256GiB,disk=4TiB`.

    Further words are zone, arch, dedicated_cpus, cpu_ratio, ram_ratio, disk_ratio and label.NAME;
    its vCPUs are those that servers share.
    """
    words: dict[str, str] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or not key.strip() or not value.strip():
            raise UsageError(f"{part!r} is no word of a host: {_WANTED} is wanted")
        if key.strip() in words:
            raise UsageError(f"{key.strip()} is given twice in {text!r}")
        words[key.strip()] = value.strip()
    missing = [key for key in ("name", "vcpus", "memory", "disk") if key not in words]
    if missing:
        raise UsageError(f"{', '.join(missing)} missing in {text!r}: {_WANTED} is wanted")
    read = _Words(words)
    host = HostState(
        name=words.pop("name"),
        total=Resources(
            vcpus=read.take("vcpus", _count, 0),
            memory=read.take("memory", parse_size, 0),
            disk=read.take("disk", parse_size, 0),
            dedicated=read.take("dedicated_cpus", _count, 0),
        ),
        zone=words.pop("zone", None),
        cpu_ratio=read.take("cpu_ratio", _ratio, 4.0),
        ram_ratio=read.take("ram_ratio", _ratio, 1.0),
        disk_ratio=read.take("disk_ratio", _ratio, 1.0),
        hypervisor_type="kvm",
        arch=(arch := words.pop("arch", "x86_64")),
        supported=((arch, "kvm", "hvm"),),
        labels=read.labels(),
    )
    if words:
        raise UsageError(f"{', '.join(words)} in {text!r}: no such word of a host")
    return host


class _Words:
    def __init__(self, words: dict[str, str]) -> None:
        self._words = words

    def take(self, key: str, read: Callable[[str], T], default: T) -> T:
        if key not in self._words:
            return default
        try:
            return read(self._words.pop(key))
        except ValueError as error:
            raise UsageError(f"{key}: {error}") from error

    def labels(self) -> Mapping[str, str]:
        keys = [key for key in self._words if key.startswith("label.")]
        return {key.removeprefix("label."): self._words.pop(key) for key in keys}


def _count(text: str) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < 1:
        raise ValueError(f"{text!r} is no number of vCPUs: a whole number from 1 on is wanted")
    return int(text)


def _ratio(text: str) -> float:
    ratio = float(text)
    if not 0 < ratio <= 1e6:
        raise ValueError(f"{text!r} is no ratio: a number above 0 is wanted")
    return ratio
