"""A record with a server of each kind, and a command line that reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.support.product import INVENTORY, Product
from tests.support.recorded import a_card, a_spec, admitted, running
from tests.support.stores import Clock
from vmctl.adapters.leases import open_leases
from vmctl.adapters.store import open_store
from vmctl.domain.host_record import Sighting
from vmctl.domain.machine import SeenAddress
from vmctl.domain.operation import OperationState
from vmctl.domain.record import Change, Power, ServerState

if TYPE_CHECKING:
    from pathlib import Path

    from vmctl.adapters.store import SqlStore
    from vmctl.ports import Leases

STOPPED: dict[str, Any] = {"state": ServerState.STOPPED, "power": Power.SHUTDOWN}


def a_record(folder: Path) -> Product:
    """Eight servers: on hosts that are up, down, booted since, and written nowhere any more."""
    (folder / "inventory.yaml").write_text(INVENTORY)
    product = Product(folder)
    clock = Clock()
    clock.now = 1_767_225_600.25  # the beginning of 2026
    with open_store(str(product.db), clock=clock) as store:
        _hosts(store, clock.now)
        _servers(store, open_leases(store.location), clock)
    return product


def _hosts(store: SqlStore, now: float) -> None:
    store.save_samples(
        [
            Sighting(host="kvm1", at=now, sample={}, boot="first"),
            Sighting(host="kvm2", at=now, error="kvm2: no answer within 5 s"),
            Sighting(host="kvm3", at=now, sample={}, boot="second"),
        ]
    )


def _servers(store: SqlStore, leases: Leases, clock: Clock) -> None:
    web = a_spec(
        "web-1", 1, tags=("web", "blue"), properties={"role": "web"}, key_name="ops", project="shop"
    )
    running(store, leases, web, "kvm1", (a_card(1, "198.51.100.11"),), boot="first")
    clock.tick(10)
    web = a_spec("web-2", 2, tags=("web",), availability_zone="a")
    running(store, leases, web, "kvm2", (a_card(2, "198.51.100.12"),), boot="first")
    clock.tick(10)
    cards = (a_card(3, "198.51.100.13", "2001:db8::13"), a_card(4, network="back"))
    seen = (SeenAddress(mac=cards[1].mac, address="203.0.113.4", source="lease"),)
    db = a_spec("db", 3, seed=None, description="the books")
    running(store, leases, db, "kvm1", cards, **STOPPED, locked="until May", seen=seen)
    clock.tick(10)
    token = admitted(store, leases, a_spec("new", 4), "kvm1", reservation="r-1")
    store.change(token, Change(task="spawning", host="kvm1"))
    clock.tick(10)
    token = admitted(store, leases, a_spec("broken", 5), "kvm3")
    failed = Change(state=ServerState.ERROR, fault="kvm3: pool default is full")
    store.finish(token, OperationState.UNWOUND, change=failed, release=[1])
    clock.tick(10)
    token = admitted(store, leases, a_spec("old", 6), "kvm1")
    gone = Change(state=ServerState.DELETED, deleted=True)
    store.finish(token, OperationState.DONE, change=gone, release=[1])
    clock.tick(10)
    running(store, leases, a_spec("lost", 7), "kvm9", (a_card(7),))
    clock.tick(10)
    running(store, leases, a_spec("booted", 8), "kvm3", (a_card(8, "198.51.100.18"),), boot="first")
