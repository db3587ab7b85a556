"""Many servers looked at at once, on hosts that are folders."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import by_hand
from tests.support.looked import HOSTS, look, on_record, status, told
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.stood import OURS, a_card, identity, stand
from tests.support.stores import ACTOR
from vmctl.domain.record import Power, ServerState
from vmctl.domain.server_line import line_of
from vmctl.errors import HostUnreachable
from vmctl.services.believing import seen_by
from vmctl.services.delete import delete_server
from vmctl.services.observing import Outlook, Watch
from vmctl.services.seeking import Eyes
from vmctl.services.straying import Kind, Stray, strays


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as opened:
        opened.fleet.sleep(time.time() + 60)  # what is seen is newer than what is on record
        create(opened)
        yield opened


def refresh(stage: Stage, *, everywhere: bool = True) -> Outlook:
    stage.fleet.sleep(1)
    watch = Watch(hosts=stage.hosts, eyes=Eyes.of(stage.world), event=seen_by(ACTOR))
    return watch.observe(map(line_of, stage.sql.servers()), everywhere=everywhere)


def stray(stage: Stage) -> list[Stray]:
    return strays(refresh(stage).sights, stage.sql)


def test_nothing_is_news_where_nothing_was_done(stage: Stage) -> None:
    before = stage.sql.server(SPEC.id)

    seen = refresh(stage)

    assert (seen.turns, seen.notes, seen.failures) == ((), (), {})
    assert set(seen.heard) == set(HOSTS)
    after = stage.sql.server(SPEC.id)
    assert (after.state, after.power, after.updated) == (
        before.state,
        before.power,
        before.updated,
    )


@pytest.mark.parametrize("everywhere", [True, False])
def test_one_that_was_moved_is_found_wherever_it_is(stage: Stage, everywhere: bool) -> None:
    by_hand.move(stage.fleet, "kvm1", "kvm3", SPEC.id)

    seen = refresh(stage, everywhere=everywhere)

    assert [(one.what, one.before, one.after) for one in seen.turns] == [("host", "kvm1", "kvm3")]
    assert on_record(stage)[1:] == ("kvm3", ServerState.ACTIVE, Power.RUNNING)
    assert refresh(stage, everywhere=everywhere).turns == ()


@pytest.mark.parametrize("everywhere", [True, False])
def test_one_that_is_nowhere_is_in_error(stage: Stage, everywhere: bool) -> None:
    with stage.fleet.state("kvm1") as state:
        del state["machines"][SPEC.id]

    seen = refresh(stage, everywhere=everywhere)

    assert [(one.before, one.after) for one in seen.turns] == [("active", "error")]
    assert "its domain is gone from kvm1" in (seen.turns[0].why or "")
    assert refresh(stage, everywhere=everywhere).turns == ()


def test_a_second_place_is_found_where_all_are_asked_and_told_until_it_is_none(
    stage: Stage,
) -> None:
    by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id, on=True)
    assert refresh(stage, everywhere=False).notes == ()

    first, second = refresh(stage), refresh(stage, everywhere=False)

    assert [(one.what, one.after) for one in first.turns] == [("also on", "kvm2")]
    assert first.notes == second.notes
    assert first.notes == (f"{SPEC.name} stands on kvm1 and on kvm2: nothing is done to it",)
    assert second.turns == ()
    with stage.fleet.state("kvm2") as state:
        del state["machines"][SPEC.id]
    last = refresh(stage, everywhere=False)
    assert [(one.what, one.after) for one in last.turns] == [("also on", "none")]
    assert last.notes == ()


def test_a_host_that_does_not_answer_costs_nothing_but_its_own_servers(stage: Stage) -> None:
    with stage.fleet.state("kvm1") as state:
        del state["machines"][SPEC.id]
    stage.fleet.set_down("kvm3", down=True)

    seen = refresh(stage)

    assert isinstance(seen.failures["kvm3"], HostUnreachable)
    assert seen.notes == (f"{SPEC.name} is not on kvm1, and may be on kvm3: no answer there",)
    assert (seen.turns, status(stage)) == ((), "UNKNOWN")


def test_one_that_runs_elsewhere_while_its_own_host_is_silent_is_told(stage: Stage) -> None:
    by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id, on=True)
    stage.fleet.set_down("kvm1", down=True)

    seen = refresh(stage)

    said = f"{SPEC.name} is seen on kvm2; its own host kvm1 does not answer"
    assert seen.notes == (said,)
    assert (stage.sql.server(SPEC.id).host, stage.sql.server(SPEC.id).also) == ("kvm1", ("kvm2",))
    stage.fleet.set_down("kvm1", down=False)
    with stage.fleet.state("kvm1") as state:
        del state["machines"][SPEC.id]
    refresh(stage)
    assert on_record(stage)[1] == "kvm2"


def test_what_bears_a_record_and_is_no_server_on_record_is_told(stage: Stage) -> None:
    kvm2, kvm3 = stage.hosts["kvm2"], stage.hosts["kvm3"]
    stand(stage.fleet, kvm2, "one", a_card(1))
    stand(stage.fleet, kvm3, "two", a_card(2))
    stand(stage.fleet, kvm3, "mine", a_card(3), owner=stage.sql.uuid())
    stand(stage.fleet, kvm3, "torn", a_card(4))
    with by_hand.machine(stage.fleet, "kvm3", identity("torn")) as found:
        found["xml"] = found["xml"].replace("attempt=", "attempts=")

    kinds = {(one.kind, one.sight.machine.name, len(one.sights)): one for one in stray(stage)}

    assert set(kinds) == {
        (Kind.ANOTHERS, "one", 2),
        (Kind.UNKNOWN, "mine", 1),
        (Kind.UNREADABLE, "torn", 1),
    }
    words = kinds[Kind.ANOTHERS, "one", 2].words
    assert words.startswith(f"2 servers are of the database {OURS}, on kvm2, kvm3:")
    assert [one.name for one in stage.sql.servers()] == [SPEC.name]


def test_a_deleted_server_that_is_there_is_told_unless_it_is_owed(stage: Stage) -> None:
    was = stage.fleet.picture("kvm1")["machines"][SPEC.id]
    stage.fleet.set_down("kvm1", down=True)
    assert delete_server(stage.recovery, stage.sql.server(SPEC.id)).owed == "kvm1"
    stage.fleet.set_down("kvm1", down=False)
    assert stray(stage) == []
    with stage.fleet.state("kvm2") as state:
        state["machines"][SPEC.id] = was

    assert [(one.kind, one.sight.host) for one in stray(stage)] == [(Kind.DELETED, "kvm2")]


def test_addresses_are_asked_where_none_is_known(stage: Stage) -> None:
    assert stage.sql.server(SPEC.id).seen == ()
    watch = Watch(hosts=stage.hosts, eyes=Eyes.of(stage.world), event=seen_by(ACTOR))

    watch.observe([line_of(stage.sql.server(SPEC.id))])
    assert stage.sql.server(SPEC.id).seen == ()
    stage.fleet.sleep(1)
    watch.observe([line_of(stage.sql.server(SPEC.id))], addresses=True)

    assert {one.source for one in stage.sql.server(SPEC.id).seen} == {"lease"}


def test_what_was_renamed_is_told_once(stage: Stage) -> None:
    by_hand.rename(stage.fleet, "kvm1", SPEC.id, "db")

    assert [(one.before, one.after) for one in refresh(stage).turns] == [(SPEC.name, "db")]

    assert refresh(stage).turns == ()
    assert look(stage).name == "db"
    assert told(stage) == [("name", SPEC.name, "db")]
