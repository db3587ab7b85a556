from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.product import Product

NAMES = ["m1.tiny", "m1.small", "m1.medium", "m1.large", "m1.xlarge"]


@pytest.fixture
def vmctl(tmp_path: Path) -> Product:
    return Product(tmp_path)


def test_the_usual_flavors_are_there_at_first_use(vmctl: Product) -> None:
    rows = vmctl.data("flavor", "list")

    assert [row["Name"] for row in rows] == NAMES
    assert list(rows[0]) == ["ID", "Name", "RAM", "Disk", "Ephemeral", "VCPUs", "Is Public"]
    assert [rows[2][key] for key in ("RAM", "Disk", "VCPUs")] == [4096, 40, 2]


def test_a_flavor_is_made_shown_changed_and_deleted(vmctl: Product) -> None:
    words = ("--vcpus", "2", "--ram", "1024", "--disk", "10", "--swap", "64", "--ephemeral", "5")
    made = vmctl.data("flavor", "create", "db", *words, "--property", "ssd=true", "--id", "d1")
    vmctl.ok("flavor", "set", "d1", "--property", "label:rack=r1", "--description", "for databases")
    vmctl.ok("flavor", "unset", "db", "--property", "ssd", "--property", "never-there")
    shown = vmctl.data("flavor", "show", "db")

    assert made["properties"] == {"ssd": "true"}
    assert shown["properties"] == {"label:rack": "r1"}
    assert {key: shown[key] for key in ("id", "name", "vcpus", "ram", "disk", "swap")} == {
        "id": "d1",
        "name": "db",
        "vcpus": 2,
        "ram": 1024,
        "disk": 10,
        "swap": 64,
    }
    assert shown["OS-FLV-EXT-DATA:ephemeral"] == 5
    assert shown["description"] == "for databases"
    vmctl.ok("flavor", "delete", "d1")
    assert vmctl.run("flavor", "show", "db").code == 1


def test_private_flavors_are_listed_when_asked_for(vmctl: Product) -> None:
    vmctl.ok("flavor", "create", "own", "--private")

    def names(*words: str) -> list[str]:
        return vmctl.ok("flavor", "list", *words, "-f", "value", "-c", "Name").split()

    assert names() == NAMES
    assert names("--private") == ["own"]
    assert names("--all") == ["own", *NAMES]
    assert names("--min-ram", "4096", "--min-disk", "41") == ["m1.large", "m1.xlarge"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("flavor", "show", "m1.smal"), "No Flavor found for m1.smal"),
        (("image", "show", "nope"), "No Image found for nope"),
        (("server", "group", "show", "nope"), "No ServerGroup found for nope"),
        (("flavor", "create", "m1.tiny"), "a flavor of this name is there already"),
        (("flavor", "create", "mine", "--id", "1"), "a flavor with this id is there already"),
    ],
)
def test_what_is_unknown_or_taken_is_said(
    vmctl: Product, words: tuple[str, ...], message: str
) -> None:
    ran = vmctl.run(*words)

    assert ran.code == 1
    assert ran.err.splitlines()[0] == message
    if words[-1] == "m1.smal":
        assert ran.err.splitlines()[1].startswith("hint: Did you mean 'm1.small'")


def test_deleting_several_goes_on_after_a_failure(vmctl: Product) -> None:
    ran = vmctl.run("flavor", "delete", "m1.tiny", "nope", "m1.large")

    assert ran.code == 1
    assert "1 of 3 flavors failed to delete." in ran.err
    left = vmctl.ok("flavor", "list", "-f", "value", "-c", "Name").split()
    assert left == ["m1.small", "m1.medium", "m1.xlarge"]


@pytest.mark.parametrize(
    "words",
    [
        ("flavor", "create", "x", "--property", "ssd"),
        ("flavor", "create", "x", "--ram", "0"),
        ("image", "create", "x", "--file", "disk.img"),
        ("image", "create", "x", "--url", "file:///etc/passwd"),
        ("image", "create", "x", "--url", "https://me:secret@images.example/x"),
        ("image", "create", "x", "--url", "https://images.example/x y"),
        ("image", "create", "x", "--url", "http://"),
        ("image", "create", "x", "--url", "https://i.example/x", "--checksum", "md5:1"),
        ("image", "create", "x", "--checksum", "0" * 64),
        ("server", "group", "create", "x"),
        ("server", "group", "create", "x", "--policy", "together"),
        ("server", "group", "create", "x", "--policy", "affinity", "--rule",
         "max_server_per_host=2"),
        ("server", "group", "create", "x", "--policy", "anti-affinity", "--rule", "min=2"),
        ("server", "group", "create", "x", "--policy", "anti-affinity", "--rule",
         "max_server_per_host=0"),
        ("quota", "set", "p"),
        ("quota", "set", "p", "--cores", "-2"),
    ],
)  # fmt: skip
def test_wrong_words_are_refused(vmctl: Product, words: tuple[str, ...]) -> None:
    assert vmctl.run(*words).code == 2


def test_an_image_is_a_record_of_its_properties(vmctl: Product) -> None:
    words = ("--property", "hw_architecture=aarch64", "--min-disk", "4", "--min-ram", "512")
    vmctl.ok("image", "create", "debian", *words)
    vmctl.ok("image", "set", "debian", "--property", "os_distro=debian", "--name", "debian-12")
    vmctl.ok("image", "unset", "debian-12", "--property", "hw_architecture")
    shown = vmctl.data("image", "show", "debian-12")

    assert shown["properties"] == {"os_distro": "debian"}
    assert (shown["min_disk"], shown["min_ram"], shown["status"]) == (4, 512, "queued")
    (row,) = vmctl.data("image", "list")
    assert row == {"ID": shown["id"], "Name": "debian-12", "Status": "queued"}
    vmctl.ok("image", "delete", shown["id"])
    assert vmctl.data("image", "list") == []


def test_a_server_group_has_a_policy_and_a_rule(vmctl: Product) -> None:
    rule = ("--policy", "anti-affinity", "--rule", "max_server_per_host=3")
    made = vmctl.data("server", "group", "create", "web", *rule, "--project", "shop")

    assert made["rules"] == {"max_server_per_host": 3}
    assert made["project_id"] == "shop"
    (row,) = vmctl.data("server", "group", "list")
    assert row == {"ID": made["id"], "Name": "web", "Policy": "anti-affinity"}
    assert vmctl.data("server", "group", "list", OS_PROJECT_NAME="bank") == []
    assert vmctl.data("server", "group", "list", "--all-projects", OS_PROJECT_NAME="bank") != []
    vmctl.ok("server", "group", "delete", "web")
    assert vmctl.run("server", "group", "show", "web").code == 1


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (("--project", "shop"), {}),
        (("--os-project-name", "shop"), {}),
        ((), {"VMCTL_PROJECT": "shop"}),
        ((), {"OS_PROJECT_NAME": "shop"}),
        (("shop",), {}),
    ],
    ids=["--project", "--os-project-name", "VMCTL_PROJECT", "OS_PROJECT_NAME", "argument"],
)
def test_quotas_belong_to_the_chosen_project(
    vmctl: Product, words: tuple[str, ...], environ: dict[str, str]
) -> None:
    vmctl.ok("quota", "set", *words, "--cores", "8", "--ram", "4096", **environ)

    found = {row["Resource"]: row["Limit"] for row in vmctl.data("quota", "show", "shop")}
    assert found == {"instances": -1, "cores": 8, "ram": 4096}
    assert {row["Limit"] for row in vmctl.data("quota", "show")} == {-1}
    vmctl.ok("quota", "set", "shop", "--cores", "-1")
    shown = vmctl.data("quota", "show", *words, "--usage", **environ)
    assert shown[1] == {"Resource": "cores", "Limit": -1, "In Use": 0}


def test_names_on_record_are_completed(vmctl: Product) -> None:
    vmctl.ok("server", "group", "create", "web", "--policy", "affinity")

    assert vmctl.ok("complete", "--", "flavor", "show", "m1.s").split() == ["m1.small"]
    assert vmctl.ok("complete", "--", "server", "group", "show", "w").split() == ["web"]
    assert vmctl.ok("complete", "--", "host", "check", "--flavor", "m1.x").split() == ["m1.xlarge"]
    networks = "networks: {lan: {source: {bridge: br0}}}\nhosts: {kvm1: {address: 192.0.2.1}}\n"
    (vmctl.folder / "inventory.yaml").write_text(networks)
    asked = ("complete", "--", "placement", "explain")
    assert vmctl.ok(*asked, "--network", "l").split() == ["lan"]
    assert vmctl.ok(*asked, "--remove", "k").split() == ["kvm1"]
    assert vmctl.run("complete", "--", "flavor", "show", "m", VMCTL_DB="/none/x.db").out == ""
