from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.product import a_sample
from tests.support.stores import admit
from vmctl.adapters.migrations import MIGRATIONS
from vmctl.adapters.store import open_store
from vmctl.adapters.store.catalog import Catalog
from vmctl.domain.catalog import ServerGroup
from vmctl.domain.operation import Mark, OperationState
from vmctl.domain.record import Change, ServerState
from vmctl.errors import Busy
from vmctl.services.hosts import sighting

if TYPE_CHECKING:
    from vmctl.adapters.store import SqlStore
    from vmctl.ports import Leases

ROOT = Path(__file__).parents[2]


def crowd(deed: str, db: str, count: int, word: str = "") -> Counter[str]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.crowd", deed, db, str(count), word],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    return Counter(done.stdout.splitlines())


def test_forty_processes_for_ten_places(
    store: SqlStore, db: str, capsys: pytest.CaptureFixture[str]
) -> None:
    store.save_samples([sighting("kvm1", a_sample())])

    outcomes = crowd("places", db, 40, "10")
    with capsys.disabled():
        sys.stdout.write(
            f"\n40 processes for 10 places on one database:"
            f" {outcomes['won']} won, {outcomes['ClaimLost']} refused\n"
        )

    assert outcomes == {"won": 10, "ClaimLost": 30}
    assert len(store.claims("kvm1")) == len(store.servers()) == len(store.operations()) == 10


def test_twelve_processes_for_one_name(store: SqlStore, db: str) -> None:
    assert crowd("one_name", db, 12, "web") == {"won": 1, "NameTaken": 11}
    assert len(store.claims()) == 1


def test_twelve_processes_for_one_address(store: SqlStore, db: str) -> None:
    assert crowd("one_address", db, 12, "192.0.2.10") == {"won": 1, "AddressTaken": 11}
    assert len(store.claims()) == len(store.servers()) == 1


def test_twelve_processes_for_one_quota(store: SqlStore, db: str) -> None:
    Catalog(store).set_quota("p", {"cores": 3})

    assert crowd("one_project", db, 12, "p") == {"won": 3, "QuotaExceeded": 9}
    assert len(store.claims()) == len(store.servers()) == 3


def test_twelve_processes_for_one_key(store: SqlStore, db: str) -> None:
    assert crowd("one_key", db, 12, "k") == {"won": 1, "KeyTaken": 11}
    assert len(store.claims()) == len(store.servers()) == 1


def test_twelve_processes_share_the_key_of_one_create(store: SqlStore, db: str) -> None:
    assert crowd("one_reservation", db, 12, "k") == {"won": 12}
    used = store.idempotent("k")
    assert used is not None
    assert len(used.servers) == 12


def test_twelve_processes_for_one_place_in_a_group(store: SqlStore, db: str) -> None:
    group = ServerGroup(id="g", name="apart", project="", policy="anti-affinity")
    Catalog(store).add_group(group)

    assert crowd("one_group", db, 12, "g") == {"won": 1, "ClaimLost": 11}
    assert len(store.claims()) == len(store.servers()) == 1


def test_eight_processes_for_one_server(store: SqlStore, db: str, leases: Leases) -> None:
    token = admit(store, leases)
    runs = Change(state=ServerState.ACTIVE, launched=True)
    store.finish(token, OperationState.DONE, change=runs)

    assert crowd("one_server", db, 8, store.server("web").id) == {"won": 1, "Busy": 7}


def test_eight_recoverers_of_one_operation(store: SqlStore, db: str, leases: Leases) -> None:
    token = admit(store, leases)

    outcomes = crowd("recover", db, 8, token.operation)

    assert outcomes["recovered"] == 1
    # Too early while the one was at it, too late afterwards.
    assert outcomes["Busy"] + outcomes["Conflict"] == 7
    (entry,) = store.journal_of(token.operation)
    assert entry.mark is Mark.UNDONE
    assert store.claims() == ()


def test_ten_processes_make_one_database(db: str) -> None:
    outcomes = crowd("name_of", db, 10)

    with open_store(db) as store:
        assert outcomes == {store.uuid(): 10}


def test_no_first_use_of_many_at_once_fails(tmp_path: Path) -> None:
    outcomes = crowd("first_uses", str(tmp_path / "state.db"), 12, str(tmp_path))

    assert outcomes == {f"used beside {len(MIGRATIONS)}": 12}


def test_samples_and_admissions_do_not_lock_each_other_out(store: SqlStore, db: str) -> None:
    assert crowd("mixed", db, 8, "5") == {"done": 8}
    assert store.claims() == ()
    assert len(store.hosts()) == 20


def test_a_lease_keeps_out_its_own_process_too(leases: Leases) -> None:
    with leases.hold("op-1") as lease:
        with pytest.raises(Busy), leases.hold("op-1"):
            pass
        lease.check()
        assert not leases.is_dead("op-1")
    assert leases.is_dead("op-1")
