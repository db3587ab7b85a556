"""The ground on a host that is a folder."""

from __future__ import annotations

import base64
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.contract.ground import domain_xml
from tests.support.fake_host import FakeFleet
from tests.support.fake_parts import FakeCache
from vmctl.domain.host import Host
from vmctl.ports import BaseCache, Hypervisor


@dataclass(frozen=True, kw_only=True)
class FakeGround:
    """See the protocol for what each part is."""

    fleet: FakeFleet
    host: Host
    hypervisor: Hypervisor
    name: str = "kvm1"
    pool: str = "default"
    plain_pool: str = "contract-plain"
    stopped_pool: str = "contract-stopped"
    network: str = "contract-net"
    bare_network: str = "contract-bare"

    @property
    def cache(self) -> BaseCache:
        return FakeCache(self.fleet)

    @property
    def now(self) -> float:
        return self.fleet.now()

    def pause(self, uuid: str) -> None:
        with self.fleet.state(self.name) as state:
            state["machines"][uuid]["paused"] = True

    def save(self, uuid: str) -> None:
        with self.fleet.state(self.name) as state:
            state["machines"][uuid].update(on=False, saved=True)

    def promises(self, network: str) -> dict[str, str]:
        with self.fleet.state(self.name) as state:
            promises = state["networks"][network]["promises"]
        return {one: mac for mac, (addresses, _) in promises.items() for one in addresses}

    def promise(self, network: str, mac: str, address: str) -> None:
        with self.fleet.state(self.name) as state:
            state["networks"][network]["promises"][mac] = [[address], ""]

    def remember(self, mac: str, address: str) -> None:
        with self.fleet.state(self.name) as state:
            state["networks"]["default"].setdefault("leases", {})[mac] = [address]

    def put(self, name: str, content: bytes) -> None:
        facts = {"size": len(content), "content": base64.b64encode(content).decode()}
        with self.fleet.state(self.name) as state:
            state["pools"][self.pool]["volumes"][name] = facts

    def screen_password(self, uuid: str) -> tuple[str, float]:
        with self.fleet.state(self.name) as state:
            password, until = state["machines"][uuid]["screen password"]
        return password, until - self.fleet.now()

    def filter(self, name: str) -> str | None:
        with self.fleet.state(self.name) as state:
            xml: str | None = state["filters"].get(name)
        return xml

    @contextmanager
    def guest(self, folder: Path) -> Iterator[str]:
        del folder
        name = str(uuid.uuid4())
        self.hypervisor.ensure_defined(name, domain_xml(name, "guest", agent=True, console=True))
        self.hypervisor.ensure_running(name)
        with self.fleet.state(self.name) as state:
            state["machines"][name]["agent"] = "answers"
        yield name
        self.hypervisor.ensure_undefined(name)


def fake_ground(folder: Path) -> FakeGround:
    """A fake host with the pools and networks of the contract."""
    fleet = FakeFleet(folder)
    host = replace(fleet.add("kvm1"), virt_type="qemu")
    with fleet.state("kvm1") as state:
        state["pools"]["contract-plain"] = {"volumes": {}, "formats": ["raw"]}
        state["pools"]["contract-stopped"] = {"volumes": {}, "active": False}
        for name, subnets in (("net", ["192.168.77.0/24", "fd77::/64"]), ("bare", [])):
            state["networks"][f"contract-{name}"] = {"subnets": subnets, "promises": {}}
    return FakeGround(fleet=fleet, host=host, hypervisor=fleet.on(host))
