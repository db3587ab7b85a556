"""What people do to a server's domain past vmctl, on hosts that are folders."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fake_effects import State
    from tests.support.fake_host import FakeFleet


@contextmanager
def machine(fleet: FakeFleet, host: str, uuid: str) -> Iterator[dict[str, Any]]:
    """Have a domain in hand, to be changed as one likes."""
    with fleet.state(host) as state:
        yield state["machines"][uuid]


def switch_off(fleet: FakeFleet, host: str, uuid: str) -> None:
    """Have a guest end, by itself or killed: its domain is off then."""
    with machine(fleet, host, uuid) as found:
        found["on"] = False


def switch_on(fleet: FakeFleet, host: str, uuid: str) -> None:
    """Start a domain."""
    with machine(fleet, host, uuid) as found:
        found.update(on=True, paused=False, saved=False, crashed=False)


def pause(fleet: FakeFleet, host: str, uuid: str) -> None:
    with machine(fleet, host, uuid) as found:
        found["paused"] = True


def save(fleet: FakeFleet, host: str, uuid: str) -> None:
    with machine(fleet, host, uuid) as found:
        found.update(on=False, saved=True)


def crash(fleet: FakeFleet, host: str, uuid: str) -> None:
    with machine(fleet, host, uuid) as found:
        found["crashed"] = True


def rename(fleet: FakeFleet, host: str, uuid: str, name: str) -> None:
    with machine(fleet, host, uuid) as found:
        found["name"] = name


def undefine(fleet: FakeFleet, host: str, uuid: str) -> State:
    """Take a domain's definition away, also while it runs, and give what it was."""
    with fleet.state(host) as state:
        found: State = state["machines"][uuid]
        was = copy.deepcopy(found)
        if found["on"]:
            found.update(persistent=False, autostart=False)
        else:
            del state["machines"][uuid]
        return was


def define(fleet: FakeFleet, host: str, uuid: str, was: State, **changes: Any) -> None:
    """Define on a host what a domain was elsewhere, off."""
    with fleet.state(host) as state:
        state["machines"][uuid] = copy.deepcopy(was) | {"on": False, **changes}


def copy_to(fleet: FakeFleet, host: str, other: str, uuid: str, **changes: Any) -> None:
    """Have a domain on another host, too."""
    define(fleet, other, uuid, fleet.picture(host)["machines"][uuid], **changes)


def move(fleet: FakeFleet, host: str, other: str, uuid: str) -> None:
    """Have a domain run on another host and no longer on its own."""
    copy_to(fleet, host, other, uuid, on=True)
    switch_off(fleet, host, uuid)
    undefine(fleet, host, uuid)


def carry(fleet: FakeFleet, host: str, other: str, uuid: str) -> None:
    """Have the volumes of a server in another host's pool, too, and what they lie on."""
    there = fleet.picture(host)["pools"]["default"]["volumes"]
    with fleet.state(other) as state:
        mine = {name: one for name, one in there.items() if name.startswith(uuid)}
        bases = {
            name: there[name] for name in (one.get("backing") for one in mine.values()) if name
        }
        state["pools"]["default"]["volumes"] |= copy.deepcopy(bases | mine)


def reboot_host(fleet: FakeFleet, host: str, boot: str) -> None:
    """Boot a host: all that ran there is off, but for what starts by itself."""
    with fleet.state(host) as state:
        state["boot"] = boot
        for found in state["machines"].values():
            found["on"] = bool(found["autostart"])
