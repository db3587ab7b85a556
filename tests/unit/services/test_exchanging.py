"""Another system in a server's place: what may be asked, what is refused, and what is kept."""

from __future__ import annotations

import base64
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update

from tests.support.built import INVENTORY
from tests.support.fake_parts import FakeProber
from tests.support.stage import SPEC, Stage, a_build, a_stage, create, on_stage
from tests.support.stores import begin
from tests.support.tables import failing
from tests.support.torture_rebuild import (
    OTHER,
    PATIENT,
    picture,
    rebuilding,
    rescuing,
    unrescuing,
)
from tests.support.trying import RESUME
from tests.support.verdict import assert_over
from vmctl.adapters.host_rows import as_json
from vmctl.adapters.schema import servers
from vmctl.adapters.store.servers import rows
from vmctl.domain import deed as deeds
from vmctl.domain.catalog import Image
from vmctl.domain.host import Host
from vmctl.domain.operation import OperationState
from vmctl.domain.plain import to_plain
from vmctl.domain.record import Attempt, Server, ServerState, shown_status
from vmctl.domain.spec import Secrets
from vmctl.errors import Conflict, NameTaken, NotFound, NoValidHost
from vmctl.sagas.exchange import REBUILD, RESCUE, UNRESCUE
from vmctl.sagas.saga import Step
from vmctl.sagas.work import Work
from vmctl.scheduler.policy import Policy
from vmctl.services.acting import Errand, act
from vmctl.services.exchanging import Rebuilder, to_rescue
from vmctl.services.hosts import sighting
from vmctl.services.judging import Judge
from vmctl.services.makeover import Makeover
from vmctl.services.planning import volumes_of
from vmctl.services.recovery import unwind
from vmctl.services.standing import standing_on, to_import


def server(stage: Stage) -> Server:
    return stage.sql.server(SPEC.id)


def status(stage: Stage) -> str:
    return shown_status(server(stage).state, server(stage).task)


def volumes(stage: Stage) -> set[str]:
    with stage.fleet.state("kvm1") as state:
        held = state["pools"]["default"]["volumes"]
        return {one.removeprefix(f"{SPEC.id}-") for one in held if one.startswith(SPEC.id)}


def remake(stage: Stage, makeover: Makeover, **changes: Any) -> Server:
    """Rebuild, the policy as it may be told otherwise."""
    judge = Judge(INVENTORY, Policy(**changes), stage.fleet.now)
    rebuilder = Rebuilder(world=stage.world, inventory=INVENTORY, judge=judge, makeover=makeover)
    errand = Errand(deed=deeds.REBUILD, saga=REBUILD, params=PATIENT, ready=rebuilder.ready)
    return act(stage.recovery, server(stage), errand)


def with_image(image: Image) -> Makeover:
    assert image.use is not None
    return Makeover(image=image, fields={"image": to_plain(image.use)})


def test_while_it_is_under_way_everybody_sees_it(stage: Stage) -> None:
    seen = []

    def look(work: Work) -> None:
        del work
        seen.append(status(stage))

    for deed, saga in ((rescuing, RESCUE), (unrescuing, UNRESCUE), (rebuilding, REBUILD)):
        first, *rest = saga.steps
        steps = (Step(name="look", do=look), first, *rest)
        deed(replace(saga, steps=steps))(stage)

    assert seen == ["RESCUE", "RESCUE", "REBUILD"]


def test_past_the_pivot_there_is_only_the_way_on(stage: Stage) -> None:
    rebuilding(failing(REBUILD, "remove", acts=False))(stage)
    (stuck,) = stage.sql.operations(unfinished=True)
    assert stuck.state is OperationState.STUCK

    with pytest.raises(Conflict, match="past the point of no return"):
        unwind(stage.recovery, stuck)
    assert stage.sql.operation(stuck.id).state is OperationState.STUCK

    RESUME(stage)
    assert_over(stage)
    assert (status(stage), server(stage).name) == ("ACTIVE", "renamed")
    assert volumes(stage) == {"g2-root", "g2-seed", "g2-console.log"}


def test_what_a_host_does_not_suit_is_refused_before_it_is_touched(stage: Stage) -> None:
    sample = FakeProber(stage.fleet).look(stage.hosts["kvm1"], depth="full", before=None)
    stage.sql.save_samples([sighting("kvm1", sample)])
    before = picture(stage)
    large = replace(OTHER, virtual_size=20 * 2**30)
    alien = replace(OTHER, properties={"hw_architecture": "aarch64"})

    for makeover, error, words in (
        (with_image(large), Conflict, "is a disk of 20480 MiB, and it has 10240"),
        (with_image(replace(OTHER, min_memory=1024)), Conflict, "1024 MiB of memory"),
        (with_image(alien), NoValidHost, "where it stays: the image needs"),
    ):
        with pytest.raises(error, match=words):
            remake(stage, makeover)

    assert picture(stage) == before
    assert not stage.sql.operations(unfinished=True)
    # The same image is not judged: the server stands there with it.
    assert remake(stage, Makeover()).state is ServerState.ACTIVE


def test_a_name_that_another_bears_is_refused_first(stage: Stage) -> None:
    before = picture(stage)
    with stage.sql.writing() as tx:
        row = rows(tx, servers.select())[0]
        tx.connection.execute(servers.insert().values({**row, "id": "other", "name": "web-2"}))

    with pytest.raises(NameTaken, match="web-2"):
        remake(stage, Makeover(fields={"name": "web-2"}))

    assert picture(stage) == before


def test_a_server_without_a_seed_can_be_told_nothing(stage: Stage) -> None:
    with stage.sql.writing() as tx:
        bare = to_plain(replace(SPEC, seed=None))
        tx.connection.execute(update(servers).values(spec=as_json(bare)))

    with pytest.raises(Conflict, match="--password: server web-1 was made with --no-config-drive"):
        remake(stage, Makeover(secrets=Secrets(password_hash="x"), carried=("--password",)))  # noqa: S106 - a test's


def test_a_rescued_server_comes_back_on_record_as_one(stage: Stage) -> None:
    rescuing()(stage)

    found, failures = standing_on(list(stage.hosts.values()), stage.world)

    assert not failures
    (one,) = found
    assert one.record is not None
    assert to_import(one, one.record).state is ServerState.RESCUED


def test_ephemeral_disks_are_kept_if_that_is_asked(stage: Stage) -> None:
    spec = replace(SPEC, ephemerals=(1024, 2048), flavor=replace(SPEC.flavor, swap=64))
    names = [one.name.removeprefix(f"{SPEC.id}-") for one in volumes_of(spec, 2)]
    assert names == [
        *("g2-root", "g2-ephemeral0", "g2-ephemeral1", "g2-swap", "g2-seed", "g2-console.log")
    ]
    rebuilder = Rebuilder(
        world=stage.world,
        inventory=INVENTORY,
        judge=Judge(INVENTORY, Policy(), stage.fleet.now),
        makeover=Makeover(preserve_ephemeral=True),
    )
    build = replace(a_build(1, "kvm1"), volumes=tuple(volumes_of(spec)))
    exchange = rebuilder.exchange(spec, build)

    kept = {one.name.removeprefix(f"{SPEC.id}-") for one in exchange.new.volumes}
    assert {"ephemeral0", "ephemeral1", "g2-root", "g2-swap"} <= kept
    assert {one.role for one in exchange.doomed} == {"root", "swap", "seed", "log"}


def test_its_user_data_is_told_to_it_again_unless_it_gets_other(tmp_path: Path) -> None:
    a_stage(tmp_path / "stage")
    told = base64.b64encode(b"first").decode()
    with on_stage(tmp_path / "stage") as stage:
        stage.fleet.sleep(time.time() + 60)
        create(stage, spec=replace(SPEC, has_user_data=True))
        seed(stage, "seed", f"web-1 1 {told}")

        remake(stage, Makeover())
        assert seed(stage, "g2-seed") == f"web-1 1 {told}"
        other = Makeover(fields={"has_user_data": True}, secrets=Secrets(user_data="b3RoZXI="))
        remake(stage, other)
        assert seed(stage, "g3-seed") == "web-1 1 b3RoZXI="
        remake(stage, Makeover(fields={"has_user_data": False}))
        assert seed(stage, "g4-seed") == "web-1 1 None"

        remake(stage, other)
        stage.fleet.on(stage.hosts["kvm1"]).ensure_off(SPEC.id)
        stage.fleet.on(stage.hosts["kvm1"]).remove_volume("default", f"{SPEC.id}-g5-seed")
        with pytest.raises(NotFound, match="which has its user data, is gone"):
            remake(stage, Makeover())


def seed(stage: Stage, name: str, new: str | None = None) -> str:
    """Read what a seed says, or have it say this."""
    with stage.fleet.state("kvm1") as state:
        held = state["pools"]["default"]["volumes"][f"{SPEC.id}-{name}"]
        if new is not None:
            held["content"] = base64.b64encode(new.encode()).decode()
        return base64.b64decode(held["content"]).decode()


@pytest.mark.parametrize("name", ["rebuild", "rescue"])
@pytest.mark.parametrize("first", ["rebuild", "rename"])
def test_what_was_planned_before_another_was_quicker_touches_nothing(
    stage: Stage, first: str, name: str
) -> None:
    rebuilder = Rebuilder(
        world=stage.world,
        inventory=INVENTORY,
        judge=Judge(INVENTORY, Policy(), stage.fleet.now),
        makeover=Makeover(),
    )
    ready = {
        "rebuild": rebuilder.ready,
        "rescue": to_rescue(INVENTORY, OTHER.use, None),
    }[name]

    def late(errand: Errand, seen: Server, attempt: Attempt, host: Host) -> Errand:
        planned = ready(errand, seen, attempt, host)
        fields = {"name": "shop"} if first == "rename" else {"hostname": "quick"}
        if first == "rename":
            token = begin(stage.sql, stage.world.leases, "rename", SPEC.id)
            stage.sql.replan(token, 1, attempt.plan, fields)
            stage.sql.finish(token, OperationState.DONE)
        else:
            remake(stage, Makeover(fields=fields))
        then.append(picture(stage))
        return planned

    then: list[dict[str, Any]] = []
    saga, deed = (REBUILD, deeds.REBUILD) if name == "rebuild" else (RESCUE, deeds.RESCUE)
    saga = failing(saga, "run", acts=True)
    with pytest.raises(Conflict, match="was changed by somebody else"):
        act(
            stage.recovery,
            server(stage),
            Errand(deed=deed, saga=saga, params=PATIENT, ready=late),
        )

    assert [picture(stage)] == then
    assert_over(stage)


def test_a_domain_that_is_gone_is_made_again_by_a_rebuild(stage: Stage) -> None:
    with stage.fleet.state("kvm1") as state:
        del state["machines"][SPEC.id]

    made = remake(stage, Makeover())

    assert (made.state, made.name) == (ServerState.ACTIVE, SPEC.name)
    assert volumes(stage) == {"g2-root", "g2-seed", "g2-console.log"}
