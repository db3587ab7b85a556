"""``server refresh``, ``--refresh`` and ``sync``: what is said of what was done past vmctl."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import by_hand
from tests.support.fake_app import on_fakes
from tests.support.looked import HOSTS
from tests.support.product import Product
from tests.support.stage import CREATION, SPEC, Stage, a_stage, create, on_stage
from tests.support.stood import THEIRS, a_card, stand
from vmctl.services.syncing import LEASE

NAME = SPEC.name


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path, HOSTS)
    with on_stage(tmp_path) as opened:
        opened.fleet.sleep(time.time())
        create(opened)
        yield opened


@pytest.fixture
def vmctl(stage: Stage) -> Product:
    return on_fakes(stage)


def test_nothing_is_said_where_nothing_was_done(vmctl: Product) -> None:
    for words in ((), (NAME,), (SPEC.id,)):
        ran = vmctl.run("server", "refresh", *words)
        assert (ran.code, ran.out, ran.err) == (0, "", "")

    ran = vmctl.run("-v", "server", "refresh")

    assert ran.err.splitlines()[-1] == "1 servers looked at on 3 hosts, 0 changed"


@pytest.mark.parametrize("words", [(), (NAME,)], ids=["all", "named"])
def test_each_change_is_a_line(vmctl: Product, stage: Stage, words: tuple[str, ...]) -> None:
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    assert vmctl.ok("server", "refresh", *words) == f"{NAME} on kvm1: ACTIVE -> SHUTOFF\n"

    by_hand.switch_on(stage.fleet, "kvm1", SPEC.id)
    by_hand.move(stage.fleet, "kvm1", "kvm3", SPEC.id)
    assert vmctl.ok("server", "refresh", *words).splitlines() == [
        f"{NAME}: it was moved, kvm1 -> kvm3",
        f"{NAME} on kvm3: SHUTOFF -> ACTIVE",
    ]

    by_hand.rename(stage.fleet, "kvm3", SPEC.id, "db")
    assert vmctl.ok("server", "refresh", *words) == f"db on kvm3: it was renamed, {NAME} -> db\n"
    last = vmctl.data("events", "--limit", "1")[0]
    assert (last["Action"], last["Server"]) == ("server-refresh", "db")


def test_list_and_show_say_the_same_beside_what_they_show(vmctl: Product, stage: Stage) -> None:
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    listed = vmctl.run("server", "list", "--refresh", "-f", "value", "-c", "Status")
    by_hand.switch_on(stage.fleet, "kvm1", SPEC.id)
    shown = vmctl.run("server", "show", NAME, "--refresh", "-f", "value", "-c", "status")

    assert (listed.out, listed.err) == ("SHUTOFF\n", f"{NAME} on kvm1: ACTIVE -> SHUTOFF\n")
    assert (shown.out, shown.err) == ("ACTIVE\n", f"{NAME} on kvm1: SHUTOFF -> ACTIVE\n")


def test_one_on_two_hosts_is_told_by_all(vmctl: Product, stage: Stage) -> None:
    by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id)

    ran = vmctl.run("server", "refresh")
    listed = vmctl.run("server", "list")
    refused = vmctl.run("server", "stop", NAME)

    assert ran.out == f"{NAME} on kvm1: it stands also on kvm2 (before: none)\n"
    assert ran.err == f"{NAME} stands on kvm1 and on kvm2: nothing is done to it\n"
    assert f"{NAME}, on kvm1, was seen on kvm2 as well" in listed.err
    assert vmctl.data("server", "show", NAME)["vmctl:also_on"] == ["kvm2"]
    assert refused.code == 1
    assert f"server {NAME} stands on kvm1 and on kvm2" in refused.err


def test_hosts_that_do_not_answer_are_told(vmctl: Product, stage: Stage) -> None:
    stage.fleet.set_down("kvm2", down=True)
    some = vmctl.run("server", "refresh")
    for host in HOSTS:
        stage.fleet.set_down(host, down=True)
    none = vmctl.run("server", "refresh")

    assert (some.code, some.err) == (14, "kvm2 did not answer\n")
    assert none.code == 11


def test_what_is_meant_must_be_there(vmctl: Product) -> None:
    ran = vmctl.run("server", "refresh", "nobody")

    assert ran.code == 1
    assert "Failed to refresh server with name or ID 'nobody'" in ran.err


def test_domains_with_records_of_no_server_here_are_told(vmctl: Product, stage: Stage) -> None:
    stand(stage.fleet, stage.hosts["kvm2"], "theirs", a_card(1), owner=THEIRS)
    stand(stage.fleet, stage.hosts["kvm3"], "lost", a_card(2), owner=stage.sql.uuid())

    lines = vmctl.run("server", "refresh").err.splitlines()

    assert len(lines) == 2
    assert lines[0].startswith("the domain lost (")
    assert lines[0].endswith("on kvm3 is not on record: vmctl db rebuild brings it back")
    assert lines[1].startswith(f"1 server is of the database {THEIRS}, on kvm2")
    assert vmctl.run("server", "refresh", NAME).err == ""


def test_a_pass_tells_what_it_found_and_how_it_ends(vmctl: Product, stage: Stage) -> None:
    assert vmctl.data("sync") == []
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)

    followed = vmctl.data("sync")
    by_hand.copy_to(stage.fleet, "kvm1", "kvm2", SPEC.id)
    left = vmctl.run("sync", "--fix", "-f", "value", "-c", "Task", "-c", "Result")
    stage.fleet.set_down("kvm3", down=True)
    failed = vmctl.run("sync", "-f", "csv")

    assert followed == [
        {
            "Task": "servers",
            "Host": "kvm1",
            "Server": NAME,
            "Result": "done",
            "Finding": f"{NAME} on kvm1: ACTIVE -> SHUTOFF",
        }
    ]
    assert (left.code, left.out) == (16, "servers done\nservers left\n")
    assert failed.code == 14
    assert '"hosts","kvm3","","failed","kvm3 did not answer"' in failed.out


def test_a_second_pass_says_who_is_at_the_first(vmctl: Product, stage: Stage) -> None:
    with stage.world.leases.hold(LEASE, owner="eve@desk (process 7)"):
        ran = vmctl.run("sync")

    assert (ran.code, ran.out) == (17, "")
    assert ran.err.startswith("eve@desk (process 7) is at it just now: nothing was done")
    assert CREATION not in ran.err
