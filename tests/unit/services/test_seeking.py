"""Servers sought on hosts that are not theirs: nobody waits long, and each host is asked once."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import by_hand
from tests.support.fake_host import FakeFleet
from tests.support.fake_hypervisor import FakeHypervisor
from tests.support.looked import HOSTS
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from vmctl.domain.host import Host
from vmctl.domain.host_record import Sighting
from vmctl.domain.machine import Machine
from vmctl.errors import TimedOut
from vmctl.services.seeking import Eyes, Survey, seek_briefly


class Hanging(FakeHypervisor):
    """One that answers when it is told to."""

    def __init__(self, fleet: Slow, host: Host) -> None:
        super().__init__(fleet, host)
        self._slow = fleet

    def machine(self, uuid: str) -> Machine | None:
        self._slow.free.wait(30)
        return super().machine(uuid)


class Slow(FakeFleet):
    """Hosts of which one hangs; tells who was asked."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.hangs = ""
        self.free = threading.Event()
        self.asked: list[str] = []

    def on(self, host: Host) -> FakeHypervisor:
        self.asked.append(host.name)
        return Hanging(self, host) if host.name == self.hangs else super().on(host)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as opened:
        create(opened)
        yield opened


@pytest.fixture
def slow(stage: Stage) -> Iterator[Slow]:
    fleet = Slow(stage.fleet.folder)
    yield fleet
    fleet.free.set()


def eyes(stage: Stage, slow: Slow) -> Eyes:
    return replace(Eyes.of(stage.world), hypervisors=slow)


def survey(stage: Stage, slow: Slow) -> Survey:
    return Survey(stage.hosts, eyes(stage, slow), [stage.sql.server(SPEC.id)])


@pytest.mark.parametrize("down", [False, True], ids=["up on record", "down on record"])
def test_a_host_that_hangs_is_waited_for_as_long_as_its_record_deserves(
    stage: Stage, slow: Slow, down: bool
) -> None:
    slow.hangs = "kvm3"
    if down:
        failed = Sighting(host="kvm3", at=time.time(), error="no answer")
        stage.sql.save_samples([failed])
    limits = {"limit": 60.0, "limit_down": 0.2} if down else {"limit": 0.2, "limit_down": 60.0}

    seen = seek_briefly(stage.hosts.values(), eyes(stage, slow), [SPEC.id], **limits)

    assert seen.heard == {"kvm1", "kvm2"}
    assert isinstance(seen.failures["kvm3"], TimedOut)
    assert [one.host for one in seen.sights[SPEC.id]] == ["kvm1"]


def test_what_was_seen_is_good_for_a_while(stage: Stage, slow: Slow) -> None:
    looked = survey(stage, slow)

    assert looked.look().sights.get(SPEC.id) is None
    by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id)
    stage.fleet.sleep(20)
    assert looked.look().sights.get(SPEC.id) is None
    assert sorted(slow.asked) == ["kvm2", "kvm3"]
    stage.fleet.sleep(20)

    assert [one.host for one in looked.look().sights[SPEC.id]] == ["kvm2"]


def test_who_must_know_waits_for_those_that_were_not_waited_for(stage: Stage, slow: Slow) -> None:
    slow.hangs = "kvm3"
    stage.sql.save_samples([Sighting(host="kvm3", at=time.time(), error="no answer")])
    by_hand.copy_to(stage.fleet, "kvm1", "kvm3", SPEC.id)
    looked = survey(stage, slow)
    assert set(looked.look().failures) == {"kvm3"}
    assert set(looked.silent) == {"kvm3"}
    slow.free.set()
    slow.asked.clear()

    seen = looked.look(patiently=True)

    assert slow.asked == ["kvm3"]
    assert (seen.failures, seen.heard) == ({}, {"kvm2", "kvm3"})
    assert [one.host for one in seen.sights[SPEC.id]] == ["kvm3"]
