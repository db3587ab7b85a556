"""Placement on real hosts of which one is down, one is disabled and one is full."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.lab.outside import Lab
from tests.support.product import Product

BIG = (
    "<domain type='qemu'><name>big</name><memory unit='MiB'>{}</memory>"
    "<os><type>hvm</type></os></domain>"
)


@pytest.fixture
def vmctl(lab: Lab, tmp_path: Path) -> Iterator[Product]:
    """The product on the lab's first three hosts, with a database of the test's."""
    inventory = yaml.safe_load((lab.root / "inventory.yaml").read_text())
    inventory["hosts"] = {name: inventory["hosts"][name] for name in ("kvm1", "kvm2", "kvm3")}
    beside = lab.root / "three.yaml"  # files named in it are looked for where it is
    beside.write_text(yaml.safe_dump(inventory))
    yield Product(tmp_path, inventory=beside)
    beside.unlink()


@pytest.fixture
def troubled(lab: Lab, vmctl: Product) -> Product:
    """The same with kvm1 full, kvm2 disabled and kvm3 down."""
    lab.do("pool-full", "kvm1")
    vmctl.ok("host", "disable", "kvm2", "--reason", "new disks on Friday")
    lab.do("power-off", "kvm3")
    return vmctl


@pytest.fixture
def big_guest(lab: Lab) -> Iterator[int]:
    """A machine on kvm2 that is not ours and is off, of so many MiB."""
    size = 5120
    xml = BIG.format(size)
    lab.do("inside", "kvm2", "sh", "-c", f'echo "{xml}" | virsh define /dev/stdin')
    yield size
    lab.do("inside", "kvm2", "virsh", "undefine", "big")


def rows(vmctl: Product, *words: str) -> dict[str, dict[str, Any]]:
    ran = vmctl.run(*words, "-f", "ndjson")
    found = [json.loads(line) for line in ran.out.splitlines()]
    return {row["Host"]: row for row in found}


def test_explain_names_what_is_wrong_with_each_host(troubled: Product) -> None:
    ran = troubled.run("placement", "explain", "--flavor", "m1.tiny")

    assert ran.code == 10
    told = rows(troubled, "placement", "explain", "--flavor", "m1.tiny")
    assert told["kvm1"]["Why"] == "Disk: needs 1 GiB, the pool has 0 MiB available"
    assert told["kvm2"]["Why"] == "Compute: is disabled: new disks on Friday"
    assert told["kvm3"]["Why"].startswith("Compute: is down: kvm3")
    for line in (
        "no host can take the server: Compute refuses 2 hosts, Disk refuses 1 host",
        "nearest miss: kvm1",
        "  free 1 GiB in its pool",
    ):
        assert f"\n{line}\n" in ran.out


def test_capacity_counts_what_is_left_and_says_what_is_in_the_way(
    lab: Lab, troubled: Product
) -> None:
    words = ("placement", "capacity", "--flavor", "m1.tiny")
    found = troubled.data(*words)
    assert (found["total"], found["binding"]) == (0, {"Compute": 2, "Disk": 1})

    more = troubled.data(*words, "--add-host", "name=kvm9,vcpus=1,memory=4GiB,disk=3GiB,zone=az2")
    assert more["zones"] == {"az1": 0, "az2": 3}

    troubled.ok("host", "enable", "kvm2")
    lab.do("pool-full-undo", "kvm1")
    lab.do("power-on", "kvm3")
    healed = troubled.data(*words, "--refresh", "--survive-one")
    assert healed["total"] == sum(one["fits"] for one in healed["hosts"]) > 0
    assert all(one["fits"] > 0 for one in healed["hosts"])
    assert 0 < healed["survive_one"]["fits"] < healed["total"]
    without = troubled.data(*words, "--remove", "kvm2")
    (kvm2,) = (one for one in healed["hosts"] if one["host"] == "kvm2")
    assert without["total"] == healed["total"] - kvm2["fits"]


def test_what_if_a_host_more_stood_there(troubled: Product) -> None:
    words = ("placement", "explain", "--flavor", "m1.tiny")
    new = ("--add-host", "name=kvm9,vcpus=4,memory=8GiB,disk=100GiB,zone=az1")

    told = rows(troubled, *words, *new)

    assert next(iter(told)) == "kvm9"
    assert told["kvm9"]["Verdict"] == "chosen"
    assert told["kvm9"]["Why"] == "the only host that passes"
    assert troubled.run(*words, *new, "--remove", "kvm9").code == 1


def test_a_machine_that_is_not_ours_and_is_off_takes_its_room(
    vmctl: Product, big_guest: int
) -> None:
    told = rows(vmctl, "placement", "explain", "--flavor", "m1.small", "--host", "kvm2")

    assert big_guest == 5120
    assert told["kvm2"]["Verdict"] == "refused"
    assert "Ram: needs 2 GiB" in told["kvm2"]["Why"]
    assert "by foreign guests" in told["kvm2"]["Why"]


def test_a_saved_fleet_answers_as_the_live_one_did(vmctl: Product, tmp_path: Path) -> None:
    live = vmctl.data("placement", "explain", "--flavor", "m1.tiny")
    vmctl.ok("fleet", "save", str(tmp_path / "fleet.yaml"))
    request = '{"flavor": {"memory_mb": 512, "disk_gb": 1}, "networks": ["default"]}'
    (tmp_path / "request.json").write_text(request)

    words = ("--fleet", f"{tmp_path}/fleet.yaml", "--request", f"{tmp_path}/request.json")
    offline = vmctl.data("placement", "simulate", *words)

    def told(found: dict[str, Any]) -> list[tuple[str, bool]]:
        return [(verdict["host"], verdict["passed"]) for verdict in found["verdicts"]]

    assert told(offline) == told(live) == [("kvm1", True), ("kvm2", True), ("kvm3", True)]
    assert offline["placements"] == live["placements"]
