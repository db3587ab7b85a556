"""What it costs to make the scheduler's hosts of an inventory and a database."""

from __future__ import annotations

import gc
import tempfile
import time
import uuid
from typing import TYPE_CHECKING

from benchmarks.figures import Figure
from vmctl.adapters.schema import attempts, claims, servers
from vmctl.adapters.store import open_store
from vmctl.adapters.store.picture import fleet_record
from vmctl.domain.host import Host
from vmctl.domain.inventory import Inventory
from vmctl.domain.sample import FoundPool, Guest, HostSample, Stall
from vmctl.services.fleet import fleet_of
from vmctl.services.hosts import sighting

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.adapters.store import SqlStore

HOSTS = 10_000
SERVERS = 5  # on each host, and two guests that are not ours
ROUNDS = 3


def run() -> Iterator[Figure]:
    """Measure reading the record and making the values, on SQLite."""
    hosts = {f"kvm{at:05}": Host(name=f"kvm{at:05}", address="192.0.2.1") for at in range(HOSTS)}
    inventory = Inventory(path="bench", hosts=hosts)
    with tempfile.TemporaryDirectory() as folder, open_store(f"{folder}/state.db") as store:
        _fill(store, list(hosts))
        reading, making = [], []
        gc.collect()
        for _ in range(ROUNDS):
            start = time.process_time()
            record = fleet_record(store)
            middle = time.process_time()
            fleet = fleet_of(inventory, record, time.time())
            end = time.process_time()
            if sum(host.num_instances for host in fleet.hosts) != HOSTS * SERVERS:
                raise AssertionError("a server is missing")
            reading.append(middle - start)
            making.append(end - middle)
    what = f"{HOSTS} hosts, {HOSTS * SERVERS} servers"
    yield Figure(name=f"{what}: the record read", value=min(reading), unit="s CPU")
    yield Figure(name=f"{what}: the values made of it", value=min(making), unit="s CPU")
    both = min(map(sum, zip(reading, making, strict=True)))
    yield Figure(name=f"{what}: both", value=both, unit="s CPU", at_most=1.0)


def _fill(store: SqlStore, hosts: list[str]) -> None:
    now = time.time()
    ours = {host: [str(uuid.uuid4()) for _ in range(SERVERS)] for host in hosts}
    store.save_samples(sighting(host, _sample(now, ours[host])) for host in hosts)
    pairs = [(host, server) for host in hosts for server in ours[host]]
    times = {"created": now, "updated": now}
    with store.writing() as tx:
        tx.connection.execute(
            servers.insert(),
            [
                {"id": one, "name": one, "project": "", "host": host, "attempt": 1,
                 "state": "active", "power": "running", "spec": "{}", **times}
                for host, one in pairs
            ],
        )  # fmt: skip
        tx.connection.execute(
            attempts.insert(),
            [
                {"server": one, "number": 1, "host": host, "state": "begun", **times}
                for host, one in pairs
            ],
        )
        tx.connection.execute(
            claims.insert(),
            [
                {"server": one, "number": 1, "pool": "", "host": host, "vcpus": 2,
                 "memory": 4096, "disk": 20480, "created": now}
                for host, one in pairs
            ],
        )  # fmt: skip


def _sample(now: float, ours: list[str]) -> HostSample:
    guests = [*ours, str(uuid.uuid4()), str(uuid.uuid4())]
    return HostSample(
        taken_at=now,
        facts_at=now,
        depth="full",
        boot_id=str(uuid.uuid4()),
        arch="x86_64",
        qemu_version="8.2.0",
        virt_types=("kvm", "qemu"),
        cpus=64,
        sockets=2,
        cores=16,
        threads=2,
        memory=262_144,
        load=(1.5, 1.4, 1.3),
        psi_cpu=Stall(avg10=1.0, avg60=1.5, avg300=2.0),
        psi_memory=Stall(),
        psi_io=Stall(avg60=0.5),
        cpu_model="Skylake-Server-IBRS",
        cpu_vendor="Intel",
        cpu_features=tuple(f"feature{at}" for at in range(60)),
        pools=tuple(
            FoundPool(name=name, type="dir", path=f"/pool/{name}", active=True, autostart=True,
                      capacity=2_000_000, used=100_000, available=1_900_000, images_asked=True)
            for name in ("default", "fast")
        ),
        guests=tuple(
            Guest(uuid=one, name=f"guest{at}", state="running", vcpus=2, memory=4096)
            for at, one in enumerate(guests)
        ),
    )  # fmt: skip
