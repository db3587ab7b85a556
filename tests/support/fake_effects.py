"""What calls do to a host that is a folder: each effect whole, or an error and none at all."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, fromstring

from vmctl.adapters.server_record import find_record
from vmctl.domain.machine import Machine
from vmctl.domain.record import Power
from vmctl.domain.sample import Guest
from vmctl.errors import NameTaken, RemoteFailed

if TYPE_CHECKING:
    from collections.abc import Callable

State = dict[str, Any]

POOL = "/pool"
"""Where the pools are, each a folder of its name."""


def _define(host: str, state: State, uuid: str, xml: str) -> None:
    name = read(xml).findtext("name") or ""
    for other, machine in state["machines"].items():
        if machine["name"] == name and other != uuid:
            raise NameTaken(f"{host}: a machine named {name} is there already, with uuid {other}")
    old = state["machines"].get(uuid, {"on": False, "autostart": False})
    state["machines"][uuid] = old | {"name": name, "xml": xml, "persistent": True}


def _start(host: str, state: State, uuid: str) -> None:
    machine = _existing(host, state, uuid)
    root = read(machine["xml"])
    there = {
        f"{POOL}/{pool}/{name}" for pool, volumes in state["pools"].items() for name in volumes
    }
    sources = [one.get("file", "") for one in root.iterfind("devices/disk/source")]
    missing = [one for one in sources if one not in there]
    missing += [
        one.get("filter", "")
        for one in root.iterfind("devices/interface/filterref")
        if one.get("filter") not in state["filters"]
    ]
    if missing:
        raise RemoteFailed(host, f"{host}: {uuid} cannot start without {missing[0]}")
    machine["on"] = True


def _destroy(host: str, state: State, uuid: str) -> None:
    machine = _existing(host, state, uuid)
    machine["on"] = False
    if not machine["persistent"]:
        del state["machines"][uuid]


def _undefine(host: str, state: State, uuid: str) -> None:
    machine = _existing(host, state, uuid)
    if machine["on"]:
        machine.update(persistent=False, autostart=False)
    else:
        del state["machines"][uuid]


def _autostart(host: str, state: State, uuid: str, on: bool) -> None:
    _existing(host, state, uuid)["autostart"] = on


def _make_volume(host: str, state: State, pool: str, name: str, facts: dict[str, Any]) -> None:
    backing = facts.get("backing")
    volumes = pool_of(host, state, pool)
    if name in volumes:
        raise RemoteFailed(host, f"{host}: the volume {name} is there already", reason="exists")
    if backing is not None and backing not in volumes:
        raise RemoteFailed(host, f"{host}: there is no {backing} to overlay")
    volumes[name] = facts


def _fetch(host: str, state: State, pool: str, name: str, facts: dict[str, Any]) -> None:
    pool_of(host, state, pool)[name] = facts


def _upload(host: str, state: State, pool: str, name: str, content: str) -> None:
    volumes = pool_of(host, state, pool)
    if name not in volumes:
        raise RemoteFailed(host, f"{host}: no volume {name}", reason="absent")
    volumes[name].update(content=content, size=len(base64.b64decode(content)))


def _remove_volume(host: str, state: State, pool: str, name: str) -> None:
    for machine in state["machines"].values():
        if machine["on"] and f"{POOL}/{pool}/{name}" in machine["xml"]:
            raise RemoteFailed(host, f"{host}: the volume {name} is in use", reason="busy")
    pool_of(host, state, pool).pop(name, None)


def _make_filter(host: str, state: State, name: str, xml: str) -> None:
    del host
    state["filters"][name] = xml


def _remove_filter(host: str, state: State, name: str) -> None:
    for machine in state["machines"].values():
        if machine["on"] and f'"{name}"' in machine["xml"]:
            raise RemoteFailed(host, f"{host}: the filter {name} is in use", reason="busy")
    state["filters"].pop(name, None)


def _reserve(host: str, state: State, network: str, mac: str, promise: list[Any]) -> None:
    if network not in state["networks"]:
        raise RemoteFailed(host, f"{host}: there is no network {network}", reason="absent")
    state["networks"][network][mac] = promise


def _unreserve(host: str, state: State, network: str, mac: str) -> None:
    del host
    state["networks"].get(network, {}).pop(mac, None)


EFFECTS: dict[str, Callable[..., None]] = {
    "define": _define,
    "start": _start,
    "destroy": _destroy,
    "undefine": _undefine,
    "autostart": _autostart,
    "volume": _make_volume,
    "fetch": _fetch,
    "upload": _upload,
    "remove-volume": _remove_volume,
    "filter": _make_filter,
    "remove-filter": _remove_filter,
    "reserve": _reserve,
    "unreserve": _unreserve,
}


def _existing(host: str, state: State, uuid: str) -> State:
    if uuid not in state["machines"]:
        raise RemoteFailed(host, f"{host}: machine {uuid} is not defined there", reason="absent")
    found: State = state["machines"][uuid]
    return found


def pool_of(host: str, state: State, name: str) -> State:
    if name not in state["pools"]:
        raise RemoteFailed(host, f"{host}: there is no pool {name}", reason="pool")
    found: State = state["pools"][name]
    return found


def machine_of(uuid: str, machine: State) -> Machine:
    return Machine(
        uuid=uuid,
        name=machine["name"],
        power=Power.RUNNING if machine["on"] else Power.SHUTDOWN,
        record=find_record(machine["xml"]),
        autostart=machine["autostart"],
        persistent=machine["persistent"],
    )


def guest_of(uuid: str, machine: State) -> Guest:
    root = read(machine["xml"])
    return Guest(
        uuid=uuid,
        name=machine["name"],
        state="running" if machine["on"] else "off",
        vcpus=int(root.findtext("vcpu") or 0),
        memory=int(root.findtext("memory") or 0) // 1024,
        record=find_record(machine["xml"]),
    )


def read(xml: str) -> Element:
    return fromstring(xml)


def macs_in(xml: str) -> set[str]:
    found = read(xml).iterfind("devices/interface/mac")
    return {one.get("address", "") for one in found}
