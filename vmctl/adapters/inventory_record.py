"""The plain record of a checked inventory made values, and packed for the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from vmctl.domain.host import DEFAULT_RESERVED, Host, Limits, Pool, Ratios
from vmctl.domain.inventory import Aggregate, Inventory
from vmctl.domain.network import AddressRange, Network, Source
from vmctl.domain.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def build(record: Mapping[str, Any], path: str) -> Inventory:
    """Give the inventory that a record describes."""
    shared = {
        key: _HOST[key](value) if key in _HOST else value
        for key, value in record.get("shared", {}).items()
    }
    return Inventory(
        path=path,
        hosts={one["name"]: _host(shared, one) for one in record["hosts"]},
        networks={one["name"]: _network(one) for one in record["networks"]},
        aggregates={one["name"]: _aggregate(one) for one in record["aggregates"]},
        scheduler=record["scheduler"],
    )


def pack(record: Mapping[str, Any]) -> dict[str, Any]:
    """Give the same record with what all hosts have in common said once."""
    hosts = record["hosts"]
    shared = dict(hosts[0]) if hosts else {}
    for host in hosts:
        if len(shared) == 0:
            break
        shared = {key: value for key, value in shared.items() if host.get(key, ...) == value}
    own = [{key: value for key, value in one.items() if key not in shared} for one in hosts]
    if len(hosts) == 1:
        shared, own = {}, hosts
    return {**record, "shared": shared, "hosts": own}


def _host(shared: Mapping[str, Any], own: Mapping[str, Any]) -> Host:
    said = {key: _HOST[key](value) if key in _HOST else value for key, value in own.items()}
    return Host(**{**shared, **said})


def _pools(said: list[dict[str, Any]]) -> tuple[Pool, ...]:
    return tuple(Pool(**one) for one in said)


def _reserved(said: Mapping[str, int]) -> Resources:
    return Resources(**{"memory": DEFAULT_RESERVED.memory, **said})


_HOST: Mapping[str, Callable[[Any], Any]] = {
    "host_key": tuple,
    "groups": tuple,
    "networks": tuple,
    "pools": _pools,
    "allocation_ratios": lambda said: Ratios(**said),
    "reserved": _reserved,
    "capacity": lambda said: Limits(**said),
    "dedicated_cpus": tuple,
}


def _network(said: Mapping[str, Any]) -> Network:
    fields = dict(said)
    for key in ("cidrs", "gateway", "dns", "search"):
        fields[key] = tuple(said.get(key, ()))
    for key in ("allocation_pool", "exclude"):
        spans = said.get(key, ())
        fields[key] = tuple(AddressRange(first=first, last=last) for first, last in spans)
    fields["source"] = Source(**said["source"])
    return Network(**fields)


def _aggregate(said: Mapping[str, Any]) -> Aggregate:
    return Aggregate(name=said["name"], hosts=tuple(said["hosts"]), metadata=said["metadata"])
