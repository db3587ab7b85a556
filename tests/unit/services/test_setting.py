"""What is said of servers, said otherwise, on the fake host: on record and in the domain's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.changed import (
    TELLING,
    change,
    do,
    domain,
    known_as,
    on_host,
    planned_domain,
    server,
    spec,
    stop,
    unfinished,
)
from tests.support.recorded import running
from tests.support.stage import SPEC, Stage, a_build, copy_stage, on_stage
from tests.support.stores import ACTOR
from tests.support.tables import failing
from vmctl.adapters.store import open_store
from vmctl.domain import deed
from vmctl.domain.edits import Edits
from vmctl.domain.operation import NewOperation, OperationState
from vmctl.domain.plain import from_plain
from vmctl.domain.record import ServerState
from vmctl.domain.spec import ServerSpec
from vmctl.errors import (
    Busy,
    Conflict,
    HostUnreachable,
    Locked,
    NameTaken,
    RemoteFailed,
    UsageError,
)
from vmctl.sagas import power, setting
from vmctl.sagas.work import Work
from vmctl.services.acting import Errand, act, carry_out
from vmctl.services.delete import delete_server
from vmctl.services.marking import lock
from vmctl.services.rebuilding import rebuild
from vmctl.services.recovery import pay_owed, unwind
from vmctl.services.setting import Edited, planned, set_server


def test_what_is_said_is_on_record_and_on_the_host_and_in_the_events(stage: Stage) -> None:
    plan = planned(stage.sql, server(stage), TELLING)

    assert set_server(stage.recovery, plan, reason="ticket 7") == Edited()

    wanted = replace(
        SPEC, description="the shop", tags=("blue", "new"), properties={"role": "web", "tier": "2"}
    )
    assert spec(stage) == on_host(stage).spec == wanted
    assert on_host(stage).build == a_build(1, "kvm1")
    events = [one for one in stage.sql.events(server=SPEC.id) if one.action == "server-set"]
    assert [one.result for one in events] == ["started", "done"]
    assert events[0].detail == {
        "reason": "ticket 7",
        "set": {
            "description": "the shop",
            "tags": ["blue", "new"],
            "properties": {"role": "web", "tier": "2"},
        },
    }
    assert server(stage).state is ServerState.ACTIVE
    assert unfinished(stage) == []


def test_what_is_the_same_already_is_no_operation(stage: Stage) -> None:
    before = len(stage.sql.operations())

    change(stage, Edits(tags=SPEC.tags, name=SPEC.name))

    assert len(stage.sql.operations()) == before


def test_a_lost_record_comes_back_as_it_was_changed(stage: Stage, tmp_path: Path) -> None:
    change(stage, replace(TELLING, name="shop", autostart=False))
    uuid = stage.sql.uuid()

    with open_store(str(tmp_path / "new" / "state.db")) as store:
        world = replace(stage.world, store=store)
        rebuilt = rebuild(list(stage.hosts.values()), world, actor=ACTOR)
        assert rebuilt.whole
        back = store.server("shop")
        assert store.uuid() == uuid

    assert from_plain(ServerSpec, back.spec) == spec(stage)
    assert back.id == SPEC.id
    # And the record that is there already agrees with what stands there.
    again = rebuild(list(stage.hosts.values()), stage.world, actor=ACTOR)
    assert [one.fate.value for one in again.told] == ["on record"]


@pytest.mark.parametrize(
    "way",
    [
        stop,
        lambda stage: do(stage, deed.REBOOT, power.REBOOT),
        lambda stage: do(stage, deed.REBOOT_HARD, power.REBOOT_HARD),
    ],
    ids=["stop", "reboot", "reboot --hard"],
)
def test_the_domain_follows_a_name_when_it_is_off(
    stage: Stage, way: Callable[[Stage], None]
) -> None:
    assert change(stage, Edits(name="shop")) == Edited(domain=SPEC.name)
    assert (server(stage).name, spec(stage).name) == ("shop", "shop")
    assert (domain(stage), planned_domain(stage)) == (SPEC.name, SPEC.name)
    assert on_host(stage).spec.name == "shop"

    way(stage)

    assert (domain(stage), planned_domain(stage)) == ("shop", "shop")
    assert stage.sql.server("shop").id == SPEC.id


def test_a_guest_that_switched_itself_off_is_followed_at_its_next_start(stage: Stage) -> None:
    change(stage, Edits(name="shop"))
    stage.fleet.on(stage.hosts["kvm1"]).ensure_off(SPEC.id)

    do(stage, deed.START, power.START)

    assert (domain(stage), planned_domain(stage)) == ("shop", "shop")


def test_a_domain_that_is_off_follows_at_once(stage: Stage) -> None:
    stop(stage)

    assert change(stage, Edits(name="shop")) == Edited()

    assert (domain(stage), planned_domain(stage), on_host(stage).build.name) == ("shop",) * 3


def test_a_memory_that_is_saved_keeps_its_domains_name(stage: Stage) -> None:
    do(stage, deed.SUSPEND, power.SUSPEND)

    assert change(stage, Edits(name="shop")) == Edited(domain=SPEC.name)
    do(stage, deed.RESUME, power.RESUME)
    assert domain(stage) == SPEC.name
    stop(stage)
    assert domain(stage) == "shop"


def test_no_server_stays_off_because_a_stranger_took_its_domains_name(stage: Stage) -> None:
    change(stage, Edits(name="shop"))
    host = stage.fleet.on(stage.hosts["kvm1"])
    host.ensure_defined(
        "e0000000-0000-4000-8000-000000000000", "<domain><name>shop</name></domain>"
    )

    for way in (stop, lambda s: do(s, deed.START, power.START)):
        way(stage)
    do(stage, deed.REBOOT_HARD, power.REBOOT_HARD)

    assert (domain(stage), planned_domain(stage)) == (SPEC.name, SPEC.name)
    assert server(stage).state is ServerState.ACTIVE


def test_a_name_is_only_one_servers(stage: Stage) -> None:
    other = replace(SPEC, id="5c9e2f0a-3a54-4f58-9a1c-0d6b1c2e3f41", name="db")
    stop(stage)
    with pytest.raises(NameTaken, match="foreign"):
        change(stage, Edits(name="foreign"))  # another's domain on its host
    plan = planned(stage.sql, server(stage), Edits(name="db"))
    claimed(stage, other)

    with pytest.raises(NameTaken, match=other.id):
        planned(stage.sql, server(stage), Edits(name="db"))
    with pytest.raises(NameTaken):
        set_server(stage.recovery, plan)  # which was looked through before there was the other

    assert (server(stage).name, domain(stage), on_host(stage).spec) == (SPEC.name, SPEC.name, SPEC)
    assert unfinished(stage) == []
    assert server(stage).state is ServerState.STOPPED


def claimed(stage: Stage, other: ServerSpec) -> None:
    """Have another server on record that runs on another host."""
    running(stage.sql, stage.world.leases, other, "kvm2")


def test_what_the_host_does_is_done_there(stage: Stage) -> None:
    machine = stage.fleet.on(stage.hosts["kvm1"])

    change(stage, Edits(hostname="shop.example", autostart=False))

    assert known_as(stage) == "shop.example"
    found = machine.machine(SPEC.id)
    assert found is not None
    assert not found.autostart
    assert (spec(stage).hostname, spec(stage).autostart) == ("shop.example", False)
    change(stage, Edits(autostart=True))
    found = machine.machine(SPEC.id)
    assert found is not None
    assert found.autostart


def test_another_servers_domain_is_left_alone(stage: Stage) -> None:
    with stage.fleet.state("kvm1") as state:
        machine = state["machines"][SPEC.id]
        machine["xml"] = machine["xml"].replace('attempt="1"', 'attempt="2"')
    before = stage.fleet.picture("kvm1")

    with pytest.raises(Conflict, match="another's"):
        change(stage, replace(TELLING, hostname="x", autostart=False))

    assert stage.fleet.picture("kvm1") == before
    assert unfinished(stage) == []
    assert spec(stage) == SPEC


def test_what_is_in_the_way_is_told_before_anything_is_done(stage: Stage) -> None:
    with pytest.raises(UsageError, match="no tag"):
        change(stage, Edits(tags=("a,b",)))
    new = NewOperation(kind="stop", saga="x", version=1, owner="bob@desk", server=SPEC.id)
    with stage.world.leases.hold("op-x") as lease:
        token = stage.sql.begin(lease, new)
        with pytest.raises(Busy, match="bob@desk"):
            change(stage, TELLING)
        stage.sql.finish(token, OperationState.DONE)
    lock(stage.sql, server(stage), ACTOR, "audit")
    with pytest.raises(Locked, match="audit"):
        change(stage, TELLING)
    assert spec(stage) == SPEC


def test_a_step_that_fails_leaves_all_as_it_was(stage: Stage) -> None:
    before = stage.fleet.picture("kvm1")
    edits = replace(TELLING, name="shop", hostname="shop", autostart=False)
    saga = failing(setting.SET, "autostart", acts=True)
    plan = planned(stage.sql, server(stage), edits)
    errand = Errand(deed=deed.SET, saga=saga, params=plan.params)

    with pytest.raises(RemoteFailed, match="autostart was made to fail"):
        act(stage.recovery, server(stage), errand)

    assert stage.fleet.picture("kvm1") == before
    assert spec(stage) == SPEC
    assert unfinished(stage) == []


def test_a_delete_by_force_gives_up_a_change_that_cannot_be_undone(stage: Stage) -> None:
    def cut(work: Work) -> None:
        del work
        stage.fleet.set_down("kvm1", down=True)
        raise HostUnreachable("kvm1", "kvm1 did not answer")

    steps = tuple(replace(one, do=cut) if one.name == "dhcp" else one for one in setting.SET.steps)
    plan = planned(stage.sql, server(stage), replace(TELLING, hostname="shop"))
    errand = Errand(deed=deed.SET, saga=replace(setting.SET, steps=steps), params=plan.params)
    with pytest.raises(HostUnreachable):
        act(stage.recovery, server(stage), errand)
    assert unfinished(stage) == [OperationState.STUCK]
    copy_stage(stage.folder, stage.folder.parent / "twice")

    with pytest.raises(HostUnreachable):
        delete_server(stage.recovery, server(stage))
    ended = delete_server(stage.recovery, server(stage), force=True)

    assert ended.owed == "kvm1"
    assert server(stage).deleted is not None
    stage.fleet.set_down("kvm1", down=False)
    pay_owed(stage.recovery, {"kvm1"})
    assert unfinished(stage) == []
    assert SPEC.id not in stage.fleet.picture("kvm1")["machines"]
    # Where the host comes back first, the change is undone.
    with on_stage(stage.folder.parent / "twice") as other:
        other.fleet.set_down("kvm1", down=False)
        unwind(other.recovery, other.sql.operations(unfinished=True)[0])
        assert on_host(other).spec == spec(other) == SPEC


def test_nobodys_change_is_lost_to_anothers(stage: Stage) -> None:
    late = planned(stage.sql, server(stage), Edits(tags=("late",)))
    change(stage, Edits(tags=("early",), name="shop"))

    set_server(stage.recovery, late)

    assert spec(stage).tags == on_host(stage).spec.tags == ("blue", "early", "late")
    assert (server(stage).name, on_host(stage).spec.name) == ("shop", "shop")
    assert unfinished(stage) == []


def test_a_deed_that_was_thought_of_before_a_change_keeps_the_change(stage: Stage) -> None:
    before = server(stage)
    change(stage, Edits(tags=("new",), name="shop"))

    carry_out(stage.recovery, before, Errand(deed=deed.STOP, saga=power.STOP))

    assert (server(stage).name, spec(stage).tags) == ("shop", ("blue", "new"))
    assert domain(stage) == "shop"
