"""Ways into a running server: by its agent, by ssh, and what is known of it from outside."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.lab import servers, stock
from tests.lab.outside import Lab
from tests.lab.servers import Running, create_words
from tests.lab.vmctl import Vmctl

KEY = ("--key-name", stock.KEYPAIR)


@pytest.fixture(scope="module")
def address(shared_lab: Lab) -> str:
    return servers.unleased(shared_lab, "kvm1", "kvm3")


@pytest.fixture(scope="module")
def vmctl(
    shared_lab: Lab, address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Vmctl]:
    """An operator with a server behind the NAT of a host with a jump host, and of another one.

    Both servers have one address, each behind its own host.
    """
    mine = servers.operator(shared_lab, tmp_path_factory.mktemp("reach") / "home")
    nic = f"net-id=default,v4-fixed-ip={address}"
    words = ("--nic", nic, *KEY, "--wait-for", "ssh")
    made = [
        Running(mine, *create_words(name, *words, on=host))
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


def the(vmctl: Vmctl, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run one of OpenSSH's own programs, which knows nothing of vmctl but the file."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(vmctl.home), "SHELL": "/bin/sh"}
    return subprocess.run(
        words, input=stdin, capture_output=True, text=True, env=environ, timeout=60, check=False
    )


@pytest.fixture(scope="module")
def config(vmctl: Vmctl) -> str:
    """A file for plain ssh -F."""
    file = vmctl.home / "its own ssh_config"
    key = str(vmctl.lab.plan.key)
    file.write_text(vmctl.ok("ssh-config", "-l", "root", "-i", key))
    return str(file)


def test_plain_ssh_and_scp_reach_a_server_behind_a_host_behind_another(
    vmctl: Vmctl, config: str, tmp_path: Path
) -> None:
    told = the(vmctl, "ssh", "-F", config, "far", "uname -n; echo no >&2; exit 7")
    identity = servers.show(vmctl, "near")["id"]
    by_id = the(vmctl, "ssh", "-F", config, identity, "uname -n")
    (tmp_path / "file").write_text("copied\n")
    copied = the(vmctl, "scp", "-q", "-F", config, str(tmp_path / "file"), "far:/tmp/there")
    back = the(vmctl, "scp", "-q", "-F", config, "far:/tmp/there", str(tmp_path / "back"))

    assert (told.returncode, told.stdout, told.stderr) == (7, "far\n", "no\n")
    assert (by_id.returncode, by_id.stdout) == (0, "near\n")
    assert (copied.returncode, copied.stderr, back.returncode) == (0, "", 0)
    assert (tmp_path / "back").read_text() == "copied\n"


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="cm") as name:
        yield Path(name)


def test_connections_that_are_shared_as_ansible_does_it_never_lead_to_another_server(
    vmctl: Vmctl, config: str, short: Path, address: str
) -> None:
    options = ["ControlMaster=auto", "ControlPersist=20s", "PasswordAuthentication=no"]
    options.append(f"ControlPath={short}/%C")
    shared = ["-C", *(word for one in options for word in ("-o", one))]
    names = ("far", "near", "far", "near")
    try:
        told = [
            the(vmctl, "ssh", "-F", config, *shared, name, "/bin/sh -c 'uname -n && sleep 0'")
            for name in names
        ]
        masters = len(list(short.iterdir()))
    finally:
        for name in ("far", "near"):
            the(vmctl, "ssh", "-F", config, *shared, "-O", "exit", name)

    addresses = [servers.show(vmctl, name)["addresses"]["default"] for name in names[:2]]
    assert addresses == [[address]] * 2
    assert [(one.returncode, one.stdout) for one in told] == [(0, f"{name}\n") for name in names]
    assert masters == 2


def test_another_key_is_refused_by_plain_ssh_as_well(
    vmctl: Vmctl, config: str, address: str
) -> None:
    keys = vmctl.home / "state/vmctl/known_hosts"
    before = keys.read_text()
    near, far = (servers.show(vmctl, name)["id"] for name in ("near", "far"))
    assert {line.split()[0] for line in before.splitlines()} >= {near, far}
    keys.write_text(before.replace(near, "x").replace(far, near))
    try:
        refused = the(vmctl, "ssh", "-F", config, "near", "true")
        also = vmctl("ssh", "near", "-l", "root", "-i", str(vmctl.lab.plan.key), "--", "true")
    finally:
        keys.write_text(before)

    assert (refused.returncode, also.code) == (255, 255)
    assert "Host key verification failed" in refused.stderr
    assert f"near was to be entered at root@{address} (default, seen by " in also.err
    assert "through kvm1" in also.err


def test_a_server_that_has_another_address_is_listed_with_that_one(
    vmctl: Vmctl, address: str
) -> None:
    other = "192.168.122.251"
    moved = f"ip address flush dev eth0; ip address add {other}/24 dev eth0"
    assert vmctl("server", "exec", "near", "--", "sh", "-c", moved).code == 0

    shown = json.loads(vmctl.ok("server", "show", "near", "--refresh", "-f", "json"))
    written = vmctl.ok("ssh-config", "near")
    listed = servers.servers(vmctl)["near"]

    (card,) = shown["vmctl:addresses"]
    assert card["planned"] == [address]
    assert {"address": other, "source": "agent"} in card["observed"]
    assert shown["addresses"] == listed["Networks"] == {"default": [other]}
    assert "agent" in listed["Address Sources"][other]
    # Its filter lets it speak from the planned address alone, so this is all there is to see.
    assert f"# {other} on default, seen by agent" in written
