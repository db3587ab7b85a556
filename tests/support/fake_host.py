"""Hosts that are folders: what several real processes do to them stays when one is killed.

Each host is a file of JSON under a lock, changed whole or not at all, and time is a file, too: it
passes only when someone sleeps. A call may be sent and never answered; it then takes effect a
second later, whoever sent it, as calls to a real host do.
"""

from __future__ import annotations

import base64
import json
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.fake_agent import FakeAgents
from tests.support.fake_console import FakeConsole, FakeConsoles, screen_of
from tests.support.fake_effects import (
    EFFECTS,
    FORMATS,
    POOL,
    State,
    guest_of,
    machine_of,
    macs_in,
    pool_of,
    power_of,
    without_secrets,
)
from tests.support.whole_files import locked, replace_file
from vmctl.domain.agent import AGENT_LIMIT
from vmctl.domain.build import Volume
from vmctl.domain.console import Screen
from vmctl.domain.diagnostics import CardFigures, Diagnostics
from vmctl.domain.host import Host
from vmctl.domain.machine import FoundVolume, Machine, Offers, PoolPlace, SeenAddress
from vmctl.domain.record import Power
from vmctl.errors import (
    HostUnreachable,
    RemoteFailed,
    RemoteTimedOut,
    VmctlError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


IN_FLIGHT = 1.0
"""Seconds after which a call that nobody waits for any more takes effect."""


@dataclass
class FakeFleet:
    """All the hosts under one folder, as one process sees them."""

    folder: Path
    on_effect: Callable[[str], None] = lambda _: None
    """Told before and after each effect, as `HOST CALL before` and `HOST CALL after`."""
    lose: Callable[[str], str] = lambda _: ""
    """Asked of each effect whether its answer is lost: `dead` kills the caller, too."""

    def __post_init__(self) -> None:
        self.agents = FakeAgents(self.folder / "agents")
        self.consoles = FakeConsoles()

    def add(self, name: str) -> Host:
        """Have a host of that name, with a guest and a volume that are none of ours."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        foreign = {"name": "foreign", "xml": "<domain/>", "on": True, "autostart": True}
        foreign["live"] = foreign["xml"]
        promises = {"52:54:00:ff:ff:ff": [["10.0.0.9"], "foreign"]}
        state = {
            "down": False,
            "machines": {"f0000000-0000-4000-8000-000000000000": foreign | {"persistent": True}},
            "pools": {"default": {"volumes": {"foreign.qcow2": {"size": 4096, "format": "qcow2"}}}},
            "filters": {"clean-traffic": "<filter/>"},
            "networks": {"default": {"subnets": ["10.0.0.0/8"], "promises": promises}},
            "late": [],
        }
        (folder / "state.json").write_text(json.dumps(state))
        return Host(name=name, address=name)

    def on(self, host: Host) -> FakeHypervisor:
        """Give a host's hypervisor."""
        return FakeHypervisor(self, host)

    def now(self) -> float:
        """Say what time it is on the hosts."""
        try:
            return float((self.folder / "clock").read_text())
        except FileNotFoundError:
            return 0.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        with locked(self.folder / "clock.lock"):
            replace_file(self.folder / "clock", str(self.now() + seconds))

    def picture(self, host: str) -> State:
        """See all that is on a host."""
        with self.state(host, always=True) as state:
            return state

    def set_down(self, host: str, *, down: bool) -> None:
        """Have a host answer nobody, or everybody again."""
        with self.state(host, always=True) as state:
            state["down"] = down

    @contextmanager
    def state(self, host: str, *, always: bool = False) -> Iterator[State]:
        """Have a host's state alone for the block; it is kept if the block does not raise."""
        folder = self.folder / host
        with locked(folder / "lock"):
            text = (folder / "state.json").read_text()
            state = json.loads(text)
            if state["down"] and not always:
                raise HostUnreachable(host, f"{host} did not answer", reason="timeout")
            self._land(host, state)
            yield state
            new = json.dumps(state)
            if new != text:
                replace_file(folder / "state.json", new)

    def _land(self, host: str, state: State) -> None:
        due = [one for one in state["late"] if one["at"] <= self.now()]
        state["late"] = [one for one in state["late"] if one["at"] > self.now()]
        for call in due:
            try:
                EFFECTS[call["name"]](host, state, *call["args"])
            except VmctlError:
                continue

    def act(self, host: str, name: str, *args: Any) -> Any:
        """Have one effect on a host."""
        self.on_effect(f"{host} {name} before")
        lost = self.lose(f"{host} {name}")
        with self.state(host) as state:
            if lost:
                call = {"at": self.now() + IN_FLIGHT, "name": name, "args": args}
                state["late"].append(call)
            else:
                result = EFFECTS[name](host, state, *args)
        if lost == "dead":
            os.kill(os.getpid(), signal.SIGKILL)
        if lost:
            raise RemoteTimedOut(host, f"{host}: {name} did not end in time", reason="timeout")
        self.on_effect(f"{host} {name} after")
        return result


class FakeHypervisor:
    """One of the hosts; see the port for what each call means."""

    def __init__(self, fleet: FakeFleet, host: Host) -> None:
        self._fleet = fleet
        self._host = host.name
        self._type = host.virt_type

    def offers(self) -> Offers:
        return Offers(
            arch="x86_64",
            machine="pc-q35-7.2",
            emulator="/usr/bin/qemu-system-x86_64",
            virt_type=self._type,
            cpu_modes=("host-passthrough", "maximum", "host-model", "custom"),
            firmware=("bios", "efi"),
            video=("vga", "virtio"),
            graphics=("vnc",),
            rng=("virtio",),
            disk_buses=("virtio", "sata"),
            libvirt=9_000_000,
            qemu=7_002_000,
        )

    def machines(self) -> tuple[Machine, ...]:
        with self._fleet.state(self._host) as state:
            return tuple(machine_of(uuid, each) for uuid, each in state["machines"].items())

    def machine(self, uuid: str) -> Machine | None:
        with self._fleet.state(self._host) as state:
            found = state["machines"].get(uuid)
            return None if found is None else machine_of(uuid, found)

    def ensure_defined(self, uuid: str, xml: str) -> None:
        self._fleet.act(self._host, "define", uuid, xml)

    def ensure_record(self, uuid: str, record: str) -> None:
        self._fleet.act(self._host, "record", uuid, record)

    def ensure_running(self, uuid: str) -> None:
        self._fleet.act(self._host, "start", uuid)

    def ask_to_shut_down(self, uuid: str) -> None:
        self.ensure_off(uuid)

    def ensure_off(self, uuid: str) -> None:
        machine = self.machine(uuid)
        if machine is not None and machine.power is not Power.SHUTDOWN:
            self._fleet.act(self._host, "destroy", uuid)
            self._fleet.consoles.powered_off(uuid)

    def ensure_paused(self, uuid: str) -> None:
        if self._existing(uuid).power is not Power.PAUSED:
            self._fleet.act(self._host, "pause", uuid)

    def ensure_saved(self, uuid: str) -> None:
        if not self._existing(uuid).managed_save:
            self._fleet.act(self._host, "save", uuid)

    def forget_saved(self, uuid: str) -> None:
        machine = self.machine(uuid)
        if machine is not None and machine.managed_save:
            self._fleet.act(self._host, "forget-saved", uuid)

    def ensure_named(self, uuid: str, name: str) -> None:
        if self._existing(uuid).name != name:
            self._fleet.act(self._host, "rename", uuid, name)

    def ensure_undefined(self, uuid: str) -> None:
        self.ensure_off(uuid)
        if self.machine(uuid) is not None:
            self._fleet.act(self._host, "undefine", uuid)

    def ensure_autostart(self, uuid: str, *, on: bool) -> None:
        machine = self.machine(uuid)
        if machine is not None or on:
            self._fleet.act(self._host, "autostart", uuid, on)

    def pool(self, name: str) -> PoolPlace:
        with self._fleet.state(self._host) as state:
            pool_of(self._host, state, name)
            formats = tuple(state["pools"][name].get("formats", FORMATS))
        path = f"{POOL}/{name}"
        return PoolPlace(name=name, type="dir", path=path, available=100 << 30, formats=formats)

    def volumes(self, pool: str) -> tuple[str, ...]:
        with self._fleet.state(self._host) as state:
            return tuple(pool_of(self._host, state, pool))

    def volume(self, pool: str, name: str) -> FoundVolume | None:
        with self._fleet.state(self._host) as state:
            found = pool_of(self._host, state, pool).get(name)
        if found is None:
            return None
        return FoundVolume(name=name, path=f"{POOL}/{pool}/{name}", size=found["size"])

    def ensure_volume(self, pool: str, volume: Volume) -> str:
        facts = {"size": volume.size, "format": volume.format, "backing": volume.backing}
        with self._fleet.state(self._host) as state:
            found = pool_of(self._host, state, pool).get(volume.name)
        if found is not None:
            same = all(found.get(key) == value for key, value in facts.items())
            if same or volume.role == "log":
                return f"{POOL}/{pool}/{volume.name}"
            self._fleet.act(self._host, "remove-volume", pool, volume.name)
        self._fleet.act(self._host, "volume", pool, volume.name, facts)
        return f"{POOL}/{pool}/{volume.name}"

    def ensure_content(self, pool: str, volume: Volume, content: bytes) -> str:
        # Made first and filled then, as libvirt does it: in between it is empty.
        if self.volume(pool, volume.name) is None:
            facts = {"size": len(content), "format": "raw"}
            self._fleet.act(self._host, "volume", pool, volume.name, facts)
        text = base64.b64encode(content).decode()
        self._fleet.act(self._host, "upload", pool, volume.name, text)
        return f"{POOL}/{pool}/{volume.name}"

    def read_volume(self, pool: str, name: str, *, offset: int = 0, length: int = 0) -> bytes:
        with self._fleet.state(self._host) as state:
            found = pool_of(self._host, state, pool).get(name)
        if found is None:
            raise RemoteFailed(self._host, f"{self._host}: no volume {name}", reason="absent")
        content = base64.b64decode(found.get("content", ""))
        if found.get("format") == "qcow2":
            content = b"QFI\xfb\0\0\0\3" + (found["backing"] or "").encode()
        end = offset + length if length else max(found["size"], len(content))
        return content.ljust(found["size"], b"\0")[offset:end]

    def remove_volume(self, pool: str, name: str) -> None:
        if self.volume(pool, name) is not None:
            self._fleet.act(self._host, "remove-volume", pool, name)

    def log_parts(self, pool: str, name: str, *, moved: bool = False) -> tuple[str, ...]:
        del moved
        with self._fleet.state(self._host) as state:
            there = pool_of(self._host, state, pool)
        older = list(takewhile(there.__contains__, (f"{name}.{number}" for number in count())))
        return (*reversed(older), name) if name in there else ()

    def ensure_filter(self, name: str, xml: str) -> None:
        self._fleet.act(self._host, "filter", name, xml)

    def remove_filter(self, name: str) -> None:
        self._fleet.act(self._host, "remove-filter", name)

    def ensure_reservation(
        self, network: str, *, mac: str, addresses: tuple[str, ...], name: str
    ) -> None:
        self._fleet.act(self._host, "reserve", network, mac.lower(), [list(addresses), name])

    def remove_reservation(self, network: str, mac: str) -> None:
        self._fleet.act(self._host, "unreserve", network, mac.lower())

    def leased(self, network: str) -> Mapping[str, str]:
        with self._fleet.state(self._host) as state:
            held = state["networks"].get(network, {}).get("promises", {})
            return {one: mac for mac, (addresses, _) in held.items() for one in addresses}

    def _existing(self, uuid: str) -> Machine:
        machine = self.machine(uuid)
        if machine is None:
            raise RemoteFailed(
                self._host, f"{self._host}: machine {uuid} is not defined there", reason="absent"
            )
        return machine

    def seen_addresses(self, uuid: str) -> tuple[SeenAddress, ...]:
        with self._fleet.state(self._host) as state:
            found = state["machines"].get(uuid)
            macs = set() if found is None or not found["on"] else macs_in(found["xml"])
            return tuple(
                SeenAddress(mac=mac, address=address, source="lease")
                for network in state["networks"].values()
                for mac, (addresses, _) in network["promises"].items()
                if mac in macs
                for address in addresses
            )

    def definition(self, uuid: str, *, live: bool = False) -> str:
        machine = self._machine(uuid)
        return without_secrets(machine["live" if live and machine["on"] else "xml"])

    def diagnostics(self, uuid: str) -> Diagnostics:
        machine = self._machine(uuid)
        xml = machine["live" if machine["on"] else "xml"]
        guest = guest_of(uuid, machine | {"xml": xml})
        cards = sorted(macs_in(xml))
        return Diagnostics(
            power=power_of(machine),
            virt_type=self._type,
            cpu_times=(7_000_000,) * guest.vcpus if machine["on"] else (),
            memory=guest.memory,
            memory_used=guest.memory,
            cards=tuple(CardFigures(mac=mac, rx_bytes=9) for mac in cards) if machine["on"] else (),
        )

    def _machine(self, uuid: str) -> State:
        with self._fleet.state(self._host) as state:
            found: State | None = state["machines"].get(uuid)
        if found is None:
            raise RemoteFailed(
                self._host, f"{self._host}: machine {uuid} is not there", reason="absent"
            )
        return found

    def agent(
        self,
        uuid: str,
        command: str,
        arguments: Mapping[str, object] | None = None,
        *,
        timeout: float = AGENT_LIMIT,
    ) -> object:
        del timeout
        with self._fleet.state(self._host) as state:
            machine = state["machines"].get(uuid)
            return self._fleet.agents.ask(self._host, uuid, machine, command, dict(arguments or {}))

    def console(self, uuid: str, *, force: bool = False) -> FakeConsole:
        with self._fleet.state(self._host) as state:
            xml = state["machines"].get(uuid, {}).get("xml", "")
        machine = self.machine(uuid)
        return self._fleet.consoles.attach(self._host, uuid, machine, xml, force=force)

    def screen(self, uuid: str) -> Screen:
        with self._fleet.state(self._host) as state:
            return screen_of(self._host, uuid, state["machines"].get(uuid))

    def ensure_screen_password(self, uuid: str, password: str, *, seconds: float) -> None:
        with self._fleet.state(self._host) as state:
            machine = state["machines"].get(uuid)
            screen_of(self._host, uuid, machine)
            machine["screen password"] = [password, self._fleet.now() + seconds]

    def end_screen_password(self, uuid: str, password: str) -> None:
        with self._fleet.state(self._host) as state:
            machine = state["machines"].get(uuid, {})
            if machine.get("screen password", [""])[0] == password:
                machine["screen password"] = ["another", 0]
