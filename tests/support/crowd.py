"""Many real processes on one database: `python -m tests.support.crowd DEED DATABASE COUNT [WORD]`.

One process imports everything and forks the crowd, which waits until all are there. What became
of each is a line on stdout: a result, or the name of the error.
"""

from __future__ import annotations

import os
import random
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.children import must_end_within
from tests.support.inventories import an_inventory
from tests.support.servers import SPEC
from tests.support.stores import a_nic, a_wanted, admit, anything_fits, begin
from vmctl.adapters.leases import open_leases
from vmctl.adapters.location import SqliteFile
from vmctl.adapters.store import SqlStore, engine, open_store
from vmctl.domain.host_record import HostRecord, Sighting
from vmctl.domain.operation import Mark, OperationState
from vmctl.domain.record import Claim
from vmctl.errors import VmctlError
from vmctl.services.judging import Judge
from vmctl.services.policy import policy_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PLACE, KEPT = 512, 512
"""MiB of a server, and of what is kept for a host itself."""


def places(store: SqlStore, number: int, word: str) -> str:
    """Want one of so many places on one host, as the scheduler judges it."""
    inventory = an_inventory(f"""
        hosts:
          kvm1: {{address: kvm1, capacity: {{memory: {KEPT + int(word) * PLACE}MiB}}}}
        networks:
          lan: {{source: {{bridge: br-lan}}}}
        """)
    judge, host = Judge(inventory, policy_of(inventory), time.time), inventory.hosts["kvm1"]
    flavor = replace(SPEC.flavor, vcpus=1, memory=PLACE, disk=1024)
    spec = replace(SPEC, id=f"id-{number}", name=f"web-{number}", flavor=flavor)

    def judged(record: HostRecord, claims: tuple[Claim, ...]) -> str | None:
        return judge.misfit(spec, host, record, claims)

    admit(store, open_leases(store.location), spec.name, a_wanted("kvm1", PLACE), judged)
    return "won"


def one_name(store: SqlStore, number: int, word: str) -> str:
    """Want the same name, each on a host of its own."""
    admit(store, open_leases(store.location), word, a_wanted(f"kvm{number}"), anything_fits)
    return "won"


def one_address(store: SqlStore, number: int, word: str) -> str:
    """Want the same address, each on a host of its own."""
    wanted = a_wanted(f"kvm{number}", nics=(a_nic(word),))
    admit(store, open_leases(store.location), f"web-{number}", wanted, anything_fits)
    return "won"


def one_project(store: SqlStore, number: int, word: str) -> str:
    """Want a server in one project, each on a host of its own."""
    admit(
        store, open_leases(store.location), f"web-{number}", a_wanted(f"kvm{number}"), project=word
    )
    return "won"


def one_key(store: SqlStore, number: int, word: str) -> str:
    """Want what one idempotency key makes, each on a host of its own."""
    key = (word, "digest")
    admit(store, open_leases(store.location), f"web-{number}", a_wanted(f"kvm{number}"), key=key)
    return "won"


def one_group(store: SqlStore, number: int, word: str) -> str:
    """Want to be the only member of a group, each on a host of its own."""
    admit(
        store,
        open_leases(store.location),
        f"web-{number}",
        a_wanted(f"kvm{number}"),
        group=word,
        company=lambda others: f"{others}" if others else None,
    )
    return "won"


def one_reservation(store: SqlStore, number: int, word: str) -> str:
    """Be one of the servers that one create and its idempotency key make."""
    admit(
        store,
        open_leases(store.location),
        f"web-{number}",
        a_wanted(f"kvm{number}"),
        key=(word, "digest"),
        reservation="r",
    )
    return "won"


def one_server(store: SqlStore, number: int, word: str) -> str:
    """Want to be the one at work on a server."""
    del number
    begin(store, open_leases(store.location), "server-stop", word)
    return "won"


def recover(store: SqlStore, number: int, word: str) -> str:
    """Lock, re-read, act."""
    with open_leases(store.location).hold(word) as lease:
        token = store.adopt(lease, f"recoverer {number}")
        store.journal(token, f"by-{number}", Mark.UNDONE)
        store.finish(token, OperationState.UNWOUND, release=[1])
    return "recovered"


def mixed(store: SqlStore, number: int, word: str) -> str:
    """Save samples of all hosts in any order while others admit and release."""
    leases = open_leases(store.location)
    for turn in range(int(word)):
        hosts = [f"kvm{index}" for index in range(20)]
        random.shuffle(hosts)
        store.save_samples(
            Sighting(host=host, at=turn, sample={} if random.random() < 0.5 else None)
            for host in hosts
        )
        nics = tuple(a_nic(f"192.0.2.{index}") for index in random.sample(range(1, 9), 3))
        wanted = a_wanted(random.choice(hosts), nics=nics)
        try:
            token = admit(store, leases, f"web-{number}-{turn}", wanted)
        except VmctlError as error:
            if error.code != "AddressTaken":
                raise
        else:
            store.finish(token, OperationState.UNWOUND, release=[1])
    return "done"


def name_of(store: SqlStore, number: int, word: str) -> str:
    """Use a database for the first time, and say which one it is."""
    del number, word
    return store.uuid()


def first_uses(store: SqlStore, number: int, word: str) -> str:
    """Use many databases for the first time, each in the same instant as all others do."""
    del number
    for turn in range(60):
        location = SqliteFile(Path(word) / str(turn) / "state.db")
        time.sleep(0.03 - time.time() % 0.03)
        connections = engine.connect(location, 20)
        with engine.transaction(connections, location, time.time, write=False) as tx:
            tx.connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").all()
        connections.dispose()
    return f"used beside {store.version()}"


DEEDS: dict[str, Callable[[SqlStore, int, str], str]] = {
    deed.__name__: deed
    for deed in (
        places,
        one_name,
        one_address,
        one_project,
        one_key,
        one_group,
        one_reservation,
        one_server,
        recover,
        mixed,
        name_of,
        first_uses,
    )
}


def main(deed: str, database: str, count: str, word: str = "") -> None:
    act = DEEDS[deed]
    said = together(
        [partial(_outcome, act, database, number, word) for number in range(int(count))]
    )
    sys.stdout.write("".join(f"{one}\n" for one in said))


def together(deeds: Sequence[Callable[[], str]], limit: float = 90) -> list[str]:
    """Do each in a process of its own, all in the same instant, and give what they said."""
    gate, opened = os.pipe()
    read, write = os.pipe()
    for deed in deeds:
        if os.fork() == 0:
            os.close(opened)
            must_end_within(limit)
            os.read(gate, 1)  # ends for all of them at once, when the parent closes its end
            os.write(write, f"{deed()}\n".encode())
            os._exit(0)
    os.close(write)
    os.close(opened)
    with os.fdopen(read) as outcomes:
        return outcomes.read().splitlines()


def _outcome(
    deed: Callable[[SqlStore, int, str], str], database: str, number: int, word: str
) -> str:
    try:
        with open_store(database, busy=60) as store:
            return deed(store, number, word)
    except VmctlError as error:
        return error.code if error.code != "StateError" else f"StateError: {error}"
    except Exception as error:  # noqa: BLE001 # the outcome of a process, whatever it is
        return f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    main(*sys.argv[1:])
