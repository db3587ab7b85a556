"""The last word on a host, asked within transactions by all servers of a command at once."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import replace
from pathlib import Path

from tests.support.inventories import an_inventory
from tests.support.servers import SPEC
from tests.support.stores import a_wanted, admit
from vmctl.adapters.leases import open_leases
from vmctl.adapters.location import parse_location
from vmctl.adapters.store import open_store
from vmctl.domain.host_record import HostRecord
from vmctl.domain.record import Claim
from vmctl.domain.sample import FoundPool, HostSample
from vmctl.services.hosts import sighting
from vmctl.services.judging import Judge
from vmctl.services.policy import policy_of
from vmctl.services.site import Slots

INVENTORY = an_inventory("""
    hosts:
      kvm1: {address: 10.0.0.1, networks: [nat, lan]}
    networks:
      nat: {source: {network: default}, default: true}
      lan: {source: {bridge: br0}}
    """)
AT_ONCE = 32
ROOMY = HostSample(
    taken_at=1.0,
    facts_at=1.0,
    cpus=64,
    memory=1 << 20,
    arch="x86_64",
    virt_types=("kvm",),
    pools=(FoundPool(name="default", active=True, capacity=1 << 20, available=1 << 20),),
)


def the_judge() -> Judge:
    return Judge(INVENTORY, policy_of(INVENTORY), lambda: 2.0)


def test_as_many_as_a_command_makes_are_judged_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    judge, host = the_judge(), INVENTORY.hosts["kvm1"]
    failures: list[BaseException] = []
    with open_store(path) as store:
        store.save_samples([sighting("kvm1", ROOMY)])
        leases = open_leases(parse_location(path))

        def work(number: int) -> None:
            spec = replace(SPEC, id=f"id-{number}", name=f"web-{number}", group=None)

            def judged(record: HostRecord, claims: tuple[Claim, ...]) -> str | None:
                time.sleep(0.004)
                return judge.misfit(spec, host, record, claims)

            try:
                admit(store, leases, f"web-{number}", a_wanted(memory=1), judge=judged)
            except BaseException as error:  # noqa: BLE001 - told below
                failures.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert failures == []
        assert len(store.claims()) == AT_ONCE


def test_a_host_has_so_many_slots_and_others_have_theirs() -> None:
    slots = Slots(2)

    with slots.at("kvm1"), slots.at("kvm1"):
        assert not slots.at("kvm1").acquire(blocking=False)
        assert slots.at("kvm2").acquire(blocking=False)
    assert slots.at("kvm1").acquire(blocking=False)


def test_a_server_holds_its_hugepages_already_where_it_gets_another_image() -> None:
    host = INVENTORY.hosts["kvm1"]
    flavor = replace(SPEC.flavor, memory=4096, extra_specs={"hw:mem_page_size": "large"})
    spec = replace(SPEC, flavor=flavor)
    kept = sighting("kvm1", replace(ROOMY, hugepages=6144, hugepages_free=2048))
    record = HostRecord(name="kvm1", kept=json.dumps(kept.sample), seen=kept.at)

    assert the_judge().unsuited(spec, host, record) is None
