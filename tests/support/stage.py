"""A small world of fake hosts and a real database, and the deeds that are done in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support import servers
from tests.support.fake_host import FakeFleet
from tests.support.fake_parts import FakeBases, FakeLeases, FakeProber
from tests.support.plain_renderer import PlainRenderer
from tests.support.stores import ACTOR, anything_fits
from vmctl.adapters.leases import open_leases
from vmctl.adapters.store import SqlStore, open_store
from vmctl.domain.build import Build, Card, filter_name
from vmctl.domain.host import Host
from vmctl.domain.network import Network, Source
from vmctl.domain.operation import Mark, NewOperation
from vmctl.domain.plain import to_plain
from vmctl.domain.record import NewServer, Nic, ServerState, Wanted
from vmctl.domain.spec import GroupUse, RuleUse, ServerSpec
from vmctl.sagas import CREATE, DELETE
from vmctl.sagas.work import Work, World
from vmctl.services.kept import create_params, work_of
from vmctl.services.recovery import Recovery
from vmctl.services.running import run_attempt, run_delete
from vmctl.services.settling import settle_create, settle_delete

if TYPE_CHECKING:
    from vmctl.ports import Store
    from vmctl.sagas.saga import Saga

SPEC = replace(servers.SPEC, autostart=True)
NETWORKS = {
    "nat": Network(name="nat", source=Source(kind="network", name="default")),
    "lan": Network(name="lan", source=Source(kind="bridge", name="br-lan")),
}
GROUPS = {"default": GroupUse(name="default", rules=(RuleUse(protocol="icmp"),))}
CREATION, DELETION = "c0000000-create", "d0000000-delete"


@dataclass
class Stage:
    """One folder with a database and hosts, as one process has it open."""

    folder: Path
    fleet: FakeFleet
    sql: SqlStore
    store: Store
    """What the deeds go through: the same, or something that watches it."""

    hosts: dict[str, Host]
    check: Callable[[], None] = lambda: None
    """Raises Interrupted once someone has asked to stop."""

    claim: Callable[[Work], None] | None = None
    """How a domain is claimed on its host, if not just defined under its lease."""

    @property
    def world(self) -> World:
        return World(
            store=self.store,
            leases=open_leases(self.sql.location),
            hypervisors=self.fleet,
            host_leases=FakeLeases(self.fleet),
            bases=FakeBases(self.fleet),
            renderer=PlainRenderer(),
            prober=FakeProber(self.fleet),
            clock=self.fleet.now,
            sleep=self.fleet.sleep,
        )

    @property
    def recovery(self) -> Recovery:
        return Recovery(
            world=self.world,
            actor=ACTOR,
            owner="bob@desk",
            hosts=self.hosts,
            claim=self.claim or claim,
        )


def a_stage(folder: Path, hosts: tuple[str, ...] = ("kvm1", "kvm2")) -> None:
    """Make a stage with nothing of ours on it."""
    fleet = FakeFleet(folder / "hosts")
    for name in hosts:
        fleet.add(name)
    open_store(str(folder / "state.db")).close()


def beside(stage: Path, other: Path) -> None:
    """Make a stage of another database, on the same hosts."""
    other.mkdir()
    (other / "hosts").symlink_to(stage / "hosts")
    open_store(str(other / "state.db")).close()


@contextmanager
def on_stage(folder: Path) -> Iterator[Stage]:
    """Open a stage that was made before."""
    fleet = FakeFleet(folder / "hosts")
    names = sorted(one.name for one in (folder / "hosts").iterdir() if one.is_dir())
    hosts = {name: Host(name=name, address=name) for name in names}
    with _READY.get(folder) or open_store(str(folder / "state.db")) as store:
        yield Stage(folder, fleet, store, store, hosts)


_READY: dict[Path, SqlStore] = {}


def keep_ready(folder: Path) -> None:
    """Have what the store of a stage in this folder compiles be there in all that fork from here.

    Each of them connects for itself: a connection is never taken over a fork.
    """
    _READY[folder] = open_store(str(folder / "state.db"))
    _READY[folder].close()


def copy_stage(source: Path, target: Path) -> Path:
    """Have a stage twice."""
    shutil.rmtree(target, ignore_errors=True)
    return shutil.copytree(source, target)


def a_build(number: int, host: str, spec: ServerSpec = SPEC, *, place: int = 0) -> Build:
    """Plan an attempt with a card on the host's own network and one on a bridge.

    Attempts at another place have other cards and addresses.
    """
    place = place or number
    cards = tuple(
        Card(
            network=network,
            kind=kind,
            source=source,
            scope=f"nat@{host}" if kind == "network" else network,
            mac=f"52:54:00:00:{place:02x}:{position:02x}",
            addresses=(f"10.{position}.{place}.7",),
            addressing="static",
            filter=filter_name(spec.id, position),
            groups=("default",),
        )
        for position, (network, kind, source) in enumerate(
            (("nat", "network", "default"), ("lan", "bridge", "br-lan"))
        )
    )
    volumes = tuple(
        replace(one, name=one.name.replace(servers.BUILD.server, spec.id))
        for one in servers.BUILD.volumes
    )
    return replace(
        servers.BUILD,
        server=spec.id,
        name=spec.name,
        number=number,
        host=host,
        cards=cards,
        volumes=volumes,
    )


def wanted(build: Build) -> Wanted:
    return Wanted(
        host=build.host,
        vcpus=build.vcpus,
        memory=build.memory,
        disk=build.disk,
        nics=tuple(
            Nic(network=one.network, scope=one.scope, mac=one.mac, addresses=one.addresses)
            for one in build.cards
        ),
        plan=to_plain(build),
    )


def claim(work: Work) -> None:
    """Define the domain under its host's lease."""
    with work.world.host_leases.hold(work.host) as lease:
        lease.check()
        hypervisor = work.hypervisor
        xml = work.world.renderer.domain(
            work.spec,
            work.build,
            owner=work.world.store.uuid(),
            offers=hypervisor.offers(),
            place=hypervisor.pool(work.build.pool),
        )
        hypervisor.ensure_defined(work.spec.id, xml)


def silent(step: str, mark: Mark) -> None:
    del step, mark


def create(
    stage: Stage,
    *,
    saga: Saga[Work] = CREATE,
    only: str = "kvm1",
    keep: bool = False,
    spec: ServerSpec = SPEC,
    place: int = 0,
    claim: Callable[[Work], None] = claim,
) -> None:
    """Create the server on the first host that will have it; `saga` is that of the host `only`."""
    world, alternates = stage.world, list(stage.hosts.values())
    new = NewOperation(
        kind="server-create",
        saga="server-create",
        version=1,
        owner="alice@laptop",
        params=create_params(NETWORKS, GROUPS),
    )
    server = NewServer(id=spec.id, name=spec.name, project=spec.project, spec=to_plain(spec))
    with world.leases.hold(f"{CREATION}-{place}" if place else CREATION) as lease:
        host = alternates.pop(0)
        build = a_build(1, host.name, spec, place=place)
        token = stage.store.admit(lease, new, server, wanted(build), anything_fits)
        work = Work(
            world=world,
            token=token,
            host=host,
            spec=spec,
            build=build,
            claim=claim,
            networks=NETWORKS,
            groups=GROUPS,
        )
        while True:
            mine = saga if work.host.name == only else CREATE
            ended = run_attempt(work, saga=mine, keep=keep)
            if not ended.may_go_elsewhere or not alternates:
                break
            host = alternates.pop(0)
            build = a_build(work.build.number + 1, host.name, spec)
            stage.store.readmit(token, wanted(build), anything_fits)
            work = replace(work, host=host, build=build)
        settle_create(work, ended, ACTOR)


def delete(stage: Stage, *, saga: Saga[Work] = DELETE) -> None:
    """Delete the server."""
    server = stage.store.server(SPEC.id)
    new = NewOperation(
        kind="server-delete",
        saga="server-delete",
        version=1,
        owner="alice@laptop",
        server=server.id,
        host=server.host,
    )
    with stage.world.leases.hold(DELETION) as lease:
        expect = (ServerState.ACTIVE, ServerState.ERROR)
        token = stage.store.begin(lease, new, expect=expect, task="deleting")
        attempt = stage.store.attempts(server.id)[-1]
        work = work_of(stage.world, token, server, attempt, stage.hosts[attempt.host])
        ended = run_delete(work, saga=saga)
        settle_delete(work, ended, ACTOR)
