from __future__ import annotations

import json
import stat
from functools import cached_property
from pathlib import Path

import pytest

from tests.support.product import INVENTORY, Product, a_fleet, a_sample
from vmctl.adapters.store import open_store
from vmctl.bootstrap import App
from vmctl.domain.host import Host
from vmctl.domain.operation import Actor
from vmctl.domain.sample import Depth, FoundPool, Guest, HostSample
from vmctl.errors import HostUnreachable

SMALL = FoundPool(name="default", active=True, capacity=102_400, available=512)


@pytest.fixture
def vmctl(tmp_path: Path) -> Product:
    return a_fleet(tmp_path)


def disable(vmctl: Product, host: str, reason: str) -> None:
    with open_store(str(vmctl.db)) as store:
        store.disable(host, reason, actor=Actor(login="a", sudo_user=None, client="c"))


def explained(vmctl: Product, *words: str) -> dict[str, tuple[str, str]]:
    """The verdict and the reason of each host, in the order in which they stand there."""
    ran = vmctl.run("placement", "explain", *words, "-f", "ndjson")
    rows = [json.loads(line) for line in ran.out.splitlines()]
    return {row["Host"]: (row["Verdict"], row["Why"]) for row in rows}


def test_explain_puts_the_best_first_and_says_why_not_the_others(tmp_path: Path) -> None:
    guest = Guest(uuid="u", name="old", state="off", vcpus=1, memory=15 * 1024)
    vmctl = a_fleet(tmp_path, kvm1=a_sample(guests=(guest,)), kvm2=a_sample(memory=32 * 1024))
    disable(vmctl, "kvm3", "new disks")

    found = explained(vmctl, "--flavor", "m1.small")

    assert list(found) == ["kvm2", "kvm1", "kvm3"] or list(found) == ["kvm2", "kvm3", "kvm1"]
    assert found["kvm2"][0] == "chosen"
    assert found["kvm1"] == (
        "refused",
        (
            "Ram: needs 2 GiB, 512 MiB free of 16 GiB × 1.0, 15 GiB claimed "
            "(15 GiB by foreign guests), 512 MiB reserved"
        ),
    )
    assert found["kvm3"] == ("refused", "Compute: is disabled: new disks")


def test_hosts_that_pass_stand_by_weight(tmp_path: Path) -> None:
    sizes = {"kvm1": 20, "kvm2": 40, "kvm3": 30}
    samples = {name: a_sample(memory=gib * 1024) for name, gib in sizes.items()}
    vmctl = a_fleet(tmp_path, INVENTORY + "scheduler: {max_attempts: 1}\n", **samples)

    found = explained(vmctl, "--flavor", "m1.tiny")

    assert list(found) == ["kvm2", "kvm3", "kvm1"]
    assert [verdict for verdict, _ in found.values()] == ["chosen", "passes", "passes"]


def test_explain_ends_with_10_and_the_nearest_miss_where_nothing_fits(vmctl: Product) -> None:
    ran = vmctl.run("placement", "explain", "--flavor", "m1.xlarge")

    assert ran.code == 10
    assert "no host can take the server: Ram refuses 3 hosts" in ran.out
    assert "nearest miss: kvm1" in ran.out
    assert "a flavor with at most 15.5 GiB of memory would fit; or free 512 MiB there" in ran.out


def test_json_is_the_engines_whole_answer(vmctl: Product) -> None:
    found = vmctl.data("placement", "explain", "--flavor", "m1.tiny", "--count", "4")

    assert [each["index"] for each in found["placements"]] == [0, 1, 2, 3]
    assert {each["host"] for each in found["placements"]} == {"kvm1", "kvm2", "kvm3"}
    assert [each["passed"] for each in found["verdicts"]] == [True] * 3
    assert found["verdicts"][0]["weights"]["RAM"]["normalised"] == 1.0
    assert found["failed"] is None


def test_count_is_all_or_nothing_unless_min_is_given(vmctl: Product) -> None:
    words = ("placement", "explain", "--flavor", "m1.large", "--count", "4", "-f", "json")

    assert vmctl.run(*words).code == 10
    assert len(vmctl.data(*words[:-2], "--min", "2")["placements"]) == 3
    assert vmctl.run(*words, "--min", "5").code == 2


@pytest.mark.parametrize(
    ("words", "passing"),
    [
        (("--availability-zone", "a"), {"kvm1", "kvm2"}),
        (("--availability-zone", "a:kvm3"), {"kvm3"}),
        (("--host", "kvm2"), {"kvm2"}),
        (("--remove", "kvm1", "--remove", "kvm2"), {"kvm3"}),
        (("--add-host", "name=kvm9,vcpus=4,memory=8GiB,disk=1TiB,zone=a", "--network", "lan"),
         {"kvm1", "kvm2", "kvm3", "kvm9"}),
        (("--pool", "nvme"), set()),
    ],
    ids=["zone", "forced", "host", "remove", "add", "pool"],
)  # fmt: skip
def test_where_a_server_may_go_is_asked_as_create_asks_it(
    vmctl: Product, words: tuple[str, ...], passing: set[str]
) -> None:
    found = explained(vmctl, "--flavor", "m1.tiny", *words)

    assert {host for host, (verdict, _) in found.items() if verdict != "refused"} == passing


def test_an_image_asks_for_its_architecture(vmctl: Product) -> None:
    vmctl.ok("image", "create", "arm", "--property", "hw_architecture=aarch64", "--min-ram", "1024")

    found = explained(vmctl, "--flavor", "m1.small", "--image", "arm")
    assert (
        found["kvm1"][1]
        == "ImageProperties: the image needs aarch64, the host runs x86_64, kvm, hvm"
    )
    too_small = vmctl.run("placement", "explain", "--flavor", "m1.tiny", "--image", "arm")
    assert too_small.code == 2
    assert "1024 MiB of memory" in too_small.err


def test_a_group_and_hints_are_resolved(vmctl: Product) -> None:
    group = ("--policy", "anti-affinity")
    made = vmctl.data("server", "group", "create", "web", *group)
    words = ("placement", "explain", "--flavor", "m1.tiny", "--count", "3", "-f", "json")
    for said in (("--server-group", "web"), ("--hint", f"group={made['id']}")):
        found = vmctl.data(*words[:-2], *said)
        assert {each["host"] for each in found["placements"]} == {"kvm1", "kvm2", "kvm3"}

    assert vmctl.run(*words, "--server-group", "nope").code == 1
    heard = vmctl.run(*words, "--hint", "different_host=x", "--hint", "frobnicate=1")
    assert "the policy does not name the filter DifferentHost" in heard.err
    assert "the hint frobnicate is not known" in heard.err


def test_a_quota_that_a_create_would_break_is_said(vmctl: Product) -> None:
    vmctl.ok("quota", "set", "shop", "--cores", "1")

    ran = vmctl.run("placement", "explain", "--flavor", "m1.medium", "--project", "shop")
    assert ran.code == 0
    assert "a create would be refused: Quota exceeded for cores: Requested 2" in ran.err


class _Answers:
    def __init__(self) -> None:
        self.asked: list[str] = []

    def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
        del depth, before
        self.asked.append(host.name)
        if host.name == "kvm3":
            raise HostUnreachable(host.name, "no route to kvm3")
        return a_sample()


def test_hosts_that_were_not_heard_of_lately_are_asked(tmp_path: Path) -> None:
    answers = _Answers()

    class Asking(App):
        @cached_property
        def prober(self) -> _Answers:
            return answers

    vmctl = a_fleet(tmp_path, kvm2=a_sample(taken_at=1000.0))
    vmctl.app = Asking

    vmctl.ok("placement", "explain", "--flavor", "m1.tiny")
    assert answers.asked == ["kvm2"]
    vmctl.ok("placement", "explain", "--flavor", "m1.tiny")
    assert answers.asked == ["kvm2"]
    found = explained(vmctl, "--flavor", "m1.tiny", "--refresh")
    assert sorted(answers.asked[1:]) == ["kvm1", "kvm2", "kvm3"]
    assert found["kvm3"] == ("refused", "Compute: is down: no route to kvm3")


def test_capacity_counts_by_host_by_zone_and_in_all(tmp_path: Path) -> None:
    vmctl = a_fleet(tmp_path, kvm2=a_sample(pools=(SMALL,)))
    words = ("placement", "capacity", "--flavor", "m1.small")

    found = vmctl.data(*words, "--survive-one")
    assert found["zones"] == {"a": 5, "b": 5}
    assert [(one["host"], one["fits"], one["filter"]) for one in found["hosts"]] == [
        ("kvm1", 5, "Disk"),
        ("kvm2", 0, "Disk"),
        ("kvm3", 5, "Disk"),
    ]
    assert found["total"] == 10
    assert found["hosts"][0]["stranded"]["memory_mb"] == 16 * 1024 - 512 - 5 * 2048
    assert found["survive_one"] == {"fits": 5, "safe_now": True, "weakest": "kvm1"}
    text = vmctl.ok(*words, "--survive-one")
    for line in (
        "by zone: 5 in a, 5 in b",
        "in all: 10 more of m1.small",
        "what binds: Disk on 3 hosts",
        "with any one host dead: 5 more; one more, and kvm1 may not die",
    ):
        assert f"\n{line}\n" in text
    assert vmctl.data(*words, "--zone", "b")["total"] == 5
    assert vmctl.data(*words, "--remove", "kvm1")["total"] == 5
    more = "name=kvm9,vcpus=64,memory=256GiB,disk=200GiB"
    assert vmctl.data(*words, "--add-host", more)["total"] == 20
    assert vmctl.run(*words, "--zone", "nowhere").code == 1


def test_what_capacity_promises_is_what_explain_places(vmctl: Product) -> None:
    total = vmctl.data("placement", "capacity", "--flavor", "m1.medium")["total"]

    words = ("placement", "explain", "--flavor", "m1.medium", "--count")
    assert vmctl.run(*words, str(total)).code == 0
    assert vmctl.run(*words, str(total + 1)).code == 10


def test_a_saved_fleet_answers_without_inventory_or_database(
    vmctl: Product, tmp_path: Path
) -> None:
    request = tmp_path / "request.yaml"
    request.write_text("flavor: {name: m1.tiny, vcpus: 1, memory_mb: 512, disk_gb: 1}\n")
    words = ("--request", str(request), "-f", "json")
    live = vmctl.data("placement", "explain", "--flavor", "m1.tiny")
    for name in ("fleet.yaml", "fleet.json"):
        path = tmp_path / name
        vmctl.ok("fleet", "save", str(path))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

        nowhere = {"VMCTL_DB": "/none/x.db", "VMCTL_INVENTORY": "/none/inventory.yaml"}
        ran = vmctl.run("placement", "simulate", "--fleet", str(path), *words, **nowhere)
        assert ran.code == 0, ran
        assert json.loads(ran.out)["placements"] == live["placements"]

        assert vmctl.run("fleet", "save", str(path)).code == 1
        vmctl.ok("fleet", "save", str(path), "--replace")
    assert not list(tmp_path.glob("*.new"))
    assert json.loads((tmp_path / "fleet.json").read_text())["version"] == 1
    assert vmctl.ok("fleet", "save", "-").startswith("version: 1\n")


def test_simulate_traces_each_server_and_takes_what_ifs(tmp_path: Path) -> None:
    vmctl = Product(tmp_path)
    fleet, request = tmp_path / "fleet.yaml", tmp_path / "request.json"
    fleet.write_text(
        "hosts:\n- {name: h1, vcpus: 4, memory_mb: 1024}\n- {name: h2, vcpus: 4, memory_mb: 512}\n"
    )
    request.write_text('{"count": 3, "flavor": {"memory_mb": 512}}')
    words = ("placement", "simulate", "--fleet", str(fleet), "--request", str(request))

    assert len(vmctl.data(*words, "--trace", "all")["verdicts"]) == 6
    assert vmctl.ok(*words, "--trace", "all").count("server ") == 3
    short = vmctl.run(*words, "--remove", "h2")
    assert short.code == 10
    assert "only 2 of 3 servers find a host" in short.out
    more = ("--remove", "h2", "--add-host", "name=h3,vcpus=1,memory=512MiB,disk=1GiB")
    vmctl.ok(*words, *more)


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        ("hosts: [{name: h1, vcpu: 4}]", "hosts[0].vcpu: no such key"),
        ("hosts: [", "is neither JSON nor YAML"),
        (None, "cannot be read: No such file"),
    ],
)
def test_a_wrong_file_is_named(tmp_path: Path, fleet: str | None, said: str) -> None:
    path = tmp_path / "fleet.yaml"
    if fleet is not None:
        path.write_text(fleet)
    ran = Product(tmp_path).run("placement", "simulate", "--fleet", str(path), "--request", "-")

    assert ran.code == 2
    assert str(path) in ran.err
    assert said in ran.err


def test_the_inventorys_policy_is_checked_and_used(tmp_path: Path) -> None:
    vmctl = a_fleet(tmp_path, INVENTORY + "scheduler: {filters: [Compute], tie: order}\n")

    found = explained(vmctl, "--flavor", "m1.xlarge")
    assert {verdict for verdict, _ in found.values()} == {"chosen", "alternate"}

    wrong = "scheduler:\n  filters: [Compute, Rum]\n  weighers: {RAMM: 1}\n  options: {nope: 1}\n"
    (tmp_path / "inventory.yaml").write_text(INVENTORY + wrong)
    for words in (("inventory", "validate"), ("host", "list")):
        ran = vmctl.run(*words)
        assert ran.code == 2
        for line in (
            "inventory.yaml:11: scheduler.filters: there is no filter named Rum",
            "inventory.yaml:12: scheduler.weighers: there is no weigher named RAMM",
            "inventory.yaml:13: scheduler.options.nope: no such key",
        ):
            assert line in ran.err


def test_tables_of_placement_select_and_sort_columns_as_lists_do(vmctl: Product) -> None:
    asked = ("placement", "explain", "--flavor", "m1.tiny", "-f", "value")

    names = vmctl.ok(*asked, "-c", "host", "--sort-column", "Host", "--sort-descending")

    assert names.split() == ["kvm3", "kvm2", "kvm1"]


def test_json_of_placement_is_the_whole_answer_or_refused(vmctl: Product) -> None:
    asked = ("placement", "explain", "--flavor", "m1.tiny", "-f", "json")

    ran = vmctl.run(*asked, "-c", "Host")

    assert (ran.code, ran.out) == (2, "")
    assert "json is the whole answer" in ran.err
    assert len(vmctl.ok(*asked, "--noindent").splitlines()) == 1
