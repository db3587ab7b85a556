"""CPUs of servers' own by the product's commands, on fake hosts: from the flavor to the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import by_hand
from tests.support.claimants import a_claimant
from tests.support.fake_app import NETWORKS, on_fakes
from tests.support.images import a_qcow2
from tests.support.product import Product
from tests.support.stage import Stage, a_stage, on_stage
from vmctl.adapters.inventory import load_inventory
from vmctl.adapters.pins import find_own_cpus, find_pins

INVENTORY = f"""
hosts:
  kvm1: {{address: kvm1, dedicated_cpus: "4,6-7"}}
  kvm2: {{address: kvm2, dedicated_cpus: 5-7, zone: far}}
{NETWORKS}"""
ZONES = {"kvm1": "nova", "kvm2": "far"}
WORDS = ("server", "create", "--image", "mini", "--network", "lan", "--flavor")


@dataclass
class Site:
    stage: Stage
    product: Product

    def create(self, name: str, *words: str, flavor: str = "own", on: str = "kvm1") -> None:
        self.product.ok(*WORDS, flavor, "--availability-zone", ZONES[on], *words, name)

    def xml(self, name: str, host: str = "kvm1") -> str:
        machines = self.stage.fleet.picture(host)["machines"].values()
        return next((str(one["xml"]) for one in machines if one["name"] == name), "")

    def pinned(self, name: str, host: str = "kvm1") -> tuple[int, ...]:
        return find_own_cpus(self.xml(name, host))

    def shown(self, name: str) -> list[dict[str, int]]:
        told = self.product.data("server", "show", name, "--topology")["topology"]
        return [one["cpu_pinning"] for one in told["nodes"]]

    def id(self, name: str) -> str:
        return str(self.product.data("server", "show", name)["id"])

    def host(self, name: str = "kvm1") -> dict[str, Any]:
        found: dict[str, Any] = self.product.data("host", "show", name)
        return found


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    a_stage(tmp_path)
    (tmp_path / "disk").write_bytes(a_qcow2(size=1 << 20))
    with on_stage(tmp_path) as stage:
        product = on_fakes(stage, inventory=INVENTORY)
        text = str(product.folder / "inventory.yaml")
        inventory = load_inventory(text, str(product.folder))
        stage.hosts |= inventory.hosts
        stage.claim = a_claimant(stage, inventory=inventory).claims.claim
        product.ok("image", "create", "mini", "--file", str(tmp_path / "disk"))
        (tmp_path / "other").write_bytes(a_qcow2(size=2 << 20))
        product.ok("image", "create", "maxi", "--file", str(tmp_path / "other"))
        product.ok("flavor", "create", "--ram", "128", "--disk", "1", "m1.nano")
        own = ("--property", "hw:cpu_policy=dedicated")
        product.ok("flavor", "create", "--ram", "128", "--disk", "1", "--vcpus", "2", *own, "own")
        yield Site(stage, product)


def test_a_server_has_its_own_and_another_is_refused_until_it_is_deleted(site: Site) -> None:
    site.create("web")

    assert site.pinned("web") == (4, 6)
    assert site.shown("web") == [{"0": 4, "1": 6}]
    host = site.host()
    assert (host["dedicated_cpus"], host["dedicated_cpus_used"]) == ("4,6-7", "4,6")
    assert (host["vcpus"], host["vcpus_used"]) == (5, 0)

    again = site.product.run(*WORDS, "own", "--availability-zone", "nova", "db")
    assert again.code == 10
    assert "DedicatedCpus refuses 1 host" in again.err
    why = site.product.run("placement", "explain", "db").out
    assert "DedicatedCpus: needs 2 dedicated CPUs, 1 of 3 free" in why

    site.product.ok("server", "delete", "web")
    site.create("db")
    assert site.pinned("db") == (4, 6)


def test_servers_of_one_create_have_different_ones(site: Site) -> None:
    one = ("--ram", "128", "--disk", "1", "--property", "hw:cpu_policy=dedicated", "one")
    site.product.ok("flavor", "create", *one)

    site.create("web", "--min", "3", "--max", "3", flavor="one")

    assert sorted(site.pinned(f"web-{number}") for number in (1, 2, 3)) == [(4,), (6,), (7,)]


def test_who_shares_runs_on_the_others(site: Site) -> None:
    site.create("web", flavor="m1.nano")

    assert find_pins(site.xml("web")) == "0-3,5"
    assert site.host()["vcpus_used"] == 1
    assert site.shown("web") == []


def test_reboot_rescue_and_rebuild_keep_them(site: Site) -> None:
    one = ("--ram", "128", "--disk", "1", "--property", "hw:cpu_policy=dedicated", "one")
    site.product.ok("flavor", "create", *one)
    site.create("first", flavor="one")
    site.create("web")
    site.product.ok("server", "delete", "first")
    assert site.pinned("web") == (6, 7)
    site.product.ok("host", "list", "--refresh")  # whoever looks now sees them taken

    for words in (
        ("reboot", "--hard", "web"),
        ("rescue", "--image", "mini", "web"),
        ("unrescue", "web"),
        ("rebuild", "--image", "maxi", "web"),
    ):
        site.product.ok("server", *words)
        assert site.pinned("web") == (6, 7), words
    assert site.shown("web") == [{"0": 6, "1": 7}]


def test_a_hard_reboot_keeps_who_shares_off_what_is_dedicated_since(site: Site) -> None:
    site.create("web", flavor="m1.nano")
    identity = site.id("web")
    with by_hand.machine(site.stage.fleet, "kvm1", identity) as one:
        one["xml"] = one["xml"].replace(" cpuset='0-3,5'", "")

    site.product.ok("server", "reboot", "--hard", "web")

    assert find_pins(site.xml("web")) == "0-3,5"


def test_a_hard_reboot_of_a_domain_that_is_gone_claims_others_where_its_own_are_taken(
    site: Site,
) -> None:
    site.create("web", flavor="own")
    identity = site.id("web")
    by_hand.switch_off(site.stage.fleet, "kvm1", identity)
    by_hand.undefine(site.stage.fleet, "kvm1", identity)
    with site.stage.fleet.state("kvm1") as state:
        (foreign,) = state["machines"].values()
        foreign["xml"] = "<domain><cputune><vcpupin vcpu='0' cpuset='4'/></cputune></domain>"
        foreign["live"] = foreign["xml"]

    site.product.ok("server", "reboot", "--hard", "web")

    assert site.pinned("web") == (6, 7)
    assert site.shown("web") == [{"0": 6, "1": 7}]


def test_one_that_is_moved_by_hand_holds_what_its_domain_says_there(site: Site) -> None:
    site.create("web")
    identity = site.id("web")
    by_hand.move(site.stage.fleet, "kvm1", "kvm2", identity)
    with by_hand.machine(site.stage.fleet, "kvm2", identity) as machine:
        for old, new in (("cpuset='4'", "cpuset='7'"), ("cpuset='6'", "cpuset='5'")):
            machine["xml"] = machine["xml"].replace(old, new)

    site.product.ok("server", "show", "web", "--refresh")

    assert site.shown("web") == [{"0": 7, "1": 5}]
    assert site.host("kvm2")["dedicated_cpus_used"] == "5,7"


def test_a_rebuilt_database_knows_them(site: Site) -> None:
    site.create("web")
    with by_hand.machine(site.stage.fleet, "kvm1", site.id("web")) as machine:
        machine["xml"] = machine["xml"].replace("cpuset='4'", "cpuset='7'")
    new = str(site.product.folder / "new.db")

    site.product.ok("db", "rebuild", VMCTL_DB=new)

    nodes = site.product.data("server", "show", "web", "--topology", VMCTL_DB=new)["topology"]
    assert nodes["nodes"][0]["cpu_pinning"] == {"0": 7, "1": 6}
    # It runs on 4 still, until it is started anew.
    used = site.product.data("host", "show", "kvm1", VMCTL_DB=new)["dedicated_cpus_used"]
    assert used == "4,6-7"


def test_an_image_that_wants_other_cpus_is_refused_for_a_rebuild(site: Site) -> None:
    site.create("web", flavor="m1.nano")
    disk = str(site.product.folder / "disk")
    own = ("--property", "hw_cpu_policy=dedicated")
    site.product.ok("image", "create", "greedy", "--file", disk, *own)

    ran = site.product.run("server", "rebuild", "--image", "greedy", "web")

    assert ran.code == 1
    assert "the image greedy asks for CPUs of its own, and it runs on shared ones" in ran.err
    assert "vmctl server create" in ran.err


def test_placing_and_capacity_tell_of_them(site: Site) -> None:
    site.create("web")

    explained = site.product.run("placement", "explain", "--flavor", "own", "--count", "3")
    capacity = site.product.data("placement", "capacity", "--flavor", "own")

    assert explained.code == 10
    assert "DedicatedCpus: needs 2 dedicated CPUs, 1 of 3 free" in explained.out
    assert {one["host"]: one["fits"] for one in capacity["hosts"]} == {"kvm1": 0, "kvm2": 1}
