"""Looking at hosts and checking them, with the store real and the hosts played."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vmctl.adapters.store import SqlStore, open_store
from vmctl.domain.check_facts import HUNG, Contact, KvmTrial, Trial, Tried
from vmctl.domain.host import Host
from vmctl.domain.sample import Depth, HostSample
from vmctl.errors import HostUnreachable
from vmctl.services.check import check_hosts
from vmctl.services.hosts import look, never_asked, sample_of, sighting, views

NOW = 1_800_000_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hosts:
    """Plays the hosts: each answers with its sample, or raises its failure."""

    answers: Mapping[str, HostSample | Exception]
    kvm: KvmTrial | None = None
    tried: list[bool] = field(default_factory=list)

    def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
        del depth, before
        answer = self.answers[host.name]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def contact(self, host: Host) -> Contact:
        return Contact(address=host.address, user="ops")

    def try_out(self, host: Host, sample: HostSample, *, kvm: bool) -> Trial:
        del host, sample
        self.tried.append(kvm)
        return Trial(kvm=self.kvm if kvm else None)

    def library(self, host: Host) -> Tried:
        del host
        return Tried()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqlStore]:
    with open_store(str(tmp_path / "state.db")) as opened:
        yield opened


def a_host(name: str) -> Host:
    return Host(name=name, address=f"{name}.example")


def a_sample(machine: str = "m", **more: object) -> HostSample:
    return HostSample(
        taken_at=NOW, depth="full", facts_at=NOW, machine_id=machine, libvirt_uuid=f"u-{machine}",
        boot_id="boot", cpus=4, memory=8192, **more,  # type: ignore[arg-type]  # fields by name
    )  # fmt: skip


def test_a_host_that_does_not_answer_is_down_and_costs_the_others_nothing(store: SqlStore) -> None:
    hosts = [a_host("kvm1"), a_host("kvm2")]
    gone = HostUnreachable("kvm2", "kvm2: no answer within 5 s")

    played = Hosts(answers={"kvm1": a_sample(), "kvm2": gone})
    failures = look(hosts, played, {}, lambda: store, lambda: NOW)

    seen = views(hosts, {one.name: one for one in store.hosts()}, {}, NOW)
    assert failures == {"kvm2": gone}
    assert [(one.state, one.fault) for one in seen] == [("up", None), ("down", gone.message)]
    assert never_asked(hosts, {one.name: one for one in store.hosts()}) == []


def test_a_bug_that_one_host_brings_out_is_told_after_the_others_are_kept(store: SqlStore) -> None:
    hosts = [a_host("kvm1"), a_host("kvm2")]

    with pytest.raises(ZeroDivisionError):
        look(
            hosts,
            Hosts(answers={"kvm1": ZeroDivisionError(), "kvm2": a_sample()}),
            {},
            lambda: store,
            lambda: NOW,
        )

    assert [one.name for one in store.hosts() if one.answered] == ["kvm2"]


def test_the_record_is_opened_while_the_hosts_are_asked(store: SqlStore) -> None:
    asked, opened = threading.Event(), threading.Event()

    class Slow(Hosts):
        def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
            del host, depth
            asked.set()
            # It answers only once the record is open: neither may wait for the other.
            assert opened.wait(5)
            return a_sample(memory_available=before.memory if before else None)

    def open_it() -> SqlStore:
        assert asked.wait(5)
        opened.set()
        return store

    store.save_samples([sighting("kvm1", a_sample())])
    records = {one.name: one for one in store.hosts()}
    failures = look([a_host("kvm1")], Slow(answers={}), records, open_it, lambda: NOW)

    kept = sample_of(next(iter(store.hosts())))
    assert failures == {}
    assert kept is not None
    assert kept.memory_available == 8192, "the prober was told of the last look"


def test_servers_on_a_host_that_was_written_out_are_still_told() -> None:
    seen = views([a_host("kvm1")], {}, {"kvm9": {"server"}}, NOW)

    assert [(one.host.name, one.known, one.usage.servers) for one in seen] == [
        ("kvm1", True, 0),
        ("kvm9", False, 1),
    ]


def check(store: SqlStore, played: Hosts, *names: str, again: bool = False) -> dict[str, str]:
    """The grade of each step of the first host."""
    found = check_hosts(
        [a_host(name) for name in names],
        names,
        {},
        {},
        examiner=played,
        prober=played,
        store=store,
        clock=lambda: NOW,
        again=again,
    )
    return {one.step: one.grade for one in found[names[0]]}


def test_one_machine_under_two_names_is_told(store: SqlStore) -> None:
    played = Hosts(answers={"kvm1": a_sample(), "kvm2": a_sample()})

    assert check(store, played, "kvm1", "kvm2")["identity"] == "fail"


def test_a_host_that_was_renamed_is_no_second_machine(store: SqlStore) -> None:
    check(store, Hosts(answers={"kvm1": a_sample()}), "kvm1")

    renamed = check(store, Hosts(answers={"kvm01": a_sample()}), "kvm01")

    assert renamed["identity"] == "pass"


def test_a_kvm_that_hung_is_tried_once_in_a_boot_unless_asked_again(store: SqlStore) -> None:
    played = Hosts(
        answers={"kvm1": a_sample(kvm_device=True)}, kvm=KvmTrial(alive=False, said=HUNG)
    )

    for again in (False, False, True):
        assert check(store, played, "kvm1", again=again)["kvm"] == "fail"

    assert played.tried == [True, False, True]


def test_a_kvm_that_failed_otherwise_is_tried_again_each_time(store: SqlStore) -> None:
    failed = KvmTrial(alive=False, said="QEMU ended with 1: Cannot allocate memory")
    played = Hosts(answers={"kvm1": a_sample(kvm_device=True)}, kvm=failed)

    check(store, played, "kvm1")
    check(store, played, "kvm1")

    assert played.tried == [True, True]
