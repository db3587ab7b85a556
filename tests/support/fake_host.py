"""Hosts that are folders: what several real processes do to them stays when one is killed.

Each host is a file of JSON under a lock, changed whole or not at all, and time is a file, too: it
passes only when someone sleeps. A call may be sent and never answered; it then takes effect a
second later, whoever sent it, as calls to a real host do.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.fake_effects import (
    EFFECTS,
    POOL,
    State,
    guest_of,
    machine_of,
    macs_in,
    pool_of,
)
from vmctl.domain.build import READY_SUFFIX, Volume, base_name
from vmctl.domain.host import Host
from vmctl.domain.machine import FoundVolume, Machine, Offers, PoolPlace, SeenAddress
from vmctl.domain.record import Power
from vmctl.domain.sample import FoundPool, HostSample
from vmctl.errors import (
    HostUnreachable,
    LeaseLost,
    NameTaken,
    RemoteFailed,
    RemoteTimedOut,
    TimedOut,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from vmctl.domain.sample import Depth
    from vmctl.domain.spec import ImageUse

IN_FLIGHT = 1.0
"""Seconds after which a call that nobody waits for any more takes effect."""

MEMORY = 16 * 1024


@dataclass
class FakeFleet:
    """All the hosts under one folder, as one process sees them."""

    folder: Path
    on_effect: Callable[[str], None] = lambda _: None
    """Told before and after each effect, as `HOST CALL before` and `HOST CALL after`."""
    lose: Callable[[str], str] = lambda _: ""
    """Asked of each effect whether its answer is lost: `dead` kills the caller, too."""

    def add(self, name: str) -> Host:
        """Have a host of that name, with a guest and a volume that are none of ours."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        foreign = {"name": "foreign", "xml": "<domain/>", "on": True, "autostart": True}
        state = {
            "down": False,
            "machines": {"f0000000-0000-4000-8000-000000000000": foreign | {"persistent": True}},
            "pools": {"default": {"foreign.qcow2": {"size": 4096, "format": "qcow2"}}},
            "filters": {"clean-traffic": "<filter/>"},
            "networks": {"default": {"52:54:00:ff:ff:ff": [["192.0.2.99"], "foreign"]}},
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
        with _locked(self.folder / "clock.lock"):
            _replace(self.folder / "clock", str(self.now() + seconds))

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
        with _locked(folder / "lock"):
            text = (folder / "state.json").read_text()
            state = json.loads(text)
            if state["down"] and not always:
                raise HostUnreachable(host, f"{host} did not answer", reason="timeout")
            self._land(host, state)
            yield state
            new = json.dumps(state)
            if new != text:
                _replace(folder / "state.json", new)

    def _land(self, host: str, state: State) -> None:
        due = [one for one in state["late"] if one["at"] <= self.now()]
        state["late"] = [one for one in state["late"] if one["at"] > self.now()]
        for call in due:
            try:
                EFFECTS[call["name"]](host, state, *call["args"])
            except (RemoteFailed, NameTaken):
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

    def offers(self) -> Offers:
        return Offers(
            arch="x86_64", machine="pc-q35-7.2", emulator="/usr/bin/qemu", virt_type="kvm"
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

    def ensure_running(self, uuid: str) -> None:
        self._fleet.act(self._host, "start", uuid)

    def ask_to_shut_down(self, uuid: str) -> None:
        self.ensure_off(uuid)

    def ensure_off(self, uuid: str) -> None:
        machine = self.machine(uuid)
        if machine is not None and machine.power is not Power.SHUTDOWN:
            self._fleet.act(self._host, "destroy", uuid)

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
        return PoolPlace(name=name, type="dir", path=f"{POOL}/{name}", available=100 << 30)

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
        if self.volume(pool, volume.name) is None:
            facts = {"size": volume.size, "format": volume.format, "backing": volume.backing}
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
        end = offset + length if length else max(found["size"], len(content))
        return content.ljust(found["size"], b"\0")[offset:end]

    def remove_volume(self, pool: str, name: str) -> None:
        if self.volume(pool, name) is not None:
            self._fleet.act(self._host, "remove-volume", pool, name)

    def ensure_filter(self, name: str, xml: str) -> None:
        self._fleet.act(self._host, "filter", name, xml)

    def remove_filter(self, name: str) -> None:
        self._fleet.act(self._host, "remove-filter", name)

    def ensure_reservation(
        self, network: str, *, mac: str, addresses: tuple[str, ...], name: str
    ) -> None:
        self._fleet.act(self._host, "reserve", network, mac, [list(addresses), name])

    def remove_reservation(self, network: str, mac: str) -> None:
        self._fleet.act(self._host, "unreserve", network, mac)

    def leased(self, network: str) -> Mapping[str, str]:
        with self._fleet.state(self._host) as state:
            held = state["networks"].get(network, {})
            return {one: mac for mac, (addresses, _) in held.items() for one in addresses}

    def seen_addresses(self, uuid: str) -> tuple[SeenAddress, ...]:
        with self._fleet.state(self._host) as state:
            found = state["machines"].get(uuid)
            macs = set() if found is None or not found["on"] else macs_in(found["xml"])
            return tuple(
                SeenAddress(mac=mac, address=address, source="lease")
                for network in state["networks"].values()
                for mac, (addresses, _) in network.items()
                if mac in macs
                for address in addresses
            )


@dataclass
class FakeBases:
    """Base images that come from nowhere, in the two steps in which they really come."""

    fleet: FakeFleet

    def ensure(
        self,
        host: Host,
        pool: str,
        image: ImageUse,
        *,
        peers: tuple[Host, ...] = (),
        tell: Callable[[str], None] = lambda _: None,
    ) -> str:
        del peers, tell
        name = base_name(image)
        there = self.fleet.on(host).volumes(pool)
        if name + READY_SUFFIX not in there:
            # One that is half there is made anew.
            facts = {"size": image.size, "format": image.format}
            self.fleet.act(host.name, "fetch", pool, name, facts)
            self.fleet.act(host.name, "volume", pool, name + READY_SUFFIX, {"size": 0})
        return f"{POOL}/{pool}/{name}"

    def ready(self, host: Host, pool: str) -> tuple[str, ...]:
        return tuple(
            one.removesuffix(READY_SUFFIX).rpartition("-")[2]
            for one in self.fleet.on(host).volumes(pool)
            if one.endswith(READY_SUFFIX)
        )


@dataclass
class FakeProber:
    """Looks at the hosts as a probe would."""

    fleet: FakeFleet

    def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
        del depth, before
        with self.fleet.state(host.name) as state:
            guests = tuple(guest_of(uuid, each) for uuid, each in state["machines"].items())
        now = self.fleet.now()
        pool = FoundPool(name="default", active=True, capacity=102_400, available=102_400)
        return HostSample(
            taken_at=now,
            facts_at=now,
            depth="full",
            arch="x86_64",
            virt_types=("kvm",),
            qemu_version="7.2.0",
            cpus=8,
            memory=MEMORY,
            pools=(pool,),
            guests=guests,
            bridge_filter=True,
            bridge_filter6=True,
        )


@dataclass
class FakeLease:
    """A lease that is held by this process, as long as it lives."""

    host: str
    handle: int
    given_back: bool = field(default=False)

    @property
    def remaining(self) -> float:
        return 0.0 if self.given_back else 45.0

    def check(self, need: float = 5) -> None:
        if self.remaining < need:
            raise LeaseLost(self.host, f"{self.host}: the lease is lost", reason="lease")


@dataclass
class FakeLeases:
    """Locks on files in the hosts' folders: the kernel frees those of the dead."""

    fleet: FakeFleet

    @contextmanager
    def hold(self, host: Host, *, wait: float = 30, of: str = "host") -> Iterator[FakeLease]:
        with self.fleet.state(host.name):
            pass  # one that is down cannot be leased
        path = self.fleet.folder / host.name / f"lease-{of}"
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(handle)
            raise TimedOut(f"{host.name}: another operator holds the lease") from None
        lease = FakeLease(host.name, handle)
        try:
            self.fleet.on_effect(f"{host.name} lease taken")
            yield lease
        finally:
            lease.given_back = True
            os.close(handle)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _replace(path: Path, text: str) -> None:
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(text)
    new.replace(path)
