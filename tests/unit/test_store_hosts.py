from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.stores import ACTOR, Clock, admit
from vmctl.domain.host_record import HostRecord, KvmCheck, Sighting
from vmctl.domain.operation import Event
from vmctl.domain.record import AttemptState
from vmctl.domain.sample import Guest, HostSample
from vmctl.services.hosts import sample_of, sighting

if TYPE_CHECKING:
    from vmctl.adapters.store import SqlStore
    from vmctl.ports import Leases


def test_samples_are_kept_and_an_older_look_changes_nothing(store: SqlStore) -> None:
    sample = {"cores": 8, "odd": "\udcff\0é", "nested": {"b": [1, 2.5, None], "a": True}}
    new = Sighting(host="kvm1", at=20, sample=sample, libvirt="u", machine="m", boot="b2")
    store.save_samples([new, Sighting(host="kvm2", at=20, error="timed out\0")])

    store.save_samples([replace(new, at=19, boot="b1"), Sighting(host="kvm2", at=1, error="x")])

    first, second = store.hosts()
    assert (first.sample, first.seen, first.boot) == (sample, 20, "b2")
    assert (first.libvirt, first.machine, first.enabled) == ("u", "m", True)
    assert first.answered
    assert (second.error, second.failed, second.seen) == ("timed out\ufffd", 20, None)
    assert not second.answered


def test_a_failure_after_a_sample_keeps_the_sample(store: SqlStore) -> None:
    store.save_samples([Sighting(host="kvm1", at=1, sample={"cores": 8})])
    store.save_samples([Sighting(host="kvm1", at=2, error="no route")])

    host = store.host("kvm1")
    store.save_samples([Sighting(host="kvm1", at=3, sample={"cores": 9})])

    assert (host.sample, host.error, host.answered) == ({"cores": 8}, "no route", False)
    assert store.host("kvm1").answered


def test_a_host_is_disabled_with_a_reason_and_enabled_again(store: SqlStore, clock: Clock) -> None:
    store.disable("kvm1", "new disks", actor=ACTOR)
    disabled = store.host("kvm1")
    store.save_samples([Sighting(host="kvm1", at=1, sample={})])
    still = store.host("kvm1")
    store.enable("kvm1", actor=ACTOR)

    assert (disabled.enabled, disabled.reason) == (False, "new disks")
    assert (still.enabled, still.reason) == (False, "new disks")
    assert (store.host("kvm1").enabled, store.host("kvm1").reason) == (True, None)
    events = store.events(host="kvm1")
    assert [(e.action, e.at) for e in events] == [
        ("host-disable", clock.now),
        ("host-enable", clock.now),
    ]
    assert events[0].detail == {"reason": "new disks"}


def test_a_kvm_check_is_kept_with_its_boot(store: SqlStore) -> None:
    check = KvmCheck(alive=False, boot="b1", at=5.5)

    store.save_kvm("kvm1", check)

    assert store.host("kvm1").kvm == check
    assert store.host("kvm9") == HostRecord(name="kvm9")


def test_events_say_who_and_come_in_order(store: SqlStore, clock: Clock) -> None:
    told = Event(
        actor=replace(ACTOR, sudo_user="bob"),
        action="server-delete",
        result="done",
        server="s1",
        host="kvm1",
        operation="op",
        detail={"b": 1, "a": [None]},
    )
    first = store.record(told)
    at = clock.now
    clock.tick()
    second = store.record(replace(told, server="s2"))
    third = store.record(replace(told, action="server-create"))

    assert store.events(limit=1)[0].id == third
    assert [event.id for event in store.events(server="s1")] == [first, third]
    assert [event.id for event in store.events(after=first)] == [second, third]
    assert store.events()[0] == replace(told, id=first, at=at)


def test_a_server_that_is_proven_gone_is_seen_there_no_more(
    store: SqlStore, leases: Leases
) -> None:
    token = admit(store, leases, "web")
    gone, other = (Guest(uuid=one, name=one) for one in (store.server("web").id, "other"))
    seen = HostSample(taken_at=5.0, cpus=8, guests=(gone, other))
    store.save_samples([sighting("kvm1", seen), sighting("kvm2", seen)])

    store.mark_attempt(token, 1, AttemptState.OWED)
    assert sample_of(store.host("kvm1")) == seen
    store.mark_attempt(token, 1, AttemptState.RELEASED)

    assert sample_of(store.host("kvm1")) == replace(seen, guests=(other,))
    assert sample_of(store.host("kvm2")) == seen


def test_a_server_that_is_given_up_where_it_stands_is_still_seen(
    store: SqlStore, leases: Leases
) -> None:
    token = admit(store, leases, "web")
    seen = HostSample(
        taken_at=5.0, cpus=8, guests=(Guest(uuid=store.server("web").id, name="web"),)
    )
    store.save_samples([sighting("kvm1", seen)])

    store.mark_attempt(token, 1, AttemptState.RELEASED, stands=True)

    assert sample_of(store.host("kvm1")) == seen
    assert store.claims("kvm1") == ()
