"""Whoever claims places on fake hosts: real claims, judge and scheduler, over real databases."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from tests.support.inventories import an_inventory
from tests.support.servers import SPEC
from tests.support.stage import GROUPS
from tests.support.stood import identity
from tests.support.stores import a_new, anything_fits
from vmctl.domain.host import Host
from vmctl.domain.inventory import Inventory
from vmctl.domain.plain import to_plain
from vmctl.domain.record import NewServer
from vmctl.domain.server_record import from_xml
from vmctl.domain.spec import CardWish
from vmctl.sagas.work import Work, World
from vmctl.services.claiming import Claims
from vmctl.services.judging import Judge
from vmctl.services.planning import plan_build, wanted_of
from vmctl.services.policy import policy_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_host import FakeFleet
    from tests.support.stage import Stage
    from vmctl.domain.build import Build
    from vmctl.domain.spec import ServerSpec
    from vmctl.ports import Store

ROOM = 2
"""So many servers of the usual size have room on each host."""

INVENTORY = an_inventory(f"""
    defaults:
      capacity: {{memory: {512 + ROOM * 512}MiB}}
    hosts:
      kvm1: {{address: kvm1}}
      kvm2: {{address: kvm2}}
      kvm3: {{address: kvm3, networks: [nat, back]}}
    networks:
      nat:
        source: {{network: default}}
        cidrs: [10.0.0.0/24]
      lan:
        source: {{bridge: br-lan}}
        cidrs: [10.1.0.0/24]
        addressing: static
        allocation_pool: [10.1.0.10-10.1.0.13]
      back:
        source: {{bridge: br-back}}
        cidrs: [10.2.0.0/24]
        addressing: static
        arbiter: kvm3
    """)


@dataclass
class Answering:
    """Neighbours that bear addresses; of some nobody can tell."""

    there: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)

    def who_answers(
        self, host: Host, bridge: str, addresses: tuple[str, ...]
    ) -> Mapping[str, bool | None]:
        del host, bridge
        return {one: None if one in self.unsure else one in self.there for one in addresses}

    def ssh_answers(self, host: Host, address: str, *, bridged: bool) -> bool:
        del host, bridged
        return address in self.there


@dataclass
class Claimant:
    """One command of an operator's, with its claims."""

    stage: Stage
    world: World
    claims: Claims
    inventory: Inventory

    def admitted(self, name: str, host: str, *cards: CardWish, spec: ServerSpec = SPEC) -> Work:
        """Admit a server to a host, whatever there is room for; claimed it is not yet."""
        wishes = cards or (CardWish(network="lan"),)
        spec = replace(spec, id=identity(name), name=name, hostname=name, cards=wishes)
        place = self.inventory.hosts[host]
        store = self.world.store
        build = plan_build(
            spec,
            1,
            place,
            self.inventory.networks,
            groups=GROUPS,
            sample=self.world.prober.look(place, depth="quick", before=None),
            taken=store.addresses,
            held={cpu for one in store.claims(host) for cpu in one.cpus},
        )
        server = NewServer(id=spec.id, name=name, spec=to_plain(spec))
        with self.world.leases.hold(str(uuid.uuid4())) as lease:
            token = store.admit(lease, a_new(), server, wanted_of(build, place), anything_fits)
        return Work(
            world=self.world,
            token=token,
            host=place,
            spec=spec,
            build=build,
            claim=self.claims.claim,
            networks=self.inventory.networks,
            groups=GROUPS,
        )

    def claimed(self, name: str, host: str, *cards: CardWish) -> Build:
        """Admit a server and claim its place; give what it was built by in the end."""
        work = self.admitted(name, host, *cards)
        self.claims.claim(work)
        return work.build


def a_claimant(
    stage: Stage,
    neighbours: Answering | None = None,
    world: World | None = None,
    inventory: Inventory = INVENTORY,
) -> Claimant:
    world = world or stage.world
    judge = Judge(inventory, policy_of(inventory), world.clock)
    claims = Claims(world, inventory, neighbours or Answering(), judge, lambda: ())
    return Claimant(stage, world, claims, inventory)


def defined(fleet: FakeFleet, host: str, name: str) -> Build | None:
    """What a server's own record says of it on a host; None where it is not defined."""
    machine = fleet.on(Host(name=host, address=host)).machine(identity(name))
    return None if machine is None else from_xml(machine.record or "").build


def is_leased(hosts: Path, host: str, of: str = "host") -> bool:
    """Whether anybody holds that lease just now."""
    handle = os.open(hosts / host / f"lease-{of}", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


class _Overtaken:
    """A store before which another is quicker, whenever it is about to do one of these."""

    def __init__(self, store: Store, overtake: Callable[[], None], deeds: tuple[str, ...]) -> None:
        self._store = store
        self._overtake = overtake
        self._deeds = deeds

    def __getattr__(self, name: str) -> Any:
        if name in self._deeds:
            self._overtake()
        return getattr(self._store, name)


def overtaken_at(store: Store, overtake: Callable[[], None], *deeds: str) -> Store:
    """Have somebody else be quicker than a store, each time that it is to do one of these."""
    return cast("Store", _Overtaken(store, overtake, deeds))
