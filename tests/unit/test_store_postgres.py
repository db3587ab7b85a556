from __future__ import annotations

import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from tests.support.postgres import Postgres, missing
from tests.support.stores import ACTOR, a_nic, a_wanted, admit
from vmctl.adapters.leases import open_leases
from vmctl.adapters.schema import hosts
from vmctl.adapters.store import SqlStore, open_store
from vmctl.errors import OwnershipLost, StateError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.record import Claim, Nic

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(postgres: Postgres) -> Iterator[str]:
    with postgres.database() as found:
        yield found


def test_a_connection_notices_a_dead_peer_and_never_waits_for_ever(url: str) -> None:
    names = ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    with open_store(url) as store, store.reading() as tx:
        asked = [tx.connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names]
        named = tx.connection.exec_driver_sql("SHOW application_name").scalar()
        driver = tx.connection.connection.driver_connection
        assert driver is not None
        given = driver.info.get_parameters()

    assert asked == ["20s", "1min", "1min"]
    assert named == "vmctl"
    assert given["connect_timeout"] == "10"
    assert (given["keepalives_idle"], given["keepalives_count"]) == ("15", "3")


def test_what_the_url_says_comes_first(url: str) -> None:
    with open_store(f"{url}&application_name=mine") as store, store.reading() as tx:
        assert tx.connection.exec_driver_sql("SHOW application_name").scalar() == "mine"


def test_a_database_that_nobody_serves_is_a_plain_error(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

    for where in (f"127.0.0.1:{port}/vmctl", f"/vmctl?host={tmp_path}"):
        with pytest.raises(StateError, match="does not answer") as caught:
            open_store(f"postgresql://alice@{where}" if ":" in where else f"postgresql://{where}")
        assert caught.value.exit_code == 13
        assert caught.value.hint


def test_a_database_that_is_not_there_is_named(postgres: Postgres) -> None:
    with pytest.raises(StateError, match='"nowhere" does not exist') as caught:
        open_store(postgres.url("nowhere"))

    assert str(caught.value).count("\n") == 0
    assert "psql" in str(caught.value.hint)


def test_an_option_that_libpq_does_not_know_is_a_plain_error(url: str) -> None:
    with pytest.raises(StateError, match="colour"):
        open_store(f"{url}&colour=blue")


def test_without_psycopg_the_extra_is_named() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from vmctl.adapters.store import open_store\n"
        "from vmctl.errors import StateError\n"
        "try: open_store('postgresql://db/vmctl')\n"
        "except StateError as error: print(error, '|', error.hint)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.stderr == ""
    assert "not installed" in done.stdout
    assert "pip install 'vmctl[postgres]'" in done.stdout


def lock(store: SqlStore, host: str) -> None:
    with store.writing() as tx:
        tx.connection.exec_driver_sql("SET LOCAL lock_timeout = '50ms'")
        tx.connection.execute(select(hosts).where(hosts.c.name == host).with_for_update())


def test_an_admission_locks_its_host_and_no_other(url: str) -> None:
    with open_store(url) as first, open_store(url) as second:
        leases = open_leases(first.location)

        def slow(host: HostRecord, claims: tuple[Claim, ...]) -> None:
            del host, claims
            lock(second, "kvm2")
            with pytest.raises(StateError, match="is locked by another process"):
                lock(second, "kvm1")

        for host in ("kvm1", "kvm2"):
            first.enable(host, actor=ACTOR)
        admit(first, leases, "web", a_wanted("kvm1"), slow)

        assert [claim.host for claim in first.claims()] == ["kvm1"]


def test_two_admissions_of_the_same_addresses_never_wait_for_each_other(url: str) -> None:
    nics = tuple(a_nic(f"192.0.2.{number}") for number in range(1, 30))
    together = threading.Barrier(2)
    outcomes = []

    def judge(host: HostRecord, claims: tuple[Claim, ...]) -> None:
        del host, claims
        together.wait()

    def want(host: str, cards: tuple[Nic, ...]) -> None:
        with open_store(url) as store:
            try:
                wanted = a_wanted(host, nics=tuple(replace(nic, mac=a_nic().mac) for nic in cards))
                admit(store, open_leases(store.location), f"on-{host}", wanted, judge)
                outcomes.append("won")
            except VmctlError as error:
                outcomes.append(error.code)

    open_store(url).close()
    threads = [
        threading.Thread(target=want, args=("kvm1", nics)),
        threading.Thread(target=want, args=("kvm2", nics[::-1])),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == ["AddressTaken", "won"]


def test_a_store_goes_on_after_the_server_ended_its_session(url: str) -> None:
    with open_store(url) as store, open_store(url) as other:
        with other.writing() as tx:
            tx.connection.exec_driver_sql(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

        store.enable("kvm1", actor=ACTOR)

        assert [host.name for host in store.hosts()] == ["kvm1"]


def test_a_lease_lost_with_its_session_does_not_come_back(url: str) -> None:
    with open_store(url) as store:
        leases = open_leases(store.location)
        with leases.hold("op-1") as lost:
            with store.writing() as tx:
                tx.connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks "
                    "WHERE locktype = 'advisory'"
                )
            with pytest.raises(OwnershipLost):
                lost.check()
            with leases.hold("op-2") as new:
                new.check()
                with pytest.raises(OwnershipLost):
                    lost.check()
        assert leases.is_dead("op-1")


def test_many_leases_share_one_session(url: str) -> None:
    with open_store(url) as store:
        leases = open_leases(store.location)
        with leases.hold("op-1"), leases.hold("op-2"), leases.hold("op-3") as third:
            third.check()
            with store.reading() as tx:
                count = tx.connection.exec_driver_sql(
                    "SELECT count(DISTINCT pid), count(*) FROM pg_locks "
                    "WHERE locktype = 'advisory' AND granted"
                ).one()
            assert tuple(count) == (1, 3)


def test_the_runs_own_server_leaves_nothing_behind() -> None:
    reason = missing()
    if reason:
        pytest.skip(reason)
    server = Postgres()
    folder = server.folder
    pid = int((folder / "data" / "postmaster.pid").read_text().split()[0])
    assert Path(f"/proc/{pid}").exists()

    server.stop()

    assert not folder.exists()
    assert not Path(f"/proc/{pid}").exists()
