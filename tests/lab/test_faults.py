"""Each fault, caused and healed, as plain ssh and virsh see it from outside."""

from __future__ import annotations

import socket
import time

import pytest

from tests.lab.foreign import RUNNING
from tests.lab.outside import Lab

EVERY_LOGIN = ["kvm1", "kvm2", "kvm3"]


def answers(lab: Lab, host: str) -> bool:
    ssh = lab.ssh(host, "uname -n", seconds=8)
    return ssh.returncode == 0 and ssh.stdout.strip() == host


def libvirt_answers(lab: Lab, host: str) -> bool:
    return lab.virsh(host, "list", "--name", seconds=8).returncode == 0


def healed(lab: Lab, host: str) -> bool:
    return answers(lab, host) and libvirt_answers(lab, host)


@pytest.mark.parametrize("host", ["kvm1", "kvm2"])
def test_power_off_ends_all_at_once_and_power_on_starts_the_foreign_guest_again(
    lab: Lab, host: str
) -> None:
    boot = lab.ssh(host, "cat /proc/sys/kernel/random/boot_id").stdout

    lab.do("power-off", host)

    assert not answers(lab, host)
    assert not libvirt_answers(lab, host)
    assert "off" in next(x for x in lab.do("status").splitlines() if x.startswith(host))

    lab.do("power-on", host)

    assert healed(lab, host)
    assert RUNNING in lab.virsh_ok(host, "list", "--name")
    assert lab.ssh(host, "cat /proc/sys/kernel/random/boot_id").stdout not in ("", boot)


def test_a_hanging_sshd_accepts_and_says_nothing(lab: Lab) -> None:
    lab.do("hang-ssh", "kvm2")

    with socket.create_connection((lab.host("kvm2").address, 22), timeout=3) as connection:
        connection.settimeout(2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
    assert not answers(lab, "kvm2")

    lab.do("hang-ssh-undo", "kvm2")

    assert healed(lab, "kvm2")


def test_a_hanging_libvirtd_leaves_ssh_alive(lab: Lab) -> None:
    lab.do("hang-libvirt", "kvm3")

    assert answers(lab, "kvm3")
    assert lab.virsh("kvm3", "list", seconds=4).returncode == 124

    lab.do("hang-libvirt-undo", "kvm3")

    assert healed(lab, "kvm3")


def test_a_host_that_is_cut_off_neither_answers_nor_refuses(lab: Lab) -> None:
    lab.do("cut-off", "kvm2")

    with pytest.raises((TimeoutError, OSError)) as raised:
        socket.create_connection((lab.host("kvm2").address, 22), timeout=2).close()
    assert not isinstance(raised.value, ConnectionRefusedError)
    # Cut off, not dead: it runs on unseen.
    assert lab.do("inside", "kvm2", "virsh", "list", "--name").split() == [RUNNING]

    lab.do("cut-off-undo", "kvm2")

    assert healed(lab, "kvm2")


def test_a_jump_host_that_is_cut_off_takes_the_host_behind_it_along(lab: Lab) -> None:
    lab.do("cut-off", "kvm1")

    assert not answers(lab, "kvm3")

    lab.do("cut-off-undo", "kvm1")

    assert healed(lab, "kvm3")


def test_a_full_pool_takes_no_byte_more(lab: Lab) -> None:
    create = ("vol-create-as", "default", "probe", "64M", "--allocation", "64M")
    lab.do("pool-full", "kvm2")

    refused = lab.virsh("kvm2", *create)

    assert refused.returncode != 0
    assert "No space left" in refused.stderr

    lab.do("pool-full-undo", "kvm2")
    lab.virsh_ok("kvm2", *create)
    lab.virsh_ok("kvm2", "vol-delete", "probe", "--pool", "default")


@pytest.mark.parametrize("host", EVERY_LOGIN)
def test_restarting_libvirtd_spares_the_guests(lab: Lab, host: str) -> None:
    def guest() -> str:
        return lab.do("inside", host, "pgrep", "-f", f"guest={RUNNING}")

    before, daemon = guest(), lab.do("inside", host, "pgrep", "-x", "libvirtd")

    lab.do("restart-libvirt", host)

    assert healed(lab, host)
    assert guest() == before
    assert lab.do("inside", host, "pgrep", "-x", "libvirtd") != daemon
    assert RUNNING in lab.virsh_ok(host, "list", "--name")


def test_a_wrong_host_key_is_refused_by_ssh_and_by_libvirt(lab: Lab) -> None:
    lab.do("wrong-key", "kvm2")

    ssh = lab.ssh("kvm2", "true")
    virsh = lab.virsh("kvm2", "list")

    assert ssh.returncode == 255
    assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in ssh.stderr
    assert virsh.returncode != 0
    assert "Host key verification failed" in virsh.stderr

    lab.do("wrong-key-undo", "kvm2")

    assert healed(lab, "kvm2")


def test_faults_that_are_caused_twice_and_healed_twice_are_still_healed(lab: Lab) -> None:
    for _ in range(2):
        for fault in ("wrong-key", "pool-full", "hang-libvirt", "hang-ssh", "cut-off"):
            lab.do(fault, "kvm2")
    for _ in range(2):
        lab.do("heal", "kvm2")

    assert healed(lab, "kvm2")


def test_up_heals_what_is_broken_and_starts_what_is_off(lab: Lab) -> None:
    lab.do("power-off", "kvm1")
    lab.do("hang-libvirt", "kvm2")
    lab.do("cut-off", "kvm3")

    began = time.monotonic()
    lab.do("up")

    assert time.monotonic() - began < 20
    assert [host for host in EVERY_LOGIN if not healed(lab, host)] == []
