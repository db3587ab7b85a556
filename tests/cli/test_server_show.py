"""``server show``, ``events``, ``server event …`` and ``operation …``, from the record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.children import started
from tests.support.product import Product
from tests.support.record import a_record
from tests.support.stores import ACTOR
from vmctl.adapters.store import open_store
from vmctl.domain.machine import SeenAddress
from vmctl.domain.observation import Observation
from vmctl.domain.record import Power

GOLDEN = Path(__file__).parents[1] / "golden" / "cli"
OPENSTACKS = frozenset((GOLDEN / "server_show.fields").read_text().split())
WEB = "00000000-0000-4000-8000-000000000001"


@pytest.fixture
def vmctl(tmp_path: Path) -> Product:
    return a_record(tmp_path)


@pytest.mark.parametrize("form", ["table", "json", "value", "shell"])
def test_a_server_is_shown_in_openstacks_fields_and_ours(vmctl: Product, form: str) -> None:
    kept = (GOLDEN / f"server_show.{form}").read_bytes().decode()

    assert vmctl.ok("server", "show", "db", "-f", form) == kept


def test_it_has_every_field_that_openstack_shows(vmctl: Product) -> None:
    fields = vmctl.data("server", "show", "web-1")

    assert set(fields) >= OPENSTACKS
    assert all(name.startswith("vmctl:") for name in set(fields) - OPENSTACKS)
    assert (fields["status"], fields["OS-EXT-STS:power_state"]) == ("ACTIVE", 1)


def test_only_a_server_in_error_has_a_fault(vmctl: Product) -> None:
    fault = vmctl.data("server", "show", "broken")["fault"]

    assert (fault["code"], fault["message"]) == (500, "kvm3: pool default is full")
    assert "fault" not in vmctl.data("server", "show", "db")


def test_a_deleted_server_keeps_the_fault_that_it_ended_with(vmctl: Product) -> None:
    identity = vmctl.data("server", "show", "broken")["id"]
    vmctl.ok("server", "delete", "broken")

    shown = vmctl.data("server", "show", identity)

    assert (shown["status"], shown["fault"]["message"]) == ("DELETED", "kvm3: pool default is full")


def test_the_topology_is_shown_where_it_is_asked_for(vmctl: Product) -> None:
    assert "topology" not in vmctl.data("server", "show", "db")
    shown = vmctl.data("server", "show", "db", "--topology")
    assert shown["topology"] == {"nodes": [], "pagesize_kb": None}

    ran = vmctl.run("server", "show", "db", "--topology", "--xml")
    assert (ran.code, "exclude each other" in ran.err) == (2, True)


def test_an_operation_in_the_way_says_how_to_go_on(vmctl: Product) -> None:
    (operation,) = vmctl.ok("operation", "list", "-f", "name").split()

    held = vmctl.data("server", "show", "new")["vmctl:operation"]

    assert (held["id"], held["state"]) == (operation, "running")
    assert held["hint"] == f"vmctl operation resume {operation}"


def test_the_status_of_a_server_on_a_host_that_booted_since_is_unknown(vmctl: Product) -> None:
    assert vmctl.data("server", "show", "booted")["status"] == "UNKNOWN"
    down = vmctl.data("server", "show", "web-2")
    assert (down["status"], down["host_status"]) == ("UNKNOWN", "DOWN")


def test_the_status_of_a_server_on_a_host_that_nobody_can_ask_is_unknown(vmctl: Product) -> None:
    lost = vmctl.data("server", "show", "lost")
    assert (lost["status"], lost["host_status"]) == ("UNKNOWN", "UNKNOWN")


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("server show web-", ["No Server found for web-",
                              "hint: Did you mean 'web-2' or 'web-1'?"]),
        ("server show nothing-like-it", ["No Server found for nothing-like-it",
                                         "hint: vmctl server list"]),
        ("server show old", ["No Server found for old", "hint: vmctl server list"]),
        ("server event list nope", ["No Server found for nope", "hint: vmctl server list"]),
        ("server event show web-1 zzz", [
            "No event with request ID 'zzz' found for server web-1",
            "hint: vmctl server event list web-1",
        ]),
        ("events --server nope", ["No Server found for nope", "hint: vmctl server list"]),
        ("operation show zzz", ["no operation has the id zzz", "hint: vmctl operation list"]),
    ],
)  # fmt: skip
def test_what_is_not_there_is_said_as_openstack_says_it(
    vmctl: Product, words: str, lines: list[str]
) -> None:
    ran = vmctl.run(*words.split())

    assert (ran.code, ran.out, ran.err.splitlines()) == (1, "", lines)


def test_a_deleted_server_is_shown_by_its_id(vmctl: Product) -> None:
    shown = vmctl.data("server", "show", "00000000-0000-4000-8000-000000000006")

    assert (shown["name"], shown["status"]) == ("old", "DELETED")
    assert shown["OS-SRV-USG:terminated_at"] == "2026-01-01T00:00:50Z"


def test_what_was_done_to_a_server_is_told_step_by_step(vmctl: Product) -> None:
    (row,) = vmctl.data("server", "event", "list", "web-1", "--long")

    assert list(row)[:4] == ["Request ID", "Server ID", "Action", "Start Time"]
    assert (row["Server ID"], row["Action"], row["Start Time"]) == (
        WEB,
        "create",
        "2026-01-01T00:00:00Z",
    )
    assert (row["User ID"], row["Client"], row["Host"], row["Result"]) == (
        "alice",
        "laptop",
        "kvm1",
        "done",
    )
    shown = vmctl.data("server", "event", "show", "web-1", row["Request ID"][:8])
    assert [(it["event"], it["result"]) for it in shown["events"]] == [("define", "Success")]
    assert [it["result"] for it in shown["vmctl:said"]] == ["begun", "done"]


def test_events_are_told_of_a_server_or_a_host_the_newest_at_the_end(vmctl: Product) -> None:
    def told(*words: str) -> list[list[str]]:
        asked = ("-f", "value", "-c", "Server", "-c", "Result")
        return [line.split() for line in vmctl.ok("events", *words, *asked).splitlines()]

    assert told("--server", "web-1") == [["web-1", "begun"], ["web-1", "done"]]
    assert told("--server", WEB, "--limit", "1") == [["web-1", "done"]]
    assert told("--host", "kvm2") == [["web-2", "begun"], ["web-2", "done"]]
    assert told("--limit", "2") == [["booted", "begun"], ["booted", "done"]]
    assert told("--server", "old") == [["old", "begun"]]
    assert told("--limit", "0") == []


def test_events_are_followed_until_interrupted(vmctl: Product) -> None:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(vmctl.folder),
        "PYTHONPATH": str(Path.cwd()),
        "VMCTL_DB": str(vmctl.db),
    }
    words = ["events", "--follow", "--limit", "1", "-f", "ndjson"]
    with started(
        [sys.executable, "-m", "vmctl", *words], stdout=subprocess.PIPE, env=environ, text=True
    ) as child:
        assert child.stdout is not None
        first = json.loads(child.stdout.readline())
        with open_store(str(vmctl.db)) as store:
            store.disable("kvm2", "new disks", actor=ACTOR)
        second = json.loads(child.stdout.readline())
        child.send_signal(signal.SIGINT)
        rest = child.stdout.read()

    assert (first["Server"], first["Result"]) == ("booted", "done")
    assert (second["Action"], second["Host"], second["Who"]) == ("host-disable", "kvm2", "alice")
    assert (child.returncode, rest) == (130, "")


def test_following_has_no_end_to_write(vmctl: Product) -> None:
    ran = vmctl.run("events", "--follow", "-f", "json")

    assert ran.code == 2
    assert "--follow writes table, ndjson, value; json has an end" in ran.err


def test_operations_that_are_not_over_are_listed_and_the_others_on_request(
    vmctl: Product,
) -> None:
    (row,) = vmctl.data("operation", "list", "--long")

    assert (row["Server"], row["State"], row["Owner State"]) == ("new", "running", "gone")
    every = vmctl.data("operation", "list", "--all")
    assert [one["Server"] for one in every] == [
        "web-1", "web-2", "db", "new", "broken", "old", "lost", "booted",
    ]  # fmt: skip
    assert [one["State"] for one in vmctl.data("operation", "list", "--all", "--server", "db")] == [
        "done"
    ]


def test_an_operation_is_shown_with_its_steps_and_what_comes_next(vmctl: Product) -> None:
    every = {one["Server"]: one["ID"] for one in vmctl.data("operation", "list", "--all")}

    shown = vmctl.data("operation", "show", every["new"])
    done = vmctl.data("operation", "show", every["web-1"])

    assert shown["owner_state"] == "gone"
    assert shown["next"] == f"vmctl operation resume {every['new']}, or unwind {every['new']}"
    assert (done["state"], done["next"]) == ("done", None)
    assert [one["event"] for one in done["steps"]] == ["define"]


def test_by_whom_an_address_was_seen_is_told_beside_what_was_planned(vmctl: Product) -> None:
    card = "52:54:00:00:00:01"
    seen = [
        SeenAddress(mac=card, address="198.51.100.77", source=source) for source in ("lease", "arp")
    ]
    with open_store(str(vmctl.db)) as store:
        at = time.time()
        one = Observation(server=WEB, host="kvm1", at=at, power=Power.RUNNING, seen=tuple(seen))
        store.observe([one])

    shown = vmctl.data("server", "show", "web-1")
    (told,) = shown["vmctl:addresses"]
    words = vmctl.ok("server", "show", "web-1", "-c", "vmctl:addresses", "-c", "addresses")
    listed = {one["Name"]: one for one in vmctl.data("server", "list", "--long")}

    assert shown["addresses"] == {"lan": ["198.51.100.77"]}
    assert told["planned"] == ["198.51.100.11"]
    assert [one["source"] for one in told["observed"]] == ["lease", "arp"]
    assert "198.51.100.11 planned, never seen; 198.51.100.77 seen by lease, arp" in words
    assert "lan=198.51.100.77 " in words
    assert listed["web-1"]["Address Sources"] == {"198.51.100.77": ["lease", "arp"]}
    assert listed["web-2"]["Address Sources"] == {"198.51.100.12": ["planned"]}
