"""The words of rescue and rebuild: what is refused before anybody is asked, and what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.fake_app import on_fakes
from tests.support.images import a_qcow2
from tests.support.pair import DB, WEB, a_pair
from tests.support.product import Product
from tests.support.recorded import a_card, a_spec, running
from vmctl.adapters.leases import open_leases
from vmctl.adapters.store import open_store

INVENTORY = """
hosts: {kvm1: {address: 192.0.2.1, zone: az1, networks: [lan]}}
networks: {lan: {source: {bridge: br0}, cidrs: [198.51.100.0/24], addressing: static}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Product:
    folder = tmp_path_factory.mktemp("site")
    (folder / "inventory.yaml").write_text(INVENTORY)
    (folder / "disk").write_bytes(a_qcow2(size=1 << 20))
    made = Product(folder)
    with open_store(str(made.db)) as store:
        leases = open_leases(store.location)
        for number, name in enumerate(("web", "db"), 1):
            card = (a_card(number, f"198.51.100.{10 + number}", network="lan"),)
            running(store, leases, a_spec(name, number), "kvm1", card)
    made.ok("image", "create", "mini", "--file", str(folder / "disk"))
    made.ok("image", "create", "empty")
    return made


WRONG = {
    "rebuild web db --name other": "--name: it can be only one server's",
    "rebuild --tag blue --hostname other": "--hostname: it can be only one server's",
    "rebuild web --key-name k --no-key-name": "--key-name and --no-key-name exclude each other",
    "rebuild web --user-data - --no-user-data": "--user-data and --no-user-data exclude",
    "rebuild web --user-data - --password -": "cannot both come from stdin",
    "rebuild web --name a/b --hostname _": "'a/b' is no server name",
    "rebuild web --image empty": "the image empty has no bytes yet",
    "rebuild web --trusted-image-cert x": "--trusted-image-cert is not there yet",
    "rescue web --image empty": "the image empty has no bytes yet",
    "rescue web --image none": "No Image found for none",
    "rescue --image mini": "which server?",
}


@pytest.mark.parametrize("words", WRONG)
def test_what_contradicts_itself_is_refused(site: Product, words: str) -> None:
    ran = site.run("server", *words.split())

    assert ran.code in (1, 2)
    assert WRONG[words] in ran.err
    assert "192.0.2.1" not in ran.err
    assert ran.out == ""


def test_a_password_on_the_command_line_is_warned_of(site: Product) -> None:
    ran = site.run("server", "rescue", "web", "--password", "open", "--dry-run")

    assert "a password on the command line is seen by everyone" in ran.err
    assert (ran.code, ran.out) == (11, "")


def test_all_that_is_wrong_is_said_at_once(site: Product) -> None:
    ran = site.run("server", "rebuild", "web", "--name", "a/b", "--hostname", "_", "--image", "no")

    assert ran.code == 2
    for words in ("'a/b' is no server name", "'_' is no hostname", "No Image found for no"):
        assert words in ran.err


def test_nothing_of_it_was_begun(site: Product) -> None:
    with open_store(str(site.db)) as store:
        assert not store.operations(unfinished=True)
    assert Path(site.db).exists()


@pytest.mark.parametrize("down", ["kvm1", "kvm2"])
def test_those_that_were_rebuilt_are_shown_where_another_one_failed(
    tmp_path: Path, down: str
) -> None:
    with a_pair(tmp_path) as stage:
        vmctl = on_fakes(stage)
        stage.fleet.set_down(down, down=True)

        ran = vmctl.run("server", "rebuild", WEB.name, DB.name, "-f", "value", "-c", "Name")
        dry = vmctl.run("server", "rebuild", "--dry-run", WEB.name, DB.name, "-f", "value")

    other = DB if down == "kvm1" else WEB
    assert (ran.code, ran.out) == (1, f"{other.name}\n")
    assert ran.err.endswith("1 of 2 servers failed to rebuild.\n")
    assert (dry.code, dry.out.split()[1:2]) == (1, [other.name])


def test_where_all_failed_no_table_is_shown(tmp_path: Path) -> None:
    with a_pair(tmp_path) as stage:
        vmctl = on_fakes(stage)
        vmctl.ok("server", "lock", WEB.name, DB.name)

        ran = vmctl.run("server", "rebuild", WEB.name, DB.name, "-f", "json")

    assert (ran.code, ran.out) == (1, "")
    assert "2 of 2 servers failed to rebuild." in ran.err
