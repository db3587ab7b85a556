"""``server list``, of records that were written as creates write them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.product import Product
from tests.support.record import a_record
from tests.support.recorded import a_spec, running
from tests.support.stores import Clock, populate
from vmctl.adapters import fastread, server_lines
from vmctl.adapters.leases import open_leases
from vmctl.adapters.store import open_store
from vmctl.domain.server_line import line_of, word_of

GOLDEN = Path(__file__).parents[1] / "golden" / "cli"


@pytest.fixture
def vmctl(tmp_path: Path) -> Product:
    return a_record(tmp_path)


def named(vmctl: Product, *words: str, **environ: str) -> list[str]:
    return vmctl.ok("server", "list", "-f", "value", "-c", "Name", *words, **environ).split()


@pytest.mark.parametrize("form", ["table", "json", "value", "csv", "yaml"])
def test_a_list_is_written_as_openstack_writes_it(vmctl: Product, form: str) -> None:
    kept = (GOLDEN / f"server_list.{form}").read_bytes().decode()

    assert vmctl.ok("server", "list", "-f", form) == kept


def test_more_columns_are_told_where_they_are_asked_for(vmctl: Product) -> None:
    kept = (GOLDEN / "server_list_long.json").read_bytes().decode()

    assert vmctl.ok("server", "list", "--long", "-f", "json") == kept
    asked = ("-f", "value", "--name", "db", "-c", "Locked", "-c", "Created At")
    assert vmctl.ok("server", "list", *asked) == "2026-01-01T00:00:20Z True\n"


def test_the_id_of_a_flavor_and_the_hints_are_told_where_they_are_asked_for(
    tmp_path: Path,
) -> None:
    vmctl = a_record(tmp_path)
    with open_store(str(vmctl.db)) as store:
        spec = a_spec("hinted", 9, group="g-1", hints={"different_host": ["a", "b"]})
        running(store, open_leases(store.location), spec, "kvm1")

    asked = ("--name", "hinted|web-2", "-c", "Name", "-c", "flavor_id", "-c", "Scheduler Hints")
    assert vmctl.data("server", "list", *asked) == [
        {
            "Name": "hinted",
            "Flavor ID": "2",
            "Scheduler Hints": {"different_host": ["a", "b"], "group": "g-1"},
        },
        {"Name": "web-2", "Flavor ID": "2", "Scheduler Hints": {}},
    ]
    assert "Flavor ID" not in vmctl.data("server", "list", "--long")[0]


@pytest.mark.parametrize("words", ["--progress", "--progress --long", "--progress -f json"])
def test_the_progress_of_builds_is_refused_with_what_there_is_instead(
    vmctl: Product, words: str
) -> None:
    ran = vmctl.run("server", "list", *words.split())

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("--progress is no switch here")
    assert "Task State" in ran.err
    assert vmctl.ok("server", "list", "--progress", "plain") == vmctl.ok("server", "list")


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ("--name ^web", "web-1 web-2"),
        ("--name web-[2-9]", "web-2"),
        ("--instance-name b$", "db"),
        ("--ip 100.1[13]$", "db web-1"),
        ("--ip 203", "db"),
        ("--ip6 db8", "db"),
        ("--ip db8", ""),
        ("--status ACTIVE", "web-1"),
        ("--status UNKNOWN", "booted lost web-2"),
        ("--status SHUTOFF", "db"),
        ("--status BUILD", "new"),
        ("--status ERROR", "broken"),
        ("--status DELETED", "old"),
        ("--vm-state active", "booted lost web-1 web-2"),
        ("--task-state spawning", "new"),
        ("--power-state shutdown", "db"),
        ("--flavor m1.small --name web", "web-1 web-2"),
        ("--flavor 2 --name web", "web-1 web-2"),
        ("--flavor m1.tiny", ""),
        ("--image debian-12 --name web", "web-1 web-2"),
        ("--image 11111111-0000-4000-8000-000000000001 --name db", "db"),
        ("--host kvm1", "db new web-1"),
        ("--availability-zone b", "booted broken"),
        ("--key-name ops", "web-1"),
        ("--reservation-id r-1", "new"),
        ("--user bob", ""),
        ("--tags web", "web-1 web-2"),
        ("--tags web --tags blue", "web-1"),
        ("--tags web --not-tags blue", "web-2"),
        ("--not-tags web --not-tags blue --name web", "web-2"),
        ("--property role=web", "web-1"),
        ("--property role=db", ""),
        ("--deleted", "old"),
        ("--changes-since 2026-01-01T00:00:50Z", "booted lost old"),
        (
            "--changes-since 2026-01-01T01:00:50+01:00 --changes-before 2026-01-01T00:01:01",
            "lost old",
        ),
        ("--changes-before 2026-01-01T00:00:10.5", "web-1 web-2"),
        ("--locked", "db"),
        ("--unlocked --name web", "web-1 web-2"),
        ("--no-config-drive", "db"),
        ("--config-drive --name d", "booted"),
        ("--project shop", "web-1"),
        ("--project shop --all-projects --name web", "web-1 web-2"),
        ("--max-items 2", "booted broken"),
        ("--limit 2", "booted broken"),
        ("--marker 00000000-0000-4000-8000-000000000004", "web-1 web-2"),
        ("--marker new --max-items 1", "web-1"),
    ],
)
def test_servers_are_told_apart(vmctl: Product, words: str, names: str) -> None:
    assert named(vmctl, *words.split()) == names.split()


def test_the_stale_are_those_that_nobody_saw_of_late(vmctl: Product) -> None:
    # The record is of another day, so all that stand on a host are.
    assert named(vmctl, "--stale") == ["booted", "db", "lost", "web-1", "web-2"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("--status active", 2, "'active' is not one of"),
        ("--name (", 2, "--name: '(' is no regular expression"),
        ("--changes-since yesterday", 2, "Invalid changes-since value: yesterday"),
        ("--locked --unlocked", 2, "--locked and --unlocked exclude each other"),
        ("--property role", 2, "'role' is not KEY=VALUE"),
        ("--flavor huge", 1, "No Flavor found for huge"),
        ("--image nope", 1, "No Image found for nope"),
        ("--marker nope", 1, "marker [nope] not found"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    vmctl: Product, words: str, code: int, message: str
) -> None:
    ran = vmctl.run("server", "list", *words.split())

    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err


def test_a_host_that_left_the_inventory_loses_no_server_silently(vmctl: Product) -> None:
    ran = vmctl.run("server", "list", "-f", "value", "-c", "Name", "--name", "lost")

    assert ran.out == "lost\n"
    assert ran.err == (
        "1 server is on kvm9, which is not in the inventory: dropped, or renamed? "
        "(vmctl server list --host kvm9)\n"
    )
    assert vmctl.run("server", "list", "--name", "web").err == ""


def test_servers_are_listed_without_an_inventory(vmctl: Product) -> None:
    (vmctl.folder / "inventory.yaml").unlink()

    ran = vmctl.run("server", "list", "-f", "name", VMCTL_INVENTORY="")

    assert (ran.code, len(ran.out.split()), ran.err) == (0, 7, "")


def test_they_are_counted(vmctl: Product) -> None:
    assert vmctl.ok("server", "list", "--count", "-f", "value") == "7\n"
    assert vmctl.ok("server", "list", "--count", "--name", "web", "-f", "value") == "2\n"


def test_images_are_named_by_their_ids_on_request(vmctl: Product) -> None:
    words = ("server", "list", "-n", "--name", "db", "-f", "value", "-c", "Image")

    assert vmctl.ok(*words) == "11111111-0000-4000-8000-000000000001\n"


def test_nothing_on_record_is_an_empty_list(tmp_path: Path) -> None:
    assert Product(tmp_path).ok("server", "list", VMCTL_INVENTORY="") == "\n"
    assert not (tmp_path / "state.db").exists()


@pytest.mark.parametrize("seed", range(4))
def test_the_quick_way_reads_what_the_store_reads(tmp_path: Path, seed: int) -> None:
    clock = Clock()
    with open_store(str(tmp_path / "state.db"), clock=clock) as store:
        populate(store, open_leases(store.location), clock, seed)
        with fastread.reading(tmp_path / "state.db") as db:
            for deleted in (False, True):
                whole = [line_of(one) for one in store.servers(deleted=deleted)]
                brief = [line._replace(spec={}) for line in whole]
                found = server_lines.lines(db, deleted=deleted, whole=False)

                assert server_lines.lines(db, deleted=deleted, whole=True) == whole
                assert [line._replace(spec={}) for line in found] == brief
            words = {record.name: word_of(record) for record in store.hosts()}
            assert server_lines.host_words(db) == words


def test_a_database_that_only_the_store_can_read_is_left_to_it(vmctl: Product) -> None:
    vmctl.db.write_text("notes " * 999)

    ran = vmctl.run("server", "list", "--error-format", "json")

    assert ran.code == 13
    assert json.loads(ran.err)["error"]["code"] == "StateError"


def test_names_of_servers_are_completed(vmctl: Product) -> None:
    assert vmctl.ok("complete", "--", "events", "--server", "web").split() == ["web-1", "web-2"]


@pytest.mark.parametrize("what", ["server", "host"])
def test_a_live_view_is_for_terminals_alone(vmctl: Product, what: str) -> None:
    piped = vmctl.run(what, "list", "--watch", "1")
    data = vmctl.run(what, "list", "--watch=1", "-f", "json")
    often = vmctl.run(what, "list", "--watch", "0")

    assert (piped.code, piped.out) == (2, "")
    assert piped.err.splitlines() == [
        "--watch draws on a terminal, and stdout is none",
        "hint: --refresh asks once; the command watch(1) or a loop does the rest",
    ]
    assert (data.code, often.code) == (2, 2)
    assert data.err.startswith("--watch draws a table, and no other format\n")
