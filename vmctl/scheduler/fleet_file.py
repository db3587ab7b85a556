"""A fleet read from a file; docs/scheduler.md has the format."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from vmctl.domain.catalog import GROUP_POLICIES
from vmctl.domain.fleet import Aggregate, Fleet, Group, HostState, Pool, Pressure
from vmctl.domain.resources import Resources
from vmctl.errors import UsageError
from vmctl.scheduler.policy import LARGEST, Policy, read_policy
from vmctl.scheduler.reading import Reader

if TYPE_CHECKING:
    from collections.abc import Iterable

VERSION = 1
_GIB = 1024


@dataclass(frozen=True, slots=True)
class FleetFile:
    """What a fleet file holds: the hosts with all around them, and how to choose among them."""

    fleet: Fleet
    policy: Policy


def fleet_from(data: object) -> FleetFile:
    """Read a loaded fleet file, or raise a UsageError with everything that is wrong in it."""
    problems: list[str] = []
    reader = Reader(data, "", problems)
    version = reader.whole("version", VERSION)
    if version != VERSION:
        reader.complain("version", f"must be {VERSION}, not {version}")
    hosts = tuple(_host(each) for each in reader.each("hosts"))
    names = [host.name for host in hosts]
    problems += [f"hosts: {name} is there twice" for name in _twice(names)]
    known = frozenset(names)
    aggregates = tuple(_aggregate(each, known) for each in reader.each("aggregates"))
    groups = tuple(_group(each) for each in reader.each("groups"))
    problems += [f"groups: {name} is there twice" for name in _twice(each.name for each in groups)]
    policy = read_policy(reader.facts("policy"), "policy", problems)
    reader.end()
    if problems:
        raise UsageError("\n".join(problems))
    return FleetFile(Fleet(hosts=hosts, aggregates=aggregates, groups=groups), policy)


def _host(reader: Reader) -> HostState:
    servers = frozenset(reader.names("servers", ()))
    kind, arch = reader.known("hypervisor_type", "kvm"), reader.known("arch", "x86_64")
    host = HostState(
        name=reader.name("name"),
        zone=reader.text("zone", None),
        enabled=reader.flag("enabled", default=True),
        disabled_reason=reader.text("disabled_reason", None),
        up=reader.flag("up", default=True),
        down_reason=reader.text("down_reason", None),
        sample_age=reader.number("sample_age", None, least=-LARGEST),
        total=_amounts(reader, ""),
        taken=_amounts(reader, "_used"),
        cpu_ratio=reader.number("cpu_ratio", 4.0),
        ram_ratio=reader.number("ram_ratio", 1.0),
        disk_ratio=reader.number("disk_ratio", 1.0),
        disk_available=reader.gib("disk_gb_available", None),
        disk_shared=reader.text("disk_shared", None),
        servers=servers,
        claims=_claims(reader),
        num_instances=reader.whole("num_instances", len(servers)),
        num_io_ops=reader.whole("num_io_ops", 0),
        failed_builds=reader.whole("failed_builds", 0),
        hypervisor_type=kind,
        hypervisor_version=reader.read(
            "hypervisor_version",
            "a number such as 8002000, or a text such as 8.2.0",
            _is_version,
            None,
        ),
        arch=arch,
        supported=_supported(reader, kind, arch),
        capabilities=reader.facts("capabilities"),
        labels=reader.texts("labels"),
        networks=_some(reader.names("networks", None)),
        pools=_pools(reader),
        guests=_some(reader.names("guests", None)),
        images=_some(reader.names("images", None)),
        pressure=_pressure(reader),
    )
    reader.end()
    return host


def _amounts(reader: Reader, suffix: str) -> Resources:
    return Resources(
        vcpus=reader.whole(f"vcpus{suffix}", 0),
        memory=reader.whole(f"memory_mb{suffix}", 0),
        disk=reader.gib(f"disk_gb{suffix}", 0),
        dedicated=reader.whole(f"dedicated_cpus{suffix}", 0),
    )


def _claims(reader: Reader) -> tuple[Resources, ...] | None:
    if not reader.has("claims"):
        reader.skip("claims")
        return None
    claims = []
    for each in reader.each("claims"):
        claims.append(_amounts(each, ""))
        each.end()
    return tuple(claims)


def _pools(reader: Reader) -> tuple[Pool, ...] | None:
    if not reader.has("pools"):
        reader.skip("pools")
        return None
    pools = []
    for each in reader.each("pools"):
        pool = Pool(
            name=each.name("name"),
            total=each.gib("disk_gb", 0),
            taken=each.gib("disk_gb_used", 0),
            available=each.gib("disk_gb_available", None),
            active=each.flag("active", default=True),
            shared=each.text("shared", None),
        )
        pools.append(pool)
        each.end()
    reader.problems += [
        f"{reader.path('pools')}: {name} is there twice"
        for name in _twice(each.name for each in pools)
    ]
    return tuple(pools)


def _pressure(reader: Reader) -> Pressure | None:
    if not reader.has("pressure"):
        reader.skip("pressure")
        return None
    inner = reader.inner("pressure")
    told = Pressure(**{each.name: inner.number(each.name, None) for each in fields(Pressure)})
    inner.end()
    return told


def _supported(
    reader: Reader, kind: str | None, arch: str | None
) -> tuple[tuple[str, str, str], ...]:
    given: list[list[str]] | None = reader.read(
        "supported_instances", "a list of [arch, hypervisor type, mode]", _are_triples, None
    )
    if given is not None:
        return tuple((arch, kind, mode) for arch, kind, mode in given)
    return ((arch, kind, "hvm"),) if arch and kind else ()


def _aggregate(reader: Reader, known: frozenset[str]) -> Aggregate:
    aggregate = Aggregate(
        name=reader.name("name"),
        hosts=frozenset(reader.names("hosts", ())),
        metadata=reader.texts("metadata"),
    )
    for host in sorted(aggregate.hosts - known):
        reader.complain("hosts", f"there is no host {host}")
    reader.end()
    return aggregate


def _group(reader: Reader) -> Group:
    group = Group(
        name=reader.name("name"),
        policy=reader.read(
            "policy",
            f"one of {', '.join(GROUP_POLICIES)}",
            lambda value: value in GROUP_POLICIES,
            "",
        ),
        members=frozenset(reader.names("members", ())),
        max_server_per_host=reader.whole("max_server_per_host", 1, least=1),
    )
    if not group.policy:
        reader.complain("policy", f"must be one of {', '.join(GROUP_POLICIES)}")
    reader.end()
    return group


def _some(names: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _twice(names: Iterable[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if name and count > 1]


def _is_version(value: object) -> bool:
    return (type(value) is int and value >= 0) or (isinstance(value, str) and bool(value))


def _are_triples(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(each, list) and len(each) == 3 and all(isinstance(part, str) for part in each)
        for each in value
    )
