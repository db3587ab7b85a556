"""A fleet on record, as large as one likes, for benchmarks that read it: no host is asked."""

from __future__ import annotations

import sqlite3
import time
import uuid
from pathlib import Path

from vmctl.adapters.probe_answer import parse_probe
from vmctl.adapters.store import open_store
from vmctl.domain.host_record import Sighting
from vmctl.domain.sample import Guest, HostSample
from vmctl.domain.sample_form import to_plain

ANSWER = Path(__file__).parents[1] / "tests/golden/probe/lab-plain-full.txt"
GUESTS, FOREIGN = 20, 2
"""Machines on each host, and how many of them are not ours."""


def write_fleet(folder: Path, hosts: int) -> dict[str, str]:
    """Write an inventory and a database of so many hosts; return what names them to vmctl."""
    inventory, db = folder / "inventory.yaml", folder / "state.db"
    inventory.write_text(
        f"hosts:\n  kvm[0001:{hosts:04}]:\n    address: '{{name}}.example.net'\n"
        "networks:\n  default: {source: {network: default}, default: true}\n"
    )
    names = [f"kvm{number:04}" for number in range(1, hosts + 1)]
    now, seen = time.time(), one_sample()
    guests = {name: tuple(_guest(number) for number in range(GUESTS)) for name in names}
    with open_store(str(db)) as store:
        store.save_samples(
            Sighting(
                host=name,
                at=now,
                sample=to_plain(_with_guests(seen, guests[name], now)),
                machine=uuid.uuid4().hex,
                boot=str(uuid.uuid4()),
            )
            for name in names
        )
    ours = [(name, guest) for name in names for guest in guests[name][FOREIGN:]]
    with sqlite3.connect(db) as raw:
        raw.executemany(
            "INSERT INTO claims (server, number, host, vcpus, memory, disk, pool, created)"
            " VALUES (?, 1, ?, 1, 1024, 10240, '', ?)",
            [(guest.uuid, name, now) for name, guest in ours],
        )
    raw.close()
    return {"VMCTL_INVENTORY": str(inventory), "VMCTL_DB": str(db)}


def one_sample() -> HostSample:
    """Give what a real host once answered."""
    text = ANSWER.read_text()
    nonce = next(line.split()[0] for line in text.splitlines() if " begin" in line)
    return parse_probe(text, nonce, host="kvm", taken_at=time.time())


def _guest(number: int) -> Guest:
    return Guest(uuid=str(uuid.uuid4()), name=f"guest-{number}", vcpus=1, memory=1024)


def _with_guests(seen: HostSample, guests: tuple[Guest, ...], now: float) -> HostSample:
    import dataclasses

    return dataclasses.replace(seen, guests=guests, taken_at=now, facts_at=now)
