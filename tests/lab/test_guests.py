"""Guests on the hosts by plain virsh: each login, both kinds of network, migration."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.guests import Guest, guest
from tests.lab.operator import libvirt_uri
from tests.lab.outside import Lab, plain
from tests.lab.plan import lan_v6, network

STATIC = """\
version: 2
ethernets:
  lan:
    match: {{macaddress: "{{mac}}"}}
    addresses: [{four}/24, "{six}/64"]
    gateway4: {gateway}
"""


@pytest.mark.parametrize("host", ["kvm1", "kvm2", "kvm3"])
def test_each_login_defines_starts_reads_the_console_and_destroys(
    lab: Lab, host: str, tmp_path: Path, *, torture: bool
) -> None:
    if host != "kvm3" and not torture:
        pytest.skip("the login that needs most, and behind a jump host, is enough")
    with guest(lab, host, tmp_path) as made:
        made.virsh("start", made.name)
        said = made.wait_ready(tmp_path)

        assert said.startswith(f"{made.name} 192.168.122.")
        assert made.state == "running"
        leases = made.virsh("net-dhcp-leases", "default", "--mac", made.mac)
        assert said.split()[1] in leases

        made.virsh("destroy", made.name)

        assert made.state == "shut off"
    left = lab.virsh_ok(host, "list", "--all", "--name") + lab.virsh_ok(host, "vol-list", "default")
    assert made.name not in left


def test_a_guest_on_the_lan_takes_its_static_addresses_and_answers_ssh(
    lab: Lab, tmp_path: Path
) -> None:
    number = lab.plan.lab
    four, six = f"{network(number, 'lan')}.77", f"{lan_v6(number)}77"
    gateway = f"{network(number, 'lan')}.1"
    settings = STATIC.format(four=four, six=six, gateway=gateway)
    with guest(lab, "kvm2", tmp_path, bridge="br-lan", network_config=settings) as made:
        made.virsh("start", made.name)
        said = made.wait_ready(tmp_path)

        assert four in said
        for address in (four, six):
            options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
            ssh = plain(
                *("ssh", "-F", "none", *options, "-o", "ConnectTimeout=20"),
                *("-i", str(lab.plan.key), f"root@{address}", "hostname"),
                seconds=30,
            )
            assert ssh.stdout.strip() == made.name, ssh.stderr


def test_a_running_guest_moves_between_two_hosts_and_obeys_the_power_button_there(
    lab: Lab, tmp_path: Path
) -> None:
    # One login is root's, the other a plain user's; the client drives, the hosts need no trust.
    with guest(lab, "kvm1", tmp_path) as made:
        made.virsh("start", made.name)
        made.wait_ready(tmp_path)
        target = dataclasses.replace(made, host="kvm2")
        with copied_volumes(made, target, tmp_path):
            made.virsh(
                *("migrate", "--live", "--copy-storage-all", "--migrate-disks", "vda"),
                *("--persistent", "--undefinesource", made.name),
                libvirt_uri(lab.plan, lab.host("kvm2")),
            )

            assert target.state == "running"
            assert made.name not in made.virsh("list", "--all", "--name")

            target.virsh("shutdown", made.name, "--mode", "acpi")

            target.wait_state("shut off")
            target.virsh("undefine", made.name)


@contextlib.contextmanager
def copied_volumes(made: Guest, target: Guest, folder: Path) -> Iterator[None]:
    """The volumes that a guest needs on the host it moves to: an empty disk, the same seed."""
    size = made.virsh("domblkinfo", made.name, "vda").split()[1]
    local = folder / "copied"
    volumes = {"qcow2": (size, "qcow2"), "seed": ("1048576", "raw"), "console": ("0", "raw")}
    try:
        for end, (capacity, form) in volumes.items():
            volume = f"{made.name}.{end}"
            target.virsh("vol-create-as", "default", volume, capacity, "--format", form)
            if end == "seed":
                made.virsh("vol-download", volume, str(local), "--pool", "default")
                target.virsh("vol-upload", volume, str(local), "--pool", "default")
        yield
    finally:
        made.lab.virsh(target.host, "destroy", made.name)
        made.lab.virsh(target.host, "undefine", made.name)
        for end in volumes:
            made.lab.virsh(target.host, "vol-delete", f"{made.name}.{end}", "--pool", "default")
