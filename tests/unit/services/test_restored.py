"""A database put back from a backup, of servers that got another system since: hosts are right."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from tests.support import by_hand
from tests.support.built import Deed, deleting
from tests.support.changed import change, on_host, spec
from tests.support.deeds_done import (
    FORCED,
    HARD,
    PAUSE,
    REBOOT,
    RESUMING,
    START,
    STOP,
    SUSPEND,
    UNPAUSE,
)
from tests.support.looked import told
from tests.support.stage import SPEC, Stage, on_stage
from tests.support.torture_rebuild import OTHER, rebuilding, rescuing, unrescuing
from tests.support.trying import RESUME
from vmctl.domain.build import Build
from vmctl.domain.edits import Edits
from vmctl.domain.plain import from_plain, to_plain
from vmctl.domain.record import shown_status
from vmctl.errors import Conflict
from vmctl.services.believing import now
from vmctl.services.setting import planned, set_password, set_server

Making = Callable[[], Deed]

TAGGED = Edits(tags=("new",))
NEW = {"g2-root", "g2-seed", "g2-console.log"}
RESCUE_DISKS = {"g2-rescue", "g2-rescue-seed"}


def tagging(stage: Stage) -> None:
    """Say something of the server."""
    change(stage, TAGGED)


def giving_password(stage: Stage) -> None:
    """Have its guest take another password."""
    set_password(stage.recovery, stage.sql.server(SPEC.id), "secret1")


DEEDS: dict[str, Deed] = {
    "set": tagging,
    "set --password": giving_password,
    "start": START,
    "stop": STOP,
    "stop --force": FORCED,
    "reboot": REBOOT,
    "reboot --hard": HARD,
    "pause": PAUSE,
    "unpause": UNPAUSE,
    "suspend": SUSPEND,
    "resume": RESUMING,
}


@contextmanager
def restored(stage: Stage, *since: Deed) -> Iterator[Stage]:
    """Do something, and have a database that is from before."""
    folder = stage.folder.with_name("restored")
    folder.mkdir()
    stage.sql.backup(folder / "state.db")
    for deed in since:
        deed(stage)
    (folder / "hosts").symlink_to(stage.folder / "hosts")
    with on_stage(folder) as old:
        yield old


def volumes(stage: Stage) -> set[str]:
    with stage.fleet.state("kvm1") as state:
        held = state["pools"]["default"]["volumes"]
        return {one.removeprefix(f"{SPEC.id}-") for one in held if one.startswith(SPEC.id)}


def booted(stage: Stage) -> set[str]:
    """What the domain says that it has."""
    return {one.name.removeprefix(f"{SPEC.id}-") for one in on_host(stage).build.volumes}


def status(stage: Stage) -> str:
    server = stage.sql.server(SPEC.id)
    return shown_status(server.state, server.task)


def plan(stage: Stage) -> Build:
    return from_plain(Build, stage.sql.attempts(SPEC.id)[-1].plan)


def tried(deed: Deed, stage: Stage) -> None:
    """Do it; a state may forbid it."""
    with suppress(Conflict):
        deed(stage)


@pytest.mark.parametrize("name", DEEDS)
def test_a_database_from_before_a_rebuild_leaves_the_new_system_as_it_is(
    stage: Stage, name: str
) -> None:
    with restored(stage, rebuilding()) as old:
        assert volumes(old) == NEW

        tried(DEEDS[name], old)

        assert booted(old) == volumes(old) == NEW
        assert plan(old) == on_host(old).build
        record = spec(old)
        assert (record.name, record.hostname, record.image) == ("renamed", "renamed", OTHER.use)
        assert on_host(old).spec == replace(record, name=on_host(old).spec.name)
        assert record.tags == (*SPEC.tags, *(("new",) if name == "set" else ()))


@pytest.mark.parametrize("name", DEEDS)
def test_a_database_from_before_a_rescue_leaves_the_rescue_system_as_it_is(
    stage: Stage, name: str
) -> None:
    own = volumes(stage)
    with restored(stage, rescuing()) as old:
        tried(DEEDS[name], old)

        assert (status(old), booted(old)) == ("RESCUE", own | RESCUE_DISKS)
        assert volumes(old) == own | RESCUE_DISKS
        assert plan(old) == on_host(old).build


@pytest.mark.parametrize("name", DEEDS)
def test_a_database_from_before_an_unrescue_does_not_boot_the_rescue_system(
    stage: Stage, name: str
) -> None:
    own = volumes(stage)
    rescuing()(stage)
    with restored(stage, unrescuing()) as old:
        tried(DEEDS[name], old)

        assert booted(old) == volumes(old) == own
        assert plan(old) == on_host(old).build


@pytest.mark.parametrize("first", [rebuilding, rescuing])
@pytest.mark.parametrize("name", ["delete", "unrescue", "rebuild", "rescue"])
def test_a_database_from_before_another_system_finds_all_of_it(
    stage: Stage, name: str, first: Making
) -> None:
    own = volumes(stage)
    deeds: dict[str, Deed] = {
        "delete": deleting(),
        "unrescue": unrescuing(),
        "rebuild": rebuilding(),
        "rescue": rescuing(),
    }
    after: dict[tuple[str, Making], tuple[str, set[str]]] = {
        ("delete", rebuilding): ("DELETED", set()),
        ("delete", rescuing): ("DELETED", set()),
        ("unrescue", rebuilding): ("ACTIVE", NEW),
        ("unrescue", rescuing): ("ACTIVE", own),
        ("rebuild", rebuilding): ("ACTIVE", {one.replace("g2", "g3") for one in NEW}),
        ("rebuild", rescuing): ("RESCUE", own | RESCUE_DISKS),
        ("rescue", rebuilding): ("RESCUE", NEW | {"g3-rescue", "g3-rescue-seed"}),
        ("rescue", rescuing): ("RESCUE", own | RESCUE_DISKS),
    }
    with restored(stage, first()) as old:
        deeds[name](old)

        assert (status(old), volumes(old)) == after[name, first]


def test_a_rebuilt_server_from_an_older_database_still_boots(stage: Stage) -> None:
    with restored(stage, rebuilding()) as old:
        HARD(old)
        tagging(old)
        FORCED(old)
        START(old)

        assert status(old) == "ACTIVE"
        assert booted(old) == volumes(old) == NEW


def test_that_the_record_follows_is_told_once(stage: Stage) -> None:
    said: list[str] = []
    with restored(stage, rebuilding()) as old:
        recovery = replace(old.recovery, tell=said.append)
        now(recovery, old.sql.server(SPEC.id))
        now(recovery, old.sql.server(SPEC.id))

        boots = [f"{SPEC.id}-root", f"{SPEC.id}-g2-root"]
        assert told(old) == [("name", SPEC.name, "renamed"), ("disk", *boots)]
    assert said == [
        f"renamed on kvm1: it boots another disk than on record, {boots[0]} -> {boots[1]}"
    ]


def test_a_change_that_its_host_is_yet_to_hear_of_outlives_what_the_host_knows(
    stage: Stage,
) -> None:
    with restored(stage, rebuilding()) as old:
        old.fleet.set_down("kvm1", down=True)
        set_server(old.recovery, planned(old.sql, old.sql.server(SPEC.id), TAGGED))
        old.fleet.set_down("kvm1", down=False)

        RESUME(old)

        assert spec(old).tags == on_host(old).spec.tags == (*SPEC.tags, "new")
        assert booted(old) == volumes(old) == NEW
        assert plan(old) == on_host(old).build


def test_a_domain_defined_from_an_old_description_does_not_win(stage: Stage) -> None:
    with by_hand.machine(stage.fleet, "kvm1", SPEC.id) as machine:
        before = machine["xml"]
    rebuilding()(stage)
    with by_hand.machine(stage.fleet, "kvm1", SPEC.id) as machine:
        machine["xml"] = before

    tagging(stage)

    assert booted(stage) == NEW
    assert to_plain(plan(stage)) == to_plain(on_host(stage).build)
