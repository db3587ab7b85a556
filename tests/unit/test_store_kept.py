"""What is kept beside servers and operations: secrets, keys, traces."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.stores import (
    Clock,
    a_new,
    a_nic,
    a_wanted,
    admit,
    anything_fits,
    room_for,
)
from vmctl.adapters.store import SqlStore, admission
from vmctl.adapters.store.catalog import Catalog
from vmctl.domain.catalog import ServerGroup
from vmctl.domain.kept import PlacementTrace
from vmctl.domain.operation import OperationState
from vmctl.domain.record import Change, NewServer, Power, ServerState
from vmctl.errors import (
    ClaimLost,
    KeyTaken,
    OwnershipLost,
)
from vmctl.ports import Leases

FAILED = Change(state=ServerState.ERROR, fault="no disk")
RUNS = Change(state=ServerState.ACTIVE, power=Power.RUNNING, launched=True)
GONE = Change(state=ServerState.DELETED, deleted=True)
APART = ServerGroup(id="g", name="apart", project="", policy="anti-affinity")
SECRETS = {"user_data": "cGFzc3dvcmQ6IGh1bnRlcjI=", "files": {"/etc/h\u00e4": "eA=="}}


@pytest.fixture
def catalog(store: SqlStore) -> Catalog:
    return Catalog(store)


# Idempotency keys


def test_a_key_makes_one_server(store: SqlStore, leases: Leases, clock: Clock) -> None:
    admit(store, leases, "web", key=("k", "digest"))
    held = store.server("web")

    used = store.idempotent("k")

    assert used is not None
    assert (used.key, used.request, used.at) == ("k", "digest", clock.now)
    assert (used.servers, used.spent) == ((held,), True)
    assert store.idempotent("other") is None
    with pytest.raises(KeyTaken, match=f"has made {held.id} already") as caught:
        admit(store, leases, "web", key=("k", "digest"))
    assert caught.value.hint == f"vmctl server show {held.id}"
    with pytest.raises(KeyTaken, match="belongs to another request"):
        admit(store, leases, "other", key=("k", "another digest"))
    assert len(store.servers()) == 1


def test_a_key_is_shared_by_the_servers_of_one_reservation(store: SqlStore, leases: Leases) -> None:
    for name in ("web-1", "web-2"):
        admit(store, leases, name, key=("k", "digest"), reservation="r-1")
    admit(store, leases, "db", reservation="r-2")
    admit(store, leases, "lone")

    used = store.idempotent("k")

    assert used is not None
    assert [server.name for server in used.servers] == ["web-1", "web-2"]
    assert {server.reservation for server in used.servers} == {"r-1"}
    with pytest.raises(KeyTaken):
        admit(store, leases, "web-3", key=("k", "digest"), reservation="r-2")


@pytest.mark.parametrize("request_digest", ["digest", "another digest"])
@pytest.mark.parametrize("end", [FAILED, GONE], ids=["failed", "deleted"])
def test_the_key_of_a_create_that_left_nothing_runs_again(
    store: SqlStore, leases: Leases, request_digest: str, end: Change
) -> None:
    first = admit(store, leases, "web", key=("k", "digest"))
    old = store.server("web").id
    store.finish(first, OperationState.UNWOUND, change=end, release=[1])
    used = store.idempotent("k")
    assert used is not None
    assert not used.spent

    admit(store, leases, "web", key=("k", request_digest))

    used = store.idempotent("k")
    assert used is not None
    assert [server.id for server in used.servers] == [store.server("web").id] != [old]
    assert used.request == request_digest


# Secrets, parameters, traces


def test_secrets_are_there_for_whoever_adopts(store: SqlStore, leases: Leases) -> None:
    token = admit(store, leases, "web", secrets=SECRETS)
    assert store.secrets_of(token) == SECRETS
    store.finish(token, OperationState.STUCK)

    with leases.hold(token.operation) as lease:
        adopted = store.adopt(lease, "b")

    assert store.secrets_of(adopted) == SECRETS
    with pytest.raises(OwnershipLost):
        store.secrets_of(token)


@pytest.mark.parametrize("end", [OperationState.DONE, OperationState.UNWOUND, OperationState.OWED])
def test_secrets_end_with_their_operation(
    store: SqlStore, leases: Leases, end: OperationState
) -> None:
    other = admit(store, leases, "other", secrets=SECRETS)
    token = admit(store, leases, "web", secrets=SECRETS)

    store.finish(token, end, change=RUNS)

    with store.reading() as tx:
        assert tx.connection.exec_driver_sql("SELECT operation FROM secrets").scalars().all() == [
            other.operation
        ]


def test_nothing_of_a_wiped_secret_is_left_in_the_file(tmp_path: Path, clock: Clock) -> None:
    from vmctl.adapters.leases import open_leases
    from vmctl.adapters.store import open_store

    path = tmp_path / "state.db"
    with open_store(str(path), clock=clock) as store:
        leases = open_leases(store.location)
        big = {"user_data": "hunter2" * 4000}
        token = admit(store, leases, "web", secrets=big)
        store.finish(token, OperationState.DONE, change=RUNS)

    assert b"hunter2" not in path.read_bytes()
    assert [left.name for left in tmp_path.glob("state.db-*")] == []


def test_a_new_server_does_not_show_its_secrets() -> None:
    assert "hunter2" not in repr(NewServer(id="s", name="web", secrets={"password": "hunter2"}))


def test_parameters_are_written_anew_by_the_owner_alone(store: SqlStore, leases: Leases) -> None:
    token = admit(store, leases, "web")

    store.amend(token, {"attempt": 2, "hosts": ["kvm2"]})

    assert store.operation(token.operation).params == {"attempt": 2, "hosts": ["kvm2"]}
    with leases.hold(token.operation) as lease:
        store.adopt(lease, "b")
    with pytest.raises(OwnershipLost):
        store.amend(token, {})
    with pytest.raises(OwnershipLost):
        store.readdress(token, 1, (a_nic(),), {})
    assert store.operation(token.operation).params == {"attempt": 2, "hosts": ["kvm2"]}


def test_a_trace_is_kept_and_replaced(store: SqlStore, leases: Leases, clock: Clock) -> None:
    admit(store, leases, "web", trace={"verdicts": ["kvm1"]})
    server = store.server("web").id
    first = PlacementTrace(server=server, trace={"verdicts": ["kvm1"]}, at=clock.now)
    assert store.placement_of(server) == first

    clock.tick()
    store.save_placement(server, {"verdicts": ["kvm2"]})

    assert store.placement_of(server) == PlacementTrace(
        server=server, trace={"verdicts": ["kvm2"]}, at=clock.now
    )
    assert store.placement_of("another") is None


def test_nothing_is_kept_of_a_refused_admission(
    store: SqlStore, catalog: Catalog, leases: Leases
) -> None:
    catalog.add_group(APART)

    with pytest.raises(ClaimLost):
        admit(
            store,
            leases,
            judge=room_for(1, need=2),
            group="g",
            secrets=SECRETS,
            trace={"a": 1},
            key=("k", "d"),
        )

    assert store.idempotent("k") is None
    assert catalog.group("g").members == ()
    with store.reading() as tx:
        for table in ("secrets", "placements"):
            assert not tx.connection.exec_driver_sql(f"SELECT * FROM {table}").all()  # noqa: S608 # ours


def test_a_key_that_is_being_taken_is_waited_for(store: SqlStore, leases: Leases) -> None:
    first = NewServer(id="first", name="first", key=("k", "digest"))
    outcome: list[str] = []

    def second() -> None:
        try:
            admit(store, leases, "second", a_wanted("kvm2"), key=("k", "digest"))
        except KeyTaken as error:
            outcome.append(str(error))

    thread = threading.Thread(target=second)
    with store.writing() as tx:
        admission.admit(
            tx, "op", a_new(server="first"), first, wanted=a_wanted("kvm1"), judge=anything_fits
        )
        thread.start()
        thread.join(0.5)  # it has looked at the key by now, where nobody keeps it from looking
        assert thread.is_alive()
    thread.join(30)

    assert outcome == ["the create with the idempotency key k has made first already"]
    assert [server.name for server in store.servers()] == ["first"]
