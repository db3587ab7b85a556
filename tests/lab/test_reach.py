"""Ways into a running server: by its agent, by ssh, and what is known of it from outside."""

from __future__ import annotations

import json
from collections.abc import Iterator
from xml.etree import ElementTree as ET

import pytest

from tests.lab import servers, stock
from tests.lab.outside import Lab
from tests.lab.servers import Running, create_words
from tests.lab.vmctl import Vmctl

KEY = ("--key-name", stock.KEYPAIR)
NAT = ("--network", "default", *KEY, "--wait-for", "ssh")


@pytest.fixture(scope="module")
def vmctl(shared_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vmctl]:
    """An operator with a server behind the NAT of a host with a jump host, and of another one.

    Both servers have one address, each behind its own host.
    """
    mine = servers.operator(shared_lab, tmp_path_factory.mktemp("reach") / "home")
    made = [
        Running(mine, *create_words(name, *NAT, on=host))
        for name, host in (("far", "kvm3"), ("near", "kvm1"))
    ]
    for one in made:
        assert one.end().code == 0
    yield mine
    mine("server", "delete", "far", "near")
    servers.assert_clean(shared_lab)


def test_a_command_runs_in_a_server_by_its_agent(vmctl: Vmctl) -> None:
    script = "uname -n; echo err >&2; exit 9"

    ended = vmctl("server", "exec", "far", "--", "sh", "-c", script)
    echoed = vmctl("server", "exec", "near", "--stdin", "-", "--", "cat", stdin="a\nb\n")
    late = vmctl("server", "exec", "near", "--timeout", "1", "--", "sleep", "60")
    number = late.told[0].rpartition(" ")[2]

    assert (ended.code, ended.out, ended.err) == (9, "far\n", "err\n")
    assert (echoed.code, echoed.out) == (0, "a\nb\n")
    assert (late.code, late.told[1]) == (12, f"hint: vmctl server exec near -- kill {number}")
    assert vmctl("server", "exec", "near", "--", "kill", number).code == 0


def test_what_is_too_long_for_an_agent_is_told_and_harms_nobody(vmctl: Vmctl) -> None:
    ended = vmctl("server", "exec", "near", "--", "head", "-c", "4000000", "/dev/zero")

    assert (ended.code, ended.out) == (1, "")
    assert "said to guest-exec-status is too long to get here" in ended.err
    assert "at most some 2 MiB" in ended.err
    assert vmctl("server", "exec", "near", "--", "true").code == 0


def test_servers_are_waited_for_whatever_happens_inside_of_them(vmctl: Vmctl) -> None:
    assert vmctl("server", "wait", "far", "near", "--for", "ip", "--timeout", "20").code == 0
    vmctl("server", "exec", "near", "--", "poweroff")

    off = vmctl("server", "wait", "near", "--for", "status=SHUTOFF", "--timeout", "30")
    vain = vmctl("server", "wait", "near", "far", "--timeout", "3")
    vmctl.ok("server", "start", "near")
    back = vmctl("server", "wait", "near", "--for", "ssh", "--timeout", "60")

    assert (off.code, vain.code, back.code) == (0, 12, 0)
    assert "server near: no ACTIVE within 3 s: it is SHUTOFF" in vain.err


def test_a_server_is_told_and_counted_as_its_host_has_it(vmctl: Vmctl) -> None:
    xml = vmctl.ok("server", "show", "far", "--xml")
    counted = json.loads(vmctl.ok("server", "show", "far", "--diagnostics", "-f", "json"))

    graphics = ET.fromstring(xml).find("devices/graphics")
    assert graphics is not None
    assert (graphics.get("type"), graphics.get("passwd")) == ("vnc", None)
    assert (counted["hypervisor"], counted["state"]) == ("qemu", "running")
    assert counted["cpu_details"][0]["time"] > 0
    assert counted["disk_details"][0]["read_bytes"] > 1_000_000
    assert counted["nic_details"][0]["rx_packets"] > 0
    assert counted["memory_details"]["maximum"] == 128
