"""The commands about hosts, as an operator gives them: from a fresh home, on real hosts."""

from __future__ import annotations

import re
import sqlite3

import pytest

from tests.lab.foreign import RUNNING
from tests.lab.outside import Lab
from tests.lab.vmctl import Vmctl

HOSTS = ("kvm1", "kvm2", "kvm3")
POOL = "/var/lib/libvirt/images"
MIB = {"GiB": 1024, "MiB": 1}


@pytest.fixture
def lab(shared_lab: Lab) -> Lab:
    """The lab, of which nothing here breaks a part: healing it takes longer than most tests."""
    return shared_lab


def mib(size: str) -> int:
    number, unit = re.fullmatch(r"(\d+)([GM]iB)", size).groups()  # type: ignore[union-attr] # else the test fails
    return int(number) * MIB[unit]


def logins(lab: Lab, host: str) -> int:
    """How often the host's sshd let somebody in."""
    log = lab.do("inside", host, "cat", "/var/log/libvirt/sshd.log")
    return log.count("Accepted publickey")


def test_a_fresh_list_shows_what_the_hosts_own_tools_say(lab: Lab, vmctl: Vmctl) -> None:
    rows = vmctl.rows("host", "list", "--long")

    assert list(rows) == list(HOSTS)
    for name, row in rows.items():
        vcpus, memory, disk = lab.host(name).capacity
        node = re.search(r"CPU\(s\): +(\d+)", lab.do("inside", name, "virsh", "nodeinfo"))
        total = re.search(r"MemTotal: +(\d+)", lab.do("inside", name, "cat", "/proc/meminfo"))
        df = lab.do("inside", name, "df", "-k", "--output=size", POOL).split()[-1]
        assert node
        assert total
        assert (row["Status"], row["State"], row["Fault"]) == ("enabled", "up", None)
        assert row["vCPUs"] == min(int(node[1]), vcpus)
        assert row["RAM"] == min(int(total[1]) // 1024, mib(memory))
        assert row["Disk"] == min(int(df) // 1024, mib(disk))
        # Two machines that are not ours, of one CPU and 64 MiB each: one runs, one is off.
        assert (row["Servers"], row["Foreign Guests"]) == (0, 2)
        assert (row["vCPUs Used"], row["RAM Used"]) == (2, 128)
        assert row["Labels"] == {"rack": f"r{(int(name[-1]) + 1) // 2}"}
    assert vmctl.db.stat().st_mode & 0o777 == 0o600


def test_a_second_list_asks_nobody(lab: Lab, vmctl: Vmctl) -> None:
    vmctl.ok("host", "list")
    before = [logins(lab, host) for host in HOSTS]

    again = vmctl("host", "list")
    after = [logins(lab, host) for host in HOSTS]
    vmctl.ok("host", "list", "--refresh", "--zone", "az2")

    assert again.code == 0
    assert again.took < 2
    assert after == before
    # The same count does see a question.
    assert logins(lab, "kvm2") > before[1]


def test_a_stopped_machine_that_is_not_ours_counts_unless_it_is_said(vmctl: Vmctl) -> None:
    vmctl = vmctl.changed((r"defaults:\n", "defaults:\n  count_stopped: false\n"))

    row = vmctl.rows("host", "list", "--long", "--zone", "az2")["kvm2"]

    assert (row["vCPUs Used"], row["RAM Used"], row["Foreign Guests"]) == (1, 64, 1)


def test_two_refreshes_at_once_both_end_well(vmctl: Vmctl) -> None:
    runs = [vmctl.start("host", "list", "--refresh", "-f", "json") for _ in range(2)]

    for run in runs:
        out, err = run.communicate(timeout=60)
        assert (run.returncode, err) == (0, "")
        assert out.count('"up"') == 3


def test_a_host_is_disabled_with_a_reason_and_enabled_again(vmctl: Vmctl) -> None:
    without = vmctl("host", "disable", "kvm2")
    vmctl.ok("host", "disable", "kvm2", "--reason", "its fan | is loud")
    row = vmctl.rows("host", "list", "--long")["kvm2"]
    shown = vmctl("host", "show", "kvm2", "-f", "json").json
    zones = vmctl("availability", "zone", "list", "-f", "json").json
    with sqlite3.connect(vmctl.db) as db:
        events = db.execute("SELECT action, result, host, login, detail FROM events").fetchall()
    vmctl.ok("host", "enable", "kvm2")

    assert without.code == 2
    assert "needs a reason" in without.err
    assert (row["Status"], row["Disabled Reason"]) == ("disabled", "its fan | is loud")
    assert (shown["status"], shown["disabled_reason"]) == ("disabled", "its fan | is loud")
    assert {zone["Zone Name"]: zone["Zone Status"] for zone in zones} == {
        "az1": "available",
        "az2": "not available",
    }
    assert len(events) == 1
    assert events[0][2] == "kvm2"
    assert events[0][3]
    assert "its fan | is loud" in events[0][4]
    enabled = vmctl.rows("host", "list", "--long")["kvm2"]
    assert (enabled["Status"], enabled["Disabled Reason"]) == ("enabled", None)
    assert vmctl("host", "disable", "kvm9", "--reason", "x").code == 1


def test_a_host_is_shown_from_the_record_and_anew(lab: Lab, vmctl: Vmctl) -> None:
    first = vmctl("host", "show", "kvm3", "-f", "json").json
    before = logins(lab, "kvm3")
    again = vmctl("host", "show", "kvm3", "-f", "json").json
    after = logins(lab, "kvm3")
    lab.virsh_ok("kvm3", "destroy", RUNNING)
    try:
        fresh = vmctl("host", "show", "kvm3", "--refresh", "-f", "json").json
    finally:
        lab.virsh_ok("kvm3", "start", RUNNING)

    assert after == before
    assert again["guests"] == first["guests"]
    assert first["libvirt_uuid"] == lab.host("kvm3").uuid
    assert {(guest["name"], guest["ours"]) for guest in first["guests"]} == {
        (RUNNING, False),
        ("old-build", False),
    }
    assert set(first["pressure_cpu"] or {"avg60": 0}) >= {"avg60"}
    assert "default" in {network["name"] for network in first["networks"]}
    assert "br-lan" in first["bridges"]
    states = {guest["name"]: guest["state"] for guest in fresh["guests"]}
    assert states == {RUNNING: "off", "old-build": "off"}
    assert f"{RUNNING}: off, 1 vCPU, 64 MiB, not ours" in vmctl.ok("host", "show", "kvm3")


def test_hypervisors_are_the_hosts_in_openstacks_words(lab: Lab, vmctl: Vmctl) -> None:
    listed = vmctl("hypervisor", "list", "--matching", "kvm2", "-f", "json").json
    by_name = vmctl("hypervisor", "show", "kvm2", "-f", "json").json
    by_id = vmctl("hypervisor", "show", lab.host("kvm2").uuid, "-f", "json").json
    stats = vmctl("hypervisor", "stats", "show", "-f", "json").json

    assert listed == [
        {
            "ID": lab.host("kvm2").uuid,
            "Hypervisor Hostname": "kvm2",
            "Hypervisor Type": "QEMU",
            "Host IP": lab.host("kvm2").address,
            "State": "up",
        }
    ]
    assert by_id == by_name
    assert (by_name["memory_mb"], by_name["memory_mb_used"]) == (6 * 1024, 128)
    assert by_name["hypervisor_version"] > 4_000_000
    assert (stats["count"], stats["memory_mb"], stats["memory_mb_used"]) == (3, 13 * 1024, 384)


def test_zones_and_aggregates_are_those_of_the_inventory(vmctl: Vmctl) -> None:
    vmctl = vmctl.changed(
        more="aggregates:\n  fast:\n    hosts: [kvm1, kvm2]\n    metadata: {ssd: 'true'}\n"
    )
    vmctl.ok("host", "list")

    zones = vmctl("availability", "zone", "list", "--long", "-f", "json").json
    listed = vmctl("aggregate", "list", "--long", "-f", "json").json
    shown = vmctl("aggregate", "show", "fast", "-f", "json").json

    assert [(z["Zone Name"], z["Host Name"], z["Service Status"]) for z in zones] == [
        ("az1", "kvm1", "enabled :-)"),
        ("az1", "kvm3", "enabled :-)"),
        ("az2", "kvm2", "enabled :-)"),
    ]
    assert [(a["ID"], a["Name"], a["Properties"], a["Hosts"]) for a in listed] == [
        (1, "fast", {"ssd": "true"}, ["kvm1", "kvm2"])
    ]
    assert (shown["hosts"], shown["properties"]) == (["kvm1", "kvm2"], {"ssd": "true"})
    assert vmctl("aggregate", "show", "slow").err == "No Aggregate found for slow\n"
    assert vmctl("hypervisor", "show", "kvm1", "-f", "json").json["aggregates"] == ["fast"]


def test_a_tab_names_the_hosts(vmctl: Vmctl) -> None:
    vmctl.ok("inventory", "validate")
    vmctl.ok("host", "list")

    assert vmctl.ok("complete", "--", "host", "show", "k").split() == list(HOSTS)
    assert vmctl.ok("complete", "--", "host", "show", "kvm3").split() == ["kvm3"]


@pytest.mark.parametrize("words", [("host", "list", "--refresh"), ("host", "check", "kvm3")])
def test_no_secret_gets_into_the_debug_log(lab: Lab, vmctl: Vmctl, words: tuple[str, ...]) -> None:
    key = lab.plan.key.read_text().splitlines()[1:-1]

    ended = vmctl(*words, "--debug")

    logs = list((vmctl.home / "state/vmctl/log").glob("*.log"))
    assert len(logs) == 1
    assert logs[0].stat().st_mode & 0o777 == 0o600
    said = ended.err + logs[0].read_text()
    assert "a script of" in said
    assert "PRIVATE KEY" not in said
    assert not [line for line in key if line in said]


def test_a_database_outlives_the_loss_of_its_file(vmctl: Vmctl) -> None:
    vmctl.ok("host", "disable", "kvm1", "--reason", "kept")
    version = vmctl("db", "version", "-f", "json").json
    vmctl.ok("db", "backup", "copy.db")
    refused = vmctl("db", "backup", "copy.db")
    vmctl.ok("host", "enable", "kvm1")
    restored = vmctl("db", "restore", "copy.db")

    assert (version["version"], version["database"]) == (version["latest"], str(vmctl.db))
    assert refused.code != 0
    assert "copy.db" in refused.err
    assert restored.code == 0, restored.err
    assert "is kept as" in restored.err
    assert vmctl.rows("host", "list")["kvm1"]["Status"] == "disabled"
    assert vmctl("db", "version", "-f", "json").json["uuid"] == version["uuid"]
