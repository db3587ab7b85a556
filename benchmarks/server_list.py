"""What listing very many servers from the record costs, as a multiple of `python -c pass`."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.startup import cpu
from vmctl.adapters.host_rows import as_json
from vmctl.adapters.schema import addresses, attempts, claims, nics, servers
from vmctl.adapters.store import SqlStore, open_store
from vmctl.domain.host_record import Sighting
from vmctl.domain.plain import to_plain
from vmctl.domain.request import FlavorSpec
from vmctl.domain.spec import CardWish, ImageUse, ServerSpec

HOSTS, SERVERS = 100, 5_000
ROUNDS = 9
LIMIT = 25
_SHOWN = {
    "": LIMIT,
    "-f json": LIMIT,
    "--long": None,
    "--name web-4999": None,
    "--status UNKNOWN --count": None,
}
"""What is asked of the list, and the most that it may cost."""


def run() -> list[Figure]:
    """Measure in turns, so that all see one machine."""
    script = str(Path(sys.executable).parent / "vmctl")
    with tempfile.TemporaryDirectory() as home:
        with open_store(f"{home}/state.db") as store:
            fill(store)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "PYTHONPATH": str(Path.cwd()),
            "VMCTL_DB": f"{home}/state.db",
            "VMCTL_INVENTORY": f"{home}/inventory.yaml",
        }
        Path(env["VMCTL_INVENTORY"]).write_text(
            f"hosts:\n  kvm[001:{HOSTS:03}]: {{address: '{{name}}.example.net'}}\n"
        )
        lines: list[tuple[str, ...]] = [(sys.executable, "-c", "pass")]
        lines += [(script, "server", "list", *words.split()) for words in _SHOWN]
        for line in lines:
            cpu(line, env)  # bytecode and page cache
        rounds = [[cpu(line, env) for line in lines] for _ in range(ROUNDS)]
    floor, *costs = (statistics.median(column) for column in zip(*rounds, strict=True))
    figures = [Figure(name="python -c pass", value=floor * 1000, unit="ms CPU")]
    for (words, limit), cost in zip(_SHOWN.items(), costs, strict=True):
        name = f"server list {words}".rstrip()
        figures.append(
            Figure(
                name=f"{name}, of {SERVERS}", value=cost / floor, unit="x of that", at_most=limit
            )
        )
    return figures


def fill(store: SqlStore) -> None:
    """Write very many servers at once, each as a create leaves it."""
    now = time.time()
    hosts = [f"kvm{number:03}" for number in range(1, HOSTS + 1)]
    store.save_samples(Sighting(host=host, at=now, sample={}, boot=host) for host in hosts)
    specs = [_spec(number) for number in range(SERVERS)]
    times = {"created": now, "updated": now}
    rows = [
        (number, spec, {"server": spec.id, "number": 1}, hosts[number % HOSTS])
        for number, spec in enumerate(specs)
    ]
    with store.writing() as tx:
        tx.connection.execute(
            servers.insert(),
            [
                {"id": spec.id, "name": spec.name, "project": "", "host": host, "attempt": 1,
                 "state": "active", "power": "running", "spec": as_json(to_plain(spec)),
                 "protected": False, "seen": "[]", "seen_at": now, "boot": host, **times}
                for _, spec, _, host in rows
            ],
        )  # fmt: skip
        tx.connection.execute(
            attempts.insert(),
            [{**key, "host": host, "state": "begun", "plan": "{}", **times}
             for _, _, key, host in rows],
        )  # fmt: skip
        tx.connection.execute(
            claims.insert(),
            [{**key, "pool": "", "host": host, "vcpus": 1, "memory": 2048, "disk": 20480,
              "created": now} for _, _, key, host in rows],
        )  # fmt: skip
        card = {"position": 0, "scope": "lan"}
        tx.connection.execute(
            nics.insert(),
            [{**key, **card, "network": "lan", "mac": f"52:54:00:00:{n >> 8:02x}:{n & 255:02x}"}
             for n, _, key, _ in rows],
        )  # fmt: skip
        tx.connection.execute(
            addresses.insert(),
            [{**key, **card, "address": f"10.0.{n >> 8}.{n & 255}", "place": 0}
             for n, _, key, _ in rows],
        )  # fmt: skip


def _spec(number: int) -> ServerSpec:
    return ServerSpec(
        id=str(uuid.uuid4()),
        name=f"web-{number}",
        flavor=FlavorSpec(name="m1.small", vcpus=1, memory=2048, disk=20480),
        image=ImageUse(
            id=str(uuid.uuid4()),
            name="debian-12",
            digest="a" * 64,
            format="qcow2",
            size=1 << 28,
            virtual_size=1 << 31,
            properties={"os_distro": "debian", "os_admin_user": "debian"},
        ),
        cards=(CardWish(network="lan"),),
        key_name="ops",
        public_key=f"ssh-ed25519 {'A' * 68} ops@laptop",
        properties={"role": "web", "number": str(number)},
        tags=("web", "blue"),
        hostname=f"web-{number}",
        created_by="alice",
    )
