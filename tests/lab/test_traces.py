"""What a lab leaves on the machine: nothing, however it ended."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.outside import Lab, plain
from tests.lab.plan import CHECKOUT, prefix

QUERIES = {
    "namespaces": ("ip", "netns", "list"),
    "links": ("sh", "-c", "ip -o link | cut -d: -f2"),
    "addresses": ("sh", "-c", "ip -o addr | awk '{print $2, $4}'"),
    "routes": ("ip", "route"),
    "mounts": ("sh", "-c", "cut -d' ' -f5 /proc/self/mountinfo | sort"),
    "loop devices": ("sh", "-c", "losetup -a | cut -d: -f3 | sort"),
    "users": ("sha256sum", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/sudoers"),
    "labs": ("sh", "-c", "ls /run/vmctl-lab 2>/dev/null || true"),
    "iptables": ("sh", "-c", "iptables -S; ip6tables -S; ebtables -L"),
    "libvirt's own folders": ("sh", "-c", "find /etc/libvirt /var/lib/libvirt /run/libvirt | sort"),
}


def machine(root: Path) -> dict[str, str]:
    """All of this machine that a lab could have touched, but for what is another lab's."""
    before = others(root)
    found = {what: plain(*query, seconds=20).stdout for what, query in QUERIES.items()}
    # They may come and go at any moment.
    for number, place in (before | others(root)).items():
        found["labs"] = found["labs"].replace(f"{number}\n", "")
        for what, text in found.items():
            lines = text.splitlines(keepends=True)
            foreign = (prefix(int(number)), f"{place}/")
            found[what] = "".join(
                line for line in lines if not any(each in line for each in foreign)
            )
    found["processes"] = "\n".join(processes(root))
    return found


def others(root: Path) -> dict[str, str]:
    """The labs on this machine that are none of this test's: the place of each, by its number."""
    said = plain("sh", "-c", "cd /run/vmctl-lab 2>/dev/null && grep -H . ?; true", seconds=5).stdout
    labs = dict(line.split(":", 1) for line in said.splitlines())
    return {number: at for number, at in labs.items() if root.parent not in Path(at).parents}


def processes(root: Path) -> list[str]:
    """The command lines that name this lab's folder, or live in one of its namespaces."""
    mine = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(root) in words and int(entry.name) != os.getpid():
            mine.append(words)
    return sorted(mine)


def differences(before: dict[str, str], after: dict[str, str]) -> dict[str, tuple[str, str]]:
    return {k: (before[k], after[k]) for k in before if before[k] != after[k]}


@pytest.fixture
def clean_machine(own_lab: Lab) -> Iterator[Lab]:
    """A lab of this test's own; afterwards the machine must be as it was before."""
    before = machine(own_lab.root)
    yield own_lab
    own_lab.do("down")
    assert differences(before, machine(own_lab.root)) == {}
    assert [path.name for path in own_lab.root.iterdir()] == []


def start_up(lab: Lab, hosts: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        lab.command("up", "--hosts", str(hosts)),
        cwd=CHECKOUT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def test_a_lab_comes_up_soon_again_at_once_and_goes_without_a_trace(clean_machine: Lab) -> None:
    began = time.monotonic()
    clean_machine.do("up", "--hosts", "3")
    first = time.monotonic() - began
    boots = [
        clean_machine.ssh(f"kvm{n}", "cat /proc/sys/kernel/random/boot_id").stdout
        for n in (1, 2, 3)
    ]

    began = time.monotonic()
    clean_machine.do("up", "--hosts", "3")
    second = time.monotonic() - began

    assert first < 20
    assert second < 5
    assert boots == [
        clean_machine.ssh(f"kvm{n}", "cat /proc/sys/kernel/random/boot_id").stdout
        for n in (1, 2, 3)
    ]
    clean_machine.do("check-foreign")


def test_a_broken_lab_goes_without_a_trace(clean_machine: Lab) -> None:
    clean_machine.do("up", "--hosts", "1")
    clean_machine.do("pool-full", "kvm1")
    clean_machine.do("hang-libvirt", "kvm1")
    clean_machine.do("wrong-key", "kvm1")


def test_a_lab_that_lost_its_files_goes_without_a_trace(clean_machine: Lab) -> None:
    clean_machine.do("up", "--hosts", "2")
    for name in ("lab.json", "ssh_config", "known_hosts"):
        (clean_machine.root / name).unlink()


def test_a_lab_may_grow_and_shrink(own_lab: Lab) -> None:
    own_lab.do("up", "--hosts", "1")
    own_lab.do("up", "--hosts", "3")
    assert own_lab.ssh("kvm3", "uname -n").stdout == "kvm3\n"

    own_lab.do("up", "--hosts", "2")

    assert [host.name for host in own_lab.hosts] == ["kvm1", "kvm2"]
    assert own_lab.ssh("kvm2", "uname -n").stdout == "kvm2\n"
    own_lab.do("check-foreign")


def test_two_checkouts_have_a_lab_each(shared_lab: Lab, own_lab: Lab) -> None:
    own_lab.do("up", "--hosts", "1")

    assert own_lab.plan.lab != shared_lab.plan.lab
    assert own_lab.ssh("kvm1", "uname -n").stdout == "kvm1\n"
    own_lab.do("down")
    assert shared_lab.ssh("kvm1", "uname -n").stdout == "kvm1\n"


def test_the_remains_of_a_checkout_that_is_gone_make_room(own_lab: Lab, tmp_path: Path) -> None:
    own_lab.do("up", "--hosts", "1")
    number = own_lab.plan.lab
    own_lab.root.rename(tmp_path / "elsewhere")
    other = Lab(root=tmp_path / "other")

    other.do("up", "--hosts", "1")

    assert other.plan.lab == number
    assert other.ssh("kvm1", "uname -n").stdout == "kvm1\n"
    other.do("down")
    assert processes(tmp_path) == []


def test_an_up_that_is_killed_half_way_is_completed_by_the_next(
    clean_machine: Lab, torture: bool
) -> None:
    moments = random.Random(11).sample(range(2, 60), 20 if torture else 3)
    for tenths in moments:
        process = start_up(clean_machine, 3)
        time.sleep(tenths / 20)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    clean_machine.do("up", "--hosts", "3")

    for host in clean_machine.hosts:
        assert clean_machine.ssh(host.name, "uname -n").stdout == f"{host.name}\n"
        assert clean_machine.virsh(host.name, "list").returncode == 0
    clean_machine.do("check-foreign")


def test_an_up_that_is_killed_half_way_is_cleared_by_down(
    clean_machine: Lab, torture: bool
) -> None:
    for tenths in random.Random(12).sample(range(2, 60), 20 if torture else 3):
        process = start_up(clean_machine, 3)
        time.sleep(tenths / 20)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        clean_machine.do("down")


def test_files_of_the_lab_are_valid_and_private(shared_lab: Lab) -> None:
    assert shared_lab.plan.key.stat().st_mode & 0o777 == 0o600
    kept = json.loads((shared_lab.root / "lab.json").read_text())
    assert kept["count"] == len(shared_lab.hosts)
    environment = plain(
        "bash",
        "-c",
        f"source {shared_lab.root}/env.sh; command -v vmctl; echo $VMCTL_INVENTORY",
        seconds=5,
    ).stdout.split()
    assert environment[1] == f"{shared_lab.root}/inventory.yaml"
