"""One of the hosts that are folders, as its libvirt; see the port for what each call means."""

from __future__ import annotations

import base64
from itertools import count, takewhile
from typing import TYPE_CHECKING

from tests.support.fake_console import FakeConsole, screen_of
from tests.support.fake_effects import (
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
from vmctl.domain.agent import AGENT_LIMIT
from vmctl.domain.build import Volume
from vmctl.domain.console import Screen
from vmctl.domain.diagnostics import CardFigures, Diagnostics
from vmctl.domain.host import Host
from vmctl.domain.machine import FoundVolume, Machine, Offers, PoolPlace, SeenAddress
from vmctl.domain.record import Power
from vmctl.errors import RemoteFailed, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tests.support.fake_host import FakeFleet


SAVES = 4.0
"""Seconds that saving a machine's memory takes, whoever lives to see it."""


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
        machine = self.machine(uuid)
        if machine is not None and machine.power is Power.RUNNING:
            self._fleet.act(self._host, "press", uuid, self._fleet.now())

    def ensure_off(self, uuid: str) -> None:
        machine = self.machine(uuid)
        if machine is not None and machine.power is not Power.SHUTDOWN:
            self._fleet.act(self._host, "destroy", uuid)
            self._fleet.consoles.powered_off(uuid)

    def ensure_paused(self, uuid: str) -> None:
        if self._existing(uuid).power is not Power.PAUSED:
            self._fleet.act(self._host, "pause", uuid)

    def ensure_saved(self, uuid: str, check: Callable[[], None] = lambda: None) -> None:
        if self._existing(uuid).power is not Power.SHUTDOWN and not self._is_saving(uuid):
            self._fleet.act(self._host, "save", uuid, self._fleet.now() + SAVES)
        while self._is_saving(uuid):
            try:
                check()
            except VmctlError:
                self.stop_saving(uuid)
                raise
            self._fleet.sleep(SAVES / 4)
        if not self._existing(uuid).managed_save:
            raise RemoteFailed(self._host, f"{self._host}: nothing of {uuid} was saved")

    def stop_saving(self, uuid: str) -> None:
        if self._is_saving(uuid):
            self._fleet.act(self._host, "stop-saving", uuid)

    def _is_saving(self, uuid: str) -> bool:
        with self._fleet.state(self._host) as state:
            return bool(state["machines"].get(uuid, {}).get("saving"))

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

    def spoken_for(self, network: str) -> Mapping[str, str]:
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
            given = []
            for network in state["networks"].values():
                given += network.get("leases", {}).items()
                if found and not found.get("deaf"):
                    given += (
                        (mac, addresses) for mac, (addresses, _) in network["promises"].items()
                    )
            return tuple(
                SeenAddress(mac=mac, address=address, source="lease")
                for mac, addresses in given
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
