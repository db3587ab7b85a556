"""Stores on both databases, and the values that their tests begin with."""

from __future__ import annotations

import random
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import postgres as server
from vmctl.adapters.leases import open_leases
from vmctl.adapters.store import SqlStore, open_store
from vmctl.domain.host_record import HostRecord, KvmCheck, Sighting
from vmctl.domain.machine import SeenAddress
from vmctl.domain.operation import (
    Actor,
    Event,
    Mark,
    NewOperation,
    OperationState,
    Token,
)
from vmctl.domain.record import (
    AttemptState,
    Change,
    Claim,
    NewServer,
    Nic,
    Power,
    ServerState,
    Wanted,
)
from vmctl.errors import NameTaken

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vmctl.domain.record import Company, Judge
    from vmctl.ports import Leases, Store

ACTOR = Actor(login="alice", sudo_user=None, client="laptop")


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.25

    def __call__(self) -> float:
        return self.now

    def tick(self, seconds: float = 1.0) -> float:
        self.now += seconds
        return self.now


@pytest.fixture(scope="session")
def postgres() -> Iterator[server.Postgres]:
    reason = server.missing()
    if reason:
        pytest.skip(reason)
    pytest.importorskip("psycopg")
    running = server.Postgres()
    yield running
    running.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield str(tmp_path / "state" / "state.db")
        return
    running: server.Postgres = request.getfixturevalue("postgres")
    with running.database() as url:
        yield url


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(db: str, clock: Clock) -> Iterator[SqlStore]:
    with open_store(db, clock=clock) as opened:
        yield opened


@pytest.fixture
def leases(store: SqlStore) -> Leases:
    return open_leases(store.location)


def anything_fits(host: HostRecord, claims: tuple[Claim, ...]) -> None:
    """Judge that every host has room."""


def room_for(memory: int, *, need: int) -> Judge:
    """Judge by the memory that is claimed."""

    def judge(host: HostRecord, claims: tuple[Claim, ...]) -> str | None:
        free = memory - sum(claim.memory for claim in claims)
        return None if need <= free else f"needs {need} MiB, {free} free on {host.name}"

    return judge


def a_nic(address: str = "192.0.2.10", mac: str = "", *, scope: str = "lan") -> Nic:
    mac = mac or "52:54:00:" + uuid.uuid4().hex[:6]
    return Nic(network="lan", scope=scope, mac=mac, addresses=(address,) if address else ())


def a_wanted(host: str = "kvm1", memory: int = 512, nics: tuple[Nic, ...] = ()) -> Wanted:
    return Wanted(host=host, vcpus=1, memory=memory, disk=1024, nics=nics)


def a_new(kind: str = "server-create", server: str | None = None, owner: str = "a") -> NewOperation:
    params = {"name": "web", "mac": ["52:54:00:00:00:01"]}
    return NewOperation(kind=kind, saga=kind, version=1, owner=owner, server=server, params=params)


def admit(
    store: Store,
    leases: Leases,
    name: str = "web",
    wanted: Wanted | None = None,
    judge: Judge = anything_fits,
    *,
    company: Company | None = None,
    **more: Any,
) -> Token:
    """Admit a server whose operation's owner is gone as soon as this returns."""
    spec = {"flavor": {"name": "m1.tiny"}}
    new = NewServer(**{"id": str(uuid.uuid4()), "name": name, "spec": spec, **more})
    with leases.hold(str(uuid.uuid4())) as lease:
        return store.admit(lease, a_new(), new, wanted or a_wanted(), judge, company=company)


def begin(store: Store, leases: Leases, kind: str, server: str | None) -> Token:
    """Begin an operation whose owner is gone as soon as this returns."""
    with leases.hold(str(uuid.uuid4())) as lease:
        return store.begin(lease, a_new(kind, server))


def populate(store: Store, leases: Leases, clock: Clock, seed: int, turns: int = 40) -> None:
    """Fill a store with a little of everything, the same for the same seed."""
    luck = random.Random(seed)
    hosts = [f"kvm{number}" for number in range(5)]
    for turn in range(turns):
        clock.tick(luck.random() * 100)
        host = luck.choice(hosts)
        match luck.randrange(8):
            case 0:
                sample = {"cores": luck.randrange(64), "name": "h\u00e4\0\udcff", "psi": None}
                sighting = Sighting(host=host, at=clock.now, sample=sample, boot=str(turn))
                failed = Sighting(host=luck.choice(hosts), at=clock.now, error="no route\0 to host")
                store.save_samples(luck.sample([sighting, failed], luck.randrange(1, 3)))
            case 1:
                store.disable(host, f"reason {turn}", actor=ACTOR)
            case 2:
                store.enable(host, actor=replace(ACTOR, sudo_user="bob"))
            case 3:
                alive = luck.random() < 0.5
                store.save_kvm(host, KvmCheck(alive=alive, boot=str(turn), at=clock.now))
            case _:
                _one_server(store, leases, luck, turn, hosts)


def _one_server(
    store: Store, leases: Leases, luck: random.Random, turn: int, hosts: list[str]
) -> None:
    def wanted(offset: int) -> Wanted:
        nics = tuple(
            Nic(
                network=f"net{position}",
                scope=f"net{position}",
                mac=f"52:54:00:{offset:02x}:{turn:02x}:{position:02x}",
                addresses=(f"10.{position}.{offset}.{turn}", f"fd00:{position}:{offset}::{turn:x}")[
                    : luck.randrange(3)
                ],
            )
            for position in range(luck.randrange(3))
        )
        return replace(
            a_wanted(luck.choice(hosts), luck.randrange(1, 9) * 256, nics),
            pool=luck.choice(["", "fast"]),
            plan={"number": offset, "volumes": [f"{turn}-root"]},
        )

    name = luck.choice([f"web-{turn}", "again", "Z\u00e9ro"])
    identity = f"00000000-0000-4000-8000-{luck.randrange(16**12):012x}"
    spec = {"flavor": {"name": "m1.tiny", "n": turn}, "tags": [luck.random(), None, True]}
    with leases.hold(f"op-{turn}") as lease:
        try:
            server = NewServer(
                id=identity,
                name=name,
                project="p",
                spec=spec,
                secrets={"user_data": "aGk="},
                trace={"hosts": [turn]},
                reservation=f"r-{turn % 3}",
                key=(f"key-{turn}", "digest"),
            )
            token = store.admit(lease, a_new(), server, wanted(1), anything_fits)
        except NameTaken:
            return
    store.journal(token, "define", Mark.STARTED)
    if luck.random() < 0.3:
        store.mark_attempt(token, 1, AttemptState.BEGUN, "it hung \0")
        store.readmit(token, wanted(2), anything_fits)
    failed = Change(state=ServerState.ERROR, fault="no disk \udcff")
    seen = (SeenAddress(mac="52:54:00:00:00:01", address="10.0.0.1", source="lease \0"),)
    runs = Change(
        state=ServerState.ACTIVE,
        power=Power.RUNNING,
        launched=True,
        locked=luck.choice([None, "", "why \udcff"]),
        protected=luck.choice([None, True]),
        seen=seen,
        boot="b",
    )
    gone = Change(state=ServerState.DELETED, deleted=True)
    event = Event(actor=ACTOR, action="server-create", result="?", server=identity)
    match luck.randrange(5):
        case 0:
            store.finish(token, OperationState.UNWOUND, change=failed, release=[1, 2])
        case 1:
            store.finish(token, OperationState.STUCK, change=failed, fault="busy", event=event)
        case 2:
            store.finish(token, OperationState.DONE, change=runs, event=event)
        case 3:
            store.finish(token, OperationState.DONE, change=gone, release=[1])
        case _:
            store.journal(token, "define", Mark.DONE, "as it should")
