"""What calls do to a host that is a folder: each effect whole, or an error and none at all."""

from __future__ import annotations

import base64
import re
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import escape

from vmctl.adapters.pins import find_own_cpus, find_pins
from vmctl.adapters.server_record import find_record
from vmctl.domain.machine import Machine
from vmctl.domain.record import Power
from vmctl.domain.sample import Guest
from vmctl.errors import AddressTaken, NameTaken, RemoteFailed, RemoteTimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

State = dict[str, Any]

FORMATS = ("raw", "qcow2")
POOL = "/pool"
"""Where the pools are, each a folder of its name."""


def _define(host: str, state: State, uuid: str, xml: str) -> None:
    name = read(xml).findtext("name") or ""
    for other, machine in state["machines"].items():
        if machine["name"] == name and other != uuid:
            raise NameTaken(
                f"{host}: a machine named {name} is there already, with uuid {other}",
                hint="take another name",
            )
    old = state["machines"].get(uuid, {"on": False, "autostart": False})
    state["machines"][uuid] = old | {"name": name, "xml": xml, "persistent": True}


def _record(host: str, state: State, uuid: str, record: str) -> None:
    machine = _existing(host, state, uuid)
    old = find_record(machine["xml"])
    if old is None:
        raise RemoteFailed(host, f"{host}: {uuid} has no record")
    for which in {"xml", "live"} & set(machine):
        machine[which] = machine[which].replace(old, record)


def _start(host: str, state: State, uuid: str) -> None:
    machine = _existing(host, state, uuid)
    root = read(machine["xml"])
    there = {
        f"{POOL}/{pool}/{name}"
        for pool, found in state["pools"].items()
        for name in found["volumes"]
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
    _refuse_saving(host, uuid, machine)
    machine.update(on=True, paused=False, saved=False, live=machine["xml"])
    for network in state["networks"].values():
        # They were given to the machine that ran before, and say nothing of this one.
        for mac in macs_in(machine["xml"]):
            network.get("leases", {}).pop(mac, None)


def _press(host: str, state: State, uuid: str, now: float) -> None:
    machine = _existing(host, state, uuid)
    obeys = machine.get("obeys", 0)  # after so many seconds; None: never
    if not machine["on"] or machine.get("paused") or obeys is None or machine.get("ending"):
        return
    machine["ending"] = True
    state["late"].append({"at": now + obeys, "name": "ended", "args": [uuid]})


def _ended(host: str, state: State, uuid: str) -> None:
    if _existing(host, state, uuid).get("ending"):
        _destroy(host, state, uuid)


def _destroy(host: str, state: State, uuid: str) -> None:
    machine = _existing(host, state, uuid)
    machine.update(on=False, paused=False)
    _calm(machine)
    if not machine["persistent"]:
        del state["machines"][uuid]


def _pause(host: str, state: State, uuid: str) -> None:
    machine = _existing(host, state, uuid)
    if not machine["on"]:
        raise RemoteFailed(host, f"{host}: {uuid} is off", reason="refused")
    _refuse_saving(host, uuid, machine)
    machine["paused"] = True


def _save(host: str, state: State, uuid: str, end: float) -> None:
    machine = _existing(host, state, uuid)
    if not machine["on"]:
        raise RemoteFailed(host, f"{host}: {uuid} is off", reason="refused")
    _refuse_saving(host, uuid, machine)
    machine.update(paused=True, saving=True)
    state["late"].append({"at": end, "name": "saved", "args": [uuid]})


def _saved(host: str, state: State, uuid: str) -> None:
    machine = _existing(host, state, uuid)
    if machine.get("saving"):
        machine.update(on=False, paused=False, saved=True)
        _calm(machine)


def _stop_saving(host: str, state: State, uuid: str) -> None:
    machine = _existing(host, state, uuid)
    if machine.get("saving"):
        machine.update(paused=False)
        _calm(machine)


def _calm(machine: State) -> None:
    """Have it no longer on its way to anything."""
    for key in ("saving", "ending"):
        machine.pop(key, None)


def _refuse_saving(host: str, uuid: str, machine: State) -> None:
    if machine.get("saving"):
        raise RemoteTimedOut(host, f"{host}: the memory of {uuid} is being saved", reason="timeout")


def _forget_saved(host: str, state: State, uuid: str) -> None:
    _existing(host, state, uuid)["saved"] = False


def _rename(host: str, state: State, uuid: str, name: str) -> None:
    machine = _existing(host, state, uuid)
    if machine["on"]:
        raise RemoteFailed(host, f"{host}: {uuid} runs", reason="refused")
    for other, each in state["machines"].items():
        if each["name"] == name and other != uuid:
            raise NameTaken(f"{host}: {name} is there already: {other}", hint="take another name")
    old = f"<name>{escape(machine['name'])}</name>"
    machine.update(name=name, xml=machine["xml"].replace(old, f"<name>{escape(name)}</name>"))


def _undefine(host: str, state: State, uuid: str) -> None:
    machine = _existing(host, state, uuid)
    if machine["on"]:
        machine.update(persistent=False, autostart=False)
    else:
        del state["machines"][uuid]


def _autostart(host: str, state: State, uuid: str, on: bool) -> None:
    machine = _existing(host, state, uuid)
    if on and not machine.get("persistent", True):
        raise RemoteFailed(host, f"{host}: {uuid} only runs: it cannot start with its host")
    machine["autostart"] = on


def _make_volume(host: str, state: State, pool: str, name: str, facts: dict[str, Any]) -> None:
    volumes = pool_of(host, state, pool)
    if name in volumes:
        raise RemoteFailed(host, f"{host}: the volume {name} is there already", reason="exists")
    form, backing = facts.get("format", "raw"), facts.get("backing")
    formats = state["pools"][pool].get("formats", FORMATS)
    if form not in formats:
        raise RemoteFailed(
            host, f"{host}: the pool {pool} holds no {form}", hint="take another pool"
        )
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
    whole = f"<uuid>{uuid5(NAMESPACE_URL, name)}</uuid>"
    state["filters"][name] = xml.replace(">", f">{whole}", 1)


def _remove_filter(host: str, state: State, name: str) -> None:
    for machine in state["machines"].values():
        if machine["on"] and f'"{name}"' in machine["xml"]:
            raise RemoteFailed(host, f"{host}: the filter {name} is in use", reason="busy")
    state["filters"].pop(name, None)


def _reserve(host: str, state: State, network: str, mac: str, promise: list[Any]) -> None:
    addresses, name = promise
    found = state["networks"].get(network)
    if found is None:
        raise RemoteFailed(host, f"{host}: there is no network {network}", hint="virsh net-list")
    wanted: dict[int, str] = {}
    for address in map(ip_address, addresses):
        if any(address in ip_network(subnet) for subnet in found["subnets"]):
            wanted.setdefault(address.version, str(address))
    for other, (held, _) in found["promises"].items():
        for address in set(held) & set(wanted.values()):
            if other != mac:
                raise AddressTaken(f"{host}: {address} is promised to {other}")
    found["promises"][mac] = [list(wanted.values()), name]
    if not wanted:
        del found["promises"][mac]


def _unreserve(host: str, state: State, network: str, mac: str) -> None:
    del host
    state["networks"].get(network, {}).get("promises", {}).pop(mac, None)


EFFECTS: dict[str, Callable[..., None]] = {
    "define": _define,
    "record": _record,
    "start": _start,
    "destroy": _destroy,
    "press": _press,
    "ended": _ended,
    "pause": _pause,
    "save": _save,
    "saved": _saved,
    "stop-saving": _stop_saving,
    "forget-saved": _forget_saved,
    "rename": _rename,
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
    found = state["pools"].get(name)
    if found is None or not found.get("active", True):
        word = "there is no pool" if found is None else "stopped is the pool"
        raise RemoteFailed(host, f"{host}: {word} {name}", hint="virsh pool-list", reason="pool")
    volumes: State = found["volumes"]
    return volumes


def machine_of(uuid: str, machine: State) -> Machine:
    return Machine(
        uuid=uuid,
        name=machine["name"],
        power=power_of(machine),
        record=find_record(machine["xml"]),
        pins=find_pins(machine["xml"]),
        cpus=find_own_cpus(machine["xml"]),
        autostart=machine["autostart"],
        persistent=machine["persistent"],
        managed_save=machine.get("saved", False),
    )


def power_of(machine: State) -> Power:
    if machine.get("crashed"):
        return Power.CRASHED
    if not machine["on"]:
        return Power.SHUTDOWN
    return Power.PAUSED if machine.get("paused") else Power.RUNNING


def guest_of(uuid: str, machine: State) -> Guest:
    root = read(machine["xml"])
    return Guest(
        uuid=uuid,
        name=machine["name"],
        state="running" if machine["on"] else "off",
        vcpus=int(root.findtext("vcpu") or 0),
        memory=int(root.findtext("memory") or 0) // 1024,
        record=find_record(machine["xml"]),
        pins=find_pins(machine.get("live") or machine["xml"] if machine["on"] else machine["xml"]),
    )


def read(xml: str) -> Element:
    return fromstring(xml)


def macs_in(xml: str) -> set[str]:
    found = read(xml).iterfind("devices/interface/mac")
    return {one.get("address", "") for one in found}


def without_secrets(xml: str) -> str:
    return re.sub(r"""\spasswd=(['"]).*?\1""", "", xml)
