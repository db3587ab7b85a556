"""Hosts that are off, hang or lost their key: what a look costs, what it shows, what mends it."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator

import pytest

from tests.lab.outside import Lab
from tests.lab.vmctl import Vmctl, findings

CONNECT, LIBVIRT, SLACK = 5.0, 5.0, 3.5  # what costs two limits is over even that


@pytest.fixture
def powered(lab: Lab) -> Iterator[None]:
    """Give the hosts that a test powers off their power back."""
    yield
    for host in lab.hosts:
        lab.do("power-on", host.name)


def startup(vmctl: Vmctl) -> float:
    """The seconds that vmctl itself needs on this machine just now, asking nobody."""
    return vmctl("host", "list").took


@pytest.mark.usefixtures("powered")
def test_a_host_that_is_off_and_an_sshd_that_hangs_cost_one_limit(lab: Lab, vmctl: Vmctl) -> None:
    vmctl.ok("host", "list")
    lab.do("power-off", "kvm2")
    lab.do("hang-ssh", "kvm3")

    ended = vmctl("host", "list", "--refresh", "-f", "json", "--long")
    checked = vmctl("host", "check", "-f", "json")

    assert ended.code == 0
    assert ended.took < CONNECT + SLACK + startup(vmctl)
    rows = {row["Host Name"]: row for row in ended.json}
    assert {name: row["State"] for name, row in rows.items()} == {
        "kvm1": "up",
        "kvm2": "down",
        "kvm3": "down",
    }
    assert rows["kvm1"]["Fault"] is None
    assert "no answer" in rows["kvm2"]["Fault"] or "no route" in rows["kvm2"]["Fault"]
    assert "it took the connection and then said nothing within 5 s" in rows["kvm3"]["Fault"]
    assert sorted(line.split(" ")[0] for line in ended.told) == ["kvm2", "kvm3"]
    # The last look still tells how big they are, and when it was.
    assert rows["kvm2"]["vCPUs"] == rows["kvm1"]["vCPUs"]
    assert rows["kvm2"]["Last Seen"] <= rows["kvm1"]["Last Seen"]
    assert checked.code == 1
    assert checked.took < CONNECT + SLACK + startup(vmctl)
    assert findings(checked, "kvm1", "fail") == {}
    off, hanging = findings(checked, "kvm2", "fail"), findings(checked, "kvm3", "fail")
    assert list(off) == list(hanging) == ["tcp"]
    assert off["tcp"]["Remedy"] == f"nc -vz -w 5 {lab.host('kvm2').address} 22"
    assert "systemctl restart ssh" in hanging["tcp"]["Remedy"]
    assert hanging["tcp"]["Where"] == "host"


@pytest.mark.usefixtures("powered")
def test_a_libvirt_that_hangs_costs_its_own_limit_and_is_told(lab: Lab, vmctl: Vmctl) -> None:
    vmctl.ok("host", "list")
    lab.do("hang-libvirt", "kvm2")
    lab.do("power-off", "kvm3")

    ended = vmctl("host", "list", "--refresh", "-f", "json", "--long")
    shown = vmctl("host", "show", "kvm2", "-f", "json", "-c", "state", "-c", "fault")
    checked = vmctl("host", "check", "-f", "json")

    assert ended.code == 0
    assert ended.took < max(CONNECT, LIBVIRT + 1) + SLACK + startup(vmctl)
    rows = {row["Host Name"]: row for row in ended.json}
    assert [row["State"] for row in rows.values()] == ["up", "down", "down"]
    assert rows["kvm2"]["Fault"] == "libvirt did not answer within 5 s"
    assert sorted(line.split(" ")[0].rstrip(":") for line in ended.told) == ["kvm2", "kvm3"]
    assert shown.json == {"state": "down", "fault": "libvirt did not answer within 5 s"}
    assert checked.code == 1
    assert checked.took < LIBVIRT + CONNECT + SLACK + startup(vmctl)
    (fault,) = findings(checked, "kvm2", "fail").values()
    assert fault["Step"] == "libvirt"
    assert fault["Remedy"] == "sudo systemctl restart libvirtd"
    assert findings(checked, "kvm2")["lease"]["Result"] == "pass"
    assert findings(checked, "kvm1", "fail") == {}


def test_a_jump_host_that_hangs_is_named_for_the_host_behind_it(lab: Lab, vmctl: Vmctl) -> None:
    lab.do("hang-ssh", "kvm1")

    ended = vmctl("host", "check", "kvm3", "-f", "json")

    assert ended.took < CONNECT + SLACK + 1
    fault = findings(ended, "kvm3", "fail")["tcp"]
    assert fault["Found"].startswith("its jump host kvm1 ")
    assert fault["Remedy"] == "vmctl host ssh kvm3 -- true"


def test_an_interrupt_ends_a_refresh_that_waits_at_once(lab: Lab, vmctl: Vmctl) -> None:
    vmctl.ok("host", "list")
    lab.do("hang-ssh", "kvm2")
    child = vmctl.start("host", "list", "--refresh")
    time.sleep(2)
    began = time.monotonic()

    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=10)

    assert time.monotonic() - began < 1.5
    assert (child.returncode, out) == (130, "")
    assert "Traceback" not in err


def test_a_host_that_returns_is_up_again(lab: Lab, vmctl: Vmctl) -> None:
    lab.do("hang-ssh", "kvm2")
    # Never asked, so asked now; what does not answer is down, and nothing else is known of it.
    first = vmctl.rows("host", "list", "--zone", "az2")["kvm2"]
    second = vmctl("host", "list", "-f", "json")
    lab.do("hang-ssh-undo", "kvm2")

    third = vmctl.rows("host", "list", "--refresh", "--long")["kvm2"]

    assert (first["State"], first["vCPUs"], first["Last Seen"]) == ("down", None, None)
    assert {row["Host Name"]: row["State"] for row in second.json}["kvm2"] == "down"
    assert (third["State"], third["Fault"]) == ("up", None)
    assert third["vCPUs"]
