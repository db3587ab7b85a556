"""``placement explain SERVER``: the trace that a create left."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.product import Product, a_fleet
from tests.support.recorded import a_spec, admitted
from vmctl.adapters.leases import open_leases
from vmctl.adapters.store import open_store

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def vmctl(tmp_path: Path) -> Product:
    return a_fleet(tmp_path)


def placed(vmctl: Product, name: str, number: int, *, flavor: str = "m1.tiny") -> None:
    """Put a server on record with what the scheduler says at this moment."""
    ran = vmctl.run("placement", "explain", "--flavor", flavor, "-f", "json")
    trace = json.loads(ran.out)
    host = trace["placements"][0]["host"] if trace["placements"] else "kvm1"
    with open_store(str(vmctl.db)) as store:
        admitted(store, open_leases(store.location), a_spec(name, number), host, trace=trace)


def test_the_trace_is_told_as_it_was_told_then(vmctl: Product) -> None:
    before = vmctl.ok("placement", "explain", "--flavor", "m1.tiny")
    placed(vmctl, "web", 1)
    (vmctl.folder / "inventory.yaml").write_text("hosts: {kvm1: {address: 192.0.2.1}}\n")

    after = vmctl.ok("placement", "explain", "web", "-f", "value", "-c", "Host", "-c", "Verdict")

    verdicts = {tuple(line.split()[1:6:4]) for line in before.splitlines()[3:6]}
    assert {tuple(line.split()) for line in after.splitlines()} == verdicts
    words = vmctl.ok("placement", "explain", "web").splitlines()[-1]
    assert words.startswith("web was placed on kvm")
    assert "next would be kvm" in words


def test_as_json_it_is_the_whole_trace(vmctl: Product) -> None:
    placed(vmctl, "web", 1)

    whole = vmctl.data("placement", "explain", "web")

    assert whole["server"] == "00000000-0000-4000-8000-000000000001"
    assert {verdict["host"] for verdict in whole["verdicts"]} == {"kvm1", "kvm2", "kvm3"}
    shown = vmctl.data("server", "show", "web", "--placement")["vmctl:placement"]
    assert shown["verdicts"] == whole["verdicts"]
    assert "vmctl:placement" not in vmctl.data("server", "show", "web")


def test_of_a_server_that_no_host_could_take_every_refusal_is_told(vmctl: Product) -> None:
    placed(vmctl, "huge", 1, flavor="m1.xlarge")

    rows = [
        json.loads(line)
        for line in vmctl.ok("placement", "explain", "huge", "-f", "ndjson").splitlines()
    ]

    assert {row["Verdict"] for row in rows} == {"refused"}
    assert all(row["Why"].startswith(("Ram: needs 16 GiB", "Disk: ")) for row in rows)


def test_what_nobody_placed_has_no_trace(vmctl: Product) -> None:
    with open_store(str(vmctl.db)) as store:
        admitted(store, open_leases(store.location), a_spec("web", 1))

    ran = vmctl.run("placement", "explain", "web")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("nothing is on record of why web stands where it does\n")


@pytest.mark.parametrize(
    "words", [("--flavor", "m1.tiny"), ("--refresh",), ("--count", "2"), ("--remove", "kvm1")]
)
def test_nothing_can_be_asked_with_a_server(vmctl: Product, words: tuple[str, ...]) -> None:
    ran = vmctl.run("placement", "explain", "web", *words)

    assert (ran.code, ran.out) == (2, "")
    assert "a server's placement is on record" in ran.err


def test_without_a_server_a_flavor_is_needed(vmctl: Product) -> None:
    ran = vmctl.run("placement", "explain")

    assert (ran.code, ran.err.splitlines()[0]) == (2, "missing option '--flavor'")
