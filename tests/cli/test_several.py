"""Which servers a command means: those that are named, and those that are like what is said."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pair import DB, SHOP, WEB, a_pair
from tests.support.product import Product
from tests.support.stage import Stage
from tests.support.staged import product_on

NOTHING = "no server is like that: nothing was done\n"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with a_pair(tmp_path) as opened:
        yield opened


@pytest.fixture
def vmctl(stage: Stage) -> Product:
    return product_on(stage)


DEEDS = (
    *("start", "stop", "reboot", "reboot --hard", "pause", "unpause", "suspend", "resume"),
    *("lock", "unlock", "rescue", "unrescue", "rebuild", "delete"),
    *("set --description x", "unset --description", "wait --timeout 1"),
)


@pytest.mark.parametrize("deed", DEEDS)
def test_a_host_that_nobody_knows_is_an_error_before_anything_is_done(
    stage: Stage, vmctl: Product, deed: str
) -> None:
    before = stage.fleet.picture("kvm1")

    ran = vmctl.run("server", *deed.split(), "--host", "kmv1", "db")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.splitlines()[0] == "No Host found for kmv1"
    assert "Did you mean 'kvm1'" in ran.err
    assert stage.fleet.picture("kvm1") == before


@pytest.mark.parametrize("deed", DEEDS)
def test_that_nothing_is_meant_is_said_and_no_failure(vmctl: Product, deed: str) -> None:
    ran = vmctl.run("server", *deed.split(), "--host", "kvm3")

    assert (ran.code, ran.out.strip(), ran.err) == (0, "", NOTHING)


def test_a_tag_that_no_server_has_is_said_likewise(vmctl: Product) -> None:
    ran = vmctl.run("server", "stop", "--tag", "green")

    assert (ran.code, ran.out, ran.err) == (0, "", NOTHING)


def test_a_host_that_is_written_nowhere_any_more_is_known_by_its_servers(
    stage: Stage, vmctl: Product
) -> None:
    (stage.folder / "inventory.yaml").write_text("hosts: {kvm3: {address: 192.0.2.3}}\n")

    assert vmctl.ok("server", "delete", "--host", "kvm2", "--dry-run").startswith("db ")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("--tag blue", ["db", "shop", "web-1"]),
        ("--tag blue --tag books", ["db"]),
        ("--host kvm1", ["shop", "web-1"]),
        ("--host kvm1 --host kvm2", ["db", "shop", "web-1"]),
        ("--tag blue --host kvm2", ["db"]),
        ("--tag books --host kvm1", []),
        ("--tag books --host kvm1 web-1", ["web-1"]),
        ("--project shop --tag blue", ["shop"]),
        ("--project shop --host kvm2", []),
        ("--project shop --host kvm2 db", ["db"]),
        ("--project shop --tag blue --all-projects", ["db", "shop", "web-1"]),
    ],
)
@pytest.mark.parametrize("deed", ["delete", "lock"])
def test_servers_are_chosen_by_name_or_by_all_that_is_said_of_them(
    vmctl: Product, deed: str, words: str, names: list[str]
) -> None:
    said = vmctl.ok("server", deed, "--dry-run", *words.split())

    assert sorted(line.split()[0] for line in said.splitlines()) == names


def test_those_of_one_create_may_be_narrowed_down(vmctl: Product) -> None:
    ran = vmctl.run("server", "delete", "--dry-run", "--reservation-id", "r-1", "--tag", "blue")

    assert (ran.code, ran.out, ran.err) == (0, "", NOTHING)


def test_the_project_in_which_there_is_nothing_is_named(vmctl: Product) -> None:
    ran = vmctl.run("server", "stop", "--tag", "books", "--project", "shop")

    assert (ran.code, ran.err) == (0, "no server is like that in project shop: nothing was done\n")


def test_a_tag_that_is_set_chooses_no_server(stage: Stage, vmctl: Product) -> None:
    vmctl.ok("server", "set", WEB.name, "--tag", "books", "--description", "the shop")
    vmctl.ok("server", "unset", SHOP.name, "--tag", "blue")

    assert stage.sql.server(DB.id).spec["description"] is None
    assert stage.sql.server(WEB.id).spec["tags"] == ["blue", "books"]
    assert stage.sql.server(SHOP.id).spec["tags"] == []


def test_disks_are_not_kept_and_that_is_said_before_anything_is_done(
    stage: Stage, vmctl: Product
) -> None:
    ran = vmctl.run("server", "delete", WEB.name, "--keep-disks")

    assert (ran.code, ran.out) == (2, "")
    assert "--keep-disks is not there yet" in ran.err
    assert "hint: keep a copy first" in ran.err
    assert stage.sql.server(WEB.id).deleted is None
