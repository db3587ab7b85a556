"""Host keys: refused by both stacks on every hop, seen, pinned, replaced."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.lab.reach import Reach, ends_within
from vmctl.adapters.trust import look, pin
from vmctl.domain.host import Host
from vmctl.errors import HostKeyError

pytestmark = pytest.mark.usefixtures("lab")


def by_libvirts_ssh(reach: Reach, host: Host) -> subprocess.CompletedProcess[str]:
    """The second stack alone: virsh here, by the URI and the wrapper that vmctl gives libvirt."""
    return subprocess.run(
        ["virsh", "-q", "-c", reach.libvirt.uri(host), "hostname"],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize(
    ("broken", "reached"), [("kvm2", "kvm2"), ("kvm3", "kvm3"), ("kvm1", "kvm3")]
)
def test_a_wrong_key_is_refused_by_both_stacks_on_every_hop(
    reach: Reach, broken: str, reached: str
) -> None:
    assert by_libvirts_ssh(reach, reach.host(reached)).stdout.strip() == reached
    reach.lab.do("wrong-key", broken)

    ours = ends_within(8, lambda: reach.run(reached, "true"))
    theirs = by_libvirts_ssh(reach, reach.host(reached))

    assert isinstance(ours, HostKeyError)
    assert (ours.host, ours.reason) == (reached, "changed")
    assert ours.fingerprint in ours.message
    assert f"vmctl host trust {reached} --fingerprint {ours.fingerprint}" in (ours.hint or "")
    assert ("jump host" in ours.message) is (broken != reached)
    assert theirs.returncode != 0
    assert "Host key verification failed" in theirs.stderr


@pytest.mark.parametrize("broken", ["kvm1", "kvm3"])
def test_a_lenient_configuration_makes_neither_stack_lenient(
    reach: Reach, tmp_path: Path, broken: str
) -> None:
    config = tmp_path / "config"
    text = reach.lab.plan.ssh_config.read_text()
    text = text.replace("StrictHostKeyChecking yes", "StrictHostKeyChecking no")
    config.write_text(text.replace(str(reach.lab.plan.known_hosts), str(tmp_path / "none")))
    host = reach.host("kvm3", ssh_config=str(config))
    assert by_libvirts_ssh(reach, host).stdout.strip() == "kvm3"
    reach.lab.do("wrong-key", broken)

    ours = ends_within(8, lambda: reach.shells.shell(host).run("true"))
    theirs = by_libvirts_ssh(reach, host)

    assert isinstance(ours, HostKeyError)
    assert "Host key verification failed" in theirs.stderr


def test_an_unknown_key_is_refused_by_both_stacks(reach: Reach, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.touch()
    host = reach.host("kvm2", known_hosts=str(empty))

    ours = ends_within(8, lambda: reach.shells.shell(host).run("true"))
    theirs = by_libvirts_ssh(reach, host)

    assert isinstance(ours, HostKeyError)
    assert (ours.reason, "vmctl host trust kvm2" in (ours.hint or "")) == ("unknown", True)
    assert "Host key verification failed" in theirs.stderr


def test_a_fingerprint_of_another_host_is_refused(reach: Reach) -> None:
    other = reach.shells.ssh(reach.host("kvm1")).verified_key().fingerprint
    host = reach.host("kvm2", name="pinned", host_key=(other,))

    ours = ends_within(8, lambda: reach.libvirt.uri(host))

    assert isinstance(ours, HostKeyError)
    assert "host_key" in ours.message


def test_a_fingerprint_of_a_key_of_any_type_will_do(reach: Reach) -> None:
    # The lab's hosts have one key each; a second of another type comes and goes with this test.
    reach.lab.do("inside", "kvm2", "sh", "-c", SECOND_KEY)
    try:
        seen = look(reach.shells, reach.host("kvm2"))
        rsa = next(key for key in seen.keys if key.type == "ssh-rsa")
        host = reach.host("kvm2", name="pinned", host_key=(rsa.fingerprint,))

        assert len(seen.keys) == 2
        assert reach.shells.ssh(host).verified_key() == rsa
        assert reach.libvirt.connection(host).getHostname() == "kvm2"
    finally:
        reach.lab.do("inside", "kvm2", "sh", "-c", ONE_KEY)


SECOND_KEY = """
ssh-keygen -q -t rsa -b 2048 -N '' -f /run/second
sed 's#^Port#HostKey /run/second\\nPort#' /etc/ssh/sshd_config >/run/sshd_config.two
kill "$(cat /run/sshd.pid)"; sleep 0.2
/usr/sbin/sshd -f /run/sshd_config.two -E /var/log/libvirt/sshd.log"""
ONE_KEY = """
kill "$(cat /run/sshd.pid)"; sleep 0.2; rm -f /run/second* /run/sshd_config.two
/usr/sbin/sshd -f /etc/ssh/sshd_config -E /var/log/libvirt/sshd.log"""


def test_a_route_is_trusted_hop_by_hop_and_then_works(reach: Reach, tmp_path: Path) -> None:
    config = tmp_path / "config"
    mine = tmp_path / "mine"
    text = reach.lab.plan.ssh_config.read_text()
    config.write_text(text.replace(str(reach.lab.plan.known_hosts), str(mine)))
    host = reach.host("kvm3", ssh_config=str(config), known_hosts=None)

    first = look(reach.shells, host)
    pin(first)
    second = look(reach.shells, host)
    pin(second)

    assert (first.hop.alias, first.jump, first.trusted) == ("kvm1", True, False)
    assert (second.hop.alias, second.jump, second.trusted) == ("kvm3", False, False)
    assert look(reach.shells, host).trusted
    assert reach.shells.shell(host).run("uname -n").text == "kvm3\n"
    assert len(mine.read_text().splitlines()) == 2


def test_a_changed_key_is_replaced_by_its_fingerprint_only(reach: Reach, tmp_path: Path) -> None:
    mine = tmp_path / "known_hosts"
    mine.write_text(reach.lab.plan.known_hosts.read_text())
    host = reach.host("kvm2", known_hosts=str(mine))
    reach.lab.do("wrong-key", "kvm2")

    seen = look(reach.shells, host)
    error = ends_within(8, lambda: pin(seen))

    assert isinstance(error, HostKeyError)
    assert not seen.trusted

    pin(seen, fingerprint=seen.keys[0].fingerprint)

    assert reach.shells.shell(host).run("uname -n").text == "kvm2\n"
    assert len(mine.read_text().splitlines()) == len(reach.lab.hosts)
