"""How the hosts are entered: three kinds of login, one host behind another, sshd's own limits."""

from __future__ import annotations

import socket
import subprocess

import pytest

from tests.lab.outside import Lab
from tests.lab.plan import lan_v6


@pytest.mark.parametrize(
    ("host", "login", "groups"), [("kvm1", "root", "root"), ("kvm2", "ops", "ops libvirt")]
)
def test_a_login_that_libvirt_trusts_needs_no_sudo(
    lab: Lab, host: str, login: str, groups: str
) -> None:
    who = lab.ssh(host, "id -un; id -Gn; virsh -c qemu:///system list --name")

    assert who.stdout.splitlines()[:2] == [login, groups]
    assert who.returncode == 0


def test_the_plain_user_may_not_sudo(lab: Lab) -> None:
    assert lab.ssh("kvm2", "sudo -n true").returncode != 0


def test_the_sudo_user_reaches_libvirt_by_sudo_only(lab: Lab) -> None:
    bare = lab.ssh("kvm3", "virsh -c qemu:///system list --name")
    with_sudo = lab.ssh("kvm3", "sudo -n virsh -c qemu:///system list --name")

    assert bare.returncode != 0
    assert "Permission denied" in bare.stderr
    assert with_sudo.returncode == 0


@pytest.mark.parametrize(("host", "user"), [("kvm1", "root"), ("kvm2", "libvirt-qemu")])
def test_qemu_runs_as_its_own_user_where_root_does_not_log_in(
    lab: Lab, host: str, user: str
) -> None:
    owners = lab.do("inside", host, "ps", "-o", "user:20=", "-C", "qemu-system-x86_64")

    assert set(owners.split()) == {user}


def test_the_inner_host_is_reached_through_its_jump_host_only(lab: Lab) -> None:
    inner = lab.host("kvm3")

    with pytest.raises(OSError, match=r"No route to host|timed out"):
        socket.create_connection((inner.address, 22), timeout=4).close()
    by_ssh = lab.ssh("kvm3", "echo $SSH_CONNECTION")
    by_libvirt = lab.virsh("kvm3", "hostname")

    assert by_ssh.stdout.split()[0] == lab.host("kvm1").inner_address
    assert by_libvirt.stdout.strip() == "kvm3"


def test_sshd_refuses_the_eleventh_session_on_one_connection(lab: Lab) -> None:
    config, control = str(lab.plan.ssh_config), str(lab.root / "control")
    base = ["ssh", "-F", config, "-o", f"ControlPath={control}"]
    subprocess.run([*base, "-o", "ControlMaster=yes", "-fN", "kvm1"], check=True)
    mux = [*base, "-o", "ProxyCommand=false", "kvm1", "cat"]

    sessions = [
        subprocess.Popen(mux, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(11)
    ]
    try:
        assert _refused(sessions) == 1
    finally:
        for session in sessions:
            session.communicate(b"")
        subprocess.run([*base, "-O", "exit", "kvm1"], check=True, capture_output=True)


def test_each_host_is_its_own_machine(lab: Lab) -> None:
    script = "cat /etc/machine-id /proc/sys/kernel/random/boot_id; hostname"
    identities = [lab.ssh(host.name, script).stdout.split() for host in lab.hosts]
    uuids = {lab.virsh_ok(host.name, "capabilities").split("<uuid>")[1][:36] for host in lab.hosts}

    assert len({identity[0] for identity in identities}) == len(lab.hosts)
    assert len({identity[1] for identity in identities}) == len(lab.hosts)
    assert [identity[2] for identity in identities] == [host.name for host in lab.hosts]
    assert len(uuids) == len(lab.hosts)


def test_the_hosts_share_one_lan_with_a_neighbour_that_is_not_ours(lab: Lab) -> None:
    # A link of the operator's into the guests' LAN reaches the neighbour without passing a host.
    third = 10 * lab.plan.lab + 1
    for address in (f"198.18.{third}.250", f"{lan_v6(lab.plan.lab)}250"):
        subprocess.run(["ping", "-c", "1", "-W", "2", address], check=True, capture_output=True)
    for host in lab.hosts:
        bridges = lab.do("inside", host.name, "ip", "-o", "link", "show", "master", "br-lan")
        assert "lan@" in bridges


def _refused(sessions: list[subprocess.Popen[bytes]]) -> int:
    """How many of these sessions ended by themselves: a granted one waits for its input."""
    refused = 0
    for session in sessions:
        try:
            session.wait(timeout=1)
        except subprocess.TimeoutExpired:
            continue
        refused += 1
    return refused


@pytest.mark.usefixtures("protected_regular")
def test_a_file_in_a_sticky_folder_is_closed_to_others_but_a_folder_is_not(lab: Lab) -> None:
    """Why nothing that two users share may lie in /tmp: even root is refused another's file."""
    lab.ssh("kvm2", "touch /tmp/shared; chmod 666 /tmp/shared")
    open_file = "sh -c ': >>/tmp/shared'"
    lock_folder = "flock -n /var/lib/libvirt true"

    refused = lab.do("inside", "kvm2", "sh", "-c", f"{open_file} 2>&1; echo $?")

    assert "Permission denied" in refused
    assert lab.ssh("kvm2", lock_folder).returncode == 0
    assert lab.do("inside", "kvm2", "sh", "-c", f"{lock_folder}; echo $?").strip() == "0"
