"""`vmctl host check` on real hosts: each fault by its name, with the command that mends it."""

from __future__ import annotations

import re

from tests.lab.outside import Lab
from tests.lab.vmctl import Vmctl, findings

HOSTS = ("kvm1", "kvm2", "kvm3")
FILTERS = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")


def test_a_lab_that_is_well_passes_by_all_three_logins(vmctl: Vmctl) -> None:
    ended = vmctl("host", "check", "-f", "json")

    assert (ended.code, ended.err) == (0, "")
    for host in HOSTS:
        assert findings(ended, host, "warn", "fail") == {}
        passed = findings(ended, host, "pass")
        assert {"login", "libvirt", "lease", "volumes", "both stacks"} <= set(passed)
    # What is wanted only by machines that ask for it is told, and fails nothing.
    assert set(findings(ended, "kvm1", "skip")) <= {"kvm", "uefi", "tpm"}
    assert vmctl.rows("host", "list")["kvm1"]["State"] == "up"


def test_people_read_what_is_not_well_and_all_of_it_with_long(vmctl: Vmctl) -> None:
    brief, long = vmctl("host", "check", "kvm2"), vmctl("host", "check", "kvm2", "--long")

    assert re.fullmatch(r"kvm2: \d\d pass, 3 skip", brief.out.splitlines()[0])
    assert "lease" not in brief.out
    assert "  pass  lease: it can be held\n" in long.out
    assert "  pass  login: ops is let in\n" in long.out


def test_a_host_that_is_not_in_the_inventory_is_told_before_any_is_asked(vmctl: Vmctl) -> None:
    ended = vmctl("host", "check", "kvm1", "kvm9")

    assert ended.code == 1
    assert "kvm9" in ended.err
    assert ended.out == ""


def test_a_flavor_has_room_or_the_numbers_tell_why_not(vmctl: Vmctl) -> None:
    tiny = vmctl("host", "check", "kvm2", "kvm3", "--flavor", "m1.tiny", "-f", "json")
    large = vmctl("host", "check", "kvm3", "--flavor", "m1.xlarge", "-f", "json")

    assert tiny.code == 0
    assert findings(tiny, "kvm2")["flavor"]["Found"] == "m1.tiny has room"
    assert large.code == 1
    found = findings(large, "kvm3", "fail")["flavor"]["Found"]
    assert "m1.xlarge needs 8 vCPUs, " in found
    assert "needs 16 GiB memory, " in found
    assert "needs 160 GiB disk, 4 GiB free" in found


def test_one_network_is_checked_where_it_is_and_where_it_is_not(vmctl: Vmctl) -> None:
    vmctl = vmctl.changed(
        (r"kvm2:\n", "kvm2:\n    networks: [default]\n"),
    )

    ended = vmctl("host", "check", "kvm1", "kvm2", "--network", "lan", "-f", "json")

    assert ended.code == 1
    assert findings(ended, "kvm1")["networks"]["Found"] == "lan: bridge br-lan"
    missing = findings(ended, "kvm2", "fail")["networks"]
    assert missing["Remedy"] == "add lan to the networks of kvm2 in the inventory"
    assert missing["Where"] == "here"


def test_a_pool_that_is_not_active_is_started_by_the_remedy(lab: Lab, vmctl: Vmctl) -> None:
    lab.virsh_ok("kvm2", "pool-destroy", "default")
    try:
        ended = vmctl("host", "check", "kvm2", "-f", "json")
        remedy = findings(ended, "kvm2", "fail")["pools"]["Remedy"]
        mended = lab.ssh("kvm2", remedy)
    finally:
        lab.virsh("kvm2", "pool-start", "default")

    assert ended.code == 1
    assert findings(ended, "kvm2", "fail")["pools"]["Found"] == "default is not active"
    assert mended.returncode == 0, mended.stderr
    assert vmctl("host", "check", "kvm2").code == 0


def test_a_network_that_is_not_active_is_started_by_the_remedy(lab: Lab, vmctl: Vmctl) -> None:
    lab.virsh_ok("kvm1", "net-destroy", "default")
    try:
        ended = vmctl("host", "check", "kvm1", "-f", "json")
        remedy = findings(ended, "kvm1", "fail")["networks"]["Remedy"]
        mended = lab.ssh("kvm1", remedy)
    finally:
        lab.virsh("kvm1", "net-start", "default")

    assert ended.code == 1
    assert "default is not active" in findings(ended, "kvm1", "fail")["networks"]["Found"]
    assert mended.returncode == 0, mended.stderr


def test_a_bridge_that_is_not_filtered_is_told(lab: Lab, vmctl: Vmctl) -> None:
    for name in FILTERS:
        lab.do("inside", "kvm3", "sysctl", "-w", f"{name}=0")
    try:
        ended = vmctl("host", "check", "kvm3", "--network", "lan", "-f", "json")
    finally:
        for name in FILTERS:
            lab.do("inside", "kvm3", "sysctl", "-w", f"{name}=1")

    assert ended.code == 1
    fault = findings(ended, "kvm3", "fail")["security groups"]
    assert "IPv4 and IPv6 on bridge br-lan would pass unfiltered" in fault["Found"]
    assert "bridge-nf-call" in fault["Remedy"]
    assert findings(vmctl("host", "check", "kvm3", "-f", "json"), "kvm3", "fail") == {}


def test_a_full_pool_is_told_with_its_numbers(lab: Lab, vmctl: Vmctl) -> None:
    lab.do("pool-full", "kvm2")

    ended = vmctl("host", "check", "kvm2", "-f", "json")

    assert ended.code == 1
    assert (
        "default is full: 0 MiB free of 7.8 GiB"
        in findings(ended, "kvm2", "fail")["pools"]["Found"]
    )


def test_one_machine_under_two_names_is_told(lab: Lab, vmctl: Vmctl) -> None:
    inner = lab.host("kvm2").inner_address
    folder = vmctl.home / "inventory"
    vmctl = vmctl.changed(
        (
            r"hosts:\n",
            "hosts:\n  twin:\n    address: twin\n    ssh_config: ssh_config\n    zone: az2\n",
        ),
    )
    known = (folder / "known_hosts").read_text()
    (key,) = [line.split(" ", 1)[1] for line in known.splitlines() if line.startswith("kvm2,")]
    (folder / "known_hosts").write_text(f"{known}{inner} {key}\n")
    block = (folder / "ssh_config").read_text().split("\n\n")[1].replace("Host kvm2", "Host twin")
    block = block.replace(lab.host("kvm2").address, inner) + "\n    ProxyJump kvm1\n"
    with (folder / "ssh_config").open("a") as config:
        config.write(f"\n{block}")

    ended = vmctl("host", "check", "kvm2", "twin", "-f", "json")

    assert ended.code == 1
    assert "it is the same machine as twin" in findings(ended, "kvm2", "fail")["identity"]["Found"]
    assert "it is the same machine as kvm2" in findings(ended, "twin", "fail")["identity"]["Found"]


def test_the_remedy_is_in_every_form_of_a_check(vmctl: Vmctl) -> None:
    vmctl = vmctl.changed((r"(?s)  kvm2:.*\n\nnetworks:", "\nnetworks:"))
    # A key that is not known ends the check early, and quickly.
    (vmctl.inventory.parent / "known_hosts").write_text("")

    for form in ("text", "csv", "value"):
        ended = vmctl("host", "check", "-f", form)

        assert ended.code == 1
        assert "vmctl host trust kvm1" in ended.out
