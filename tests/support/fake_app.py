"""The product's own command line over a stage: a real database, and hosts that are folders."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import ClassVar

from tests.support.fake_host import FakeFleet
from tests.support.fake_parts import FakeCache, FakeProber
from tests.support.product import Product
from tests.support.servers import ID
from tests.support.stage import Stage
from vmctl.bootstrap import App
from vmctl.domain.host import Host
from vmctl.domain.sample import Depth, HostSample
from vmctl.ports import BaseCache, Hypervisors, Neighbours, Prober
from vmctl.sagas.work import World
from vmctl.services.recovery import Recovery

CHANNEL = (
    "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel></devices>"
)
NETWORKS = """
networks:
  nat: {source: {network: default}, cidrs: [10.0.0.0/16]}
  lan: {source: {bridge: br-lan}, cidrs: [10.1.0.0/16]}
"""


class FakeNeighbours:
    """Says of every address that it was told of that an sshd answers there."""

    greeted: ClassVar[set[str]] = set()

    def who_answers(
        self, host: Host, bridge: str, addresses: tuple[str, ...]
    ) -> Mapping[str, bool | None]:
        del host, bridge
        return {one: one in self.greeted for one in addresses}

    def ssh_answers(self, host: Host, address: str, *, bridged: bool) -> bool:
        del host, bridged
        return address in self.greeted


class Timely(FakeProber):
    """Looks at the hosts by the later of the two clocks that the commands go by."""

    def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
        seen = super().look(host, depth=depth, before=before)
        now = max(time.time(), self.fleet.now())
        return replace(seen, taken_at=now, facts_at=now)


def on_fakes(
    stage: Stage, meanwhile: Callable[[], object] = lambda: None, inventory: str | None = None
) -> Product:
    """A command line whose hosts are the stage's; what is done meanwhile is done as it waits."""
    hosts = "".join(f"  {name}: {{address: {name}}}\n" for name in stage.hosts)
    text = f"hosts:\n{hosts}{NETWORKS}" if inventory is None else inventory
    (stage.folder / "inventory.yaml").write_text(text)

    # The store goes by this machine's clock: what is seen on the hosts is to be later than that.
    stage.fleet.sleep(max(time.time() - stage.fleet.now(), 0))

    class FakeApp(App):
        @property
        def hypervisors(self) -> Hypervisors:
            return stage.fleet

        @property
        def prober(self) -> Prober:
            return Timely(stage.fleet)

        @property
        def base_pruner(self) -> BaseCache:  # type: ignore[override]  # a fake stands at its port
            return FakeCache(stage.fleet)

        @property
        def neighbours(self) -> Neighbours:
            return FakeNeighbours()

        @property
        def world(self) -> World:
            def sleep(seconds: float) -> None:
                stage.fleet.sleep(seconds)
                meanwhile()

            return replace(stage.world, store=self.store, sleep=sleep)

        def recovery(self, tell: Callable[[str], None] = lambda _: None) -> Recovery:
            return replace(stage.recovery, tell=tell)

    return Product(stage.folder, FakeApp)


def have_agent(fleet: FakeFleet, host: str, how: str = "answers", uuid: str = ID) -> None:
    """Have an agent in the guest of a server; `how` may be silent, or empty for none."""
    with fleet.state(host) as state:
        machine = state["machines"][uuid]
        machine["xml"] = machine["xml"].replace("</devices>", CHANNEL)
        machine["agent"] = how
