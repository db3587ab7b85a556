"""Stores on both databases, and the values that their tests begin with."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import pytest

from tests.support import postgres as server
from vmctl.adapters.leases import open_leases
from vmctl.adapters.store import SqlStore, open_store
from vmctl.domain.operation import Actor, NewOperation, Token
from vmctl.domain.record import Claim, HostRecord, NewServer, Nic, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from vmctl.domain.record import Judge
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
) -> Token:
    """Admit a server whose operation's owner is gone as soon as this returns."""
    new = NewServer(id=str(uuid.uuid4()), name=name, spec={"flavor": {"name": "m1.tiny"}})
    with leases.hold(str(uuid.uuid4())) as lease:
        return store.admit(lease, a_new(), new, wanted or a_wanted(), judge)


def begin(store: Store, leases: Leases, kind: str, server: str | None) -> Token:
    """Begin an operation whose owner is gone as soon as this returns."""
    with leases.hold(str(uuid.uuid4())) as lease:
        return store.begin(lease, a_new(kind, server))
