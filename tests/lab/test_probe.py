"""The probe and the trial on real hosts, through all three logins."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.outside import Lab, image
from vmctl.adapters.check import parse_trial, trial_script
from vmctl.adapters.probe import new_nonce, probe_script
from vmctl.adapters.probe_answer import parse_probe
from vmctl.domain.check_facts import Trial
from vmctl.domain.sample import Depth, HostSample

HOSTS = ("kvm1", "kvm2", "kvm3")
QEMU = "/usr/bin/qemu-system-x86_64"
POOL = "/var/lib/libvirt/images"


def run(lab: Lab, host: str, script: str, shell: str = "sh") -> str:
    """What a script sent to a host's shell says; it must succeed and complain of nothing."""
    done = send(argv(lab, host, shell), script)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


def send(command: list[str], script: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, input=script, capture_output=True, text=True, check=False, timeout=60
    )


def argv(lab: Lab, host: str, shell: str = "sh") -> list[str]:
    sudo = "sudo -n " if lab.host(host).login == "admin" else ""
    return ["ssh", "-F", str(lab.plan.ssh_config), host, f"{sudo}{shell} -s"]


def look(
    lab: Lab, host: str, depth: Depth = "quick", shell: str = "sh", known: tuple[str, ...] = ()
) -> HostSample:
    nonce = new_nonce()
    script = probe_script(nonce=nonce, depth=depth, pools=["default"], images=True, known=known)
    answer = run(lab, host, script, shell)
    return parse_probe(answer, nonce, host=host, taken_at=time.time())


def attempt(lab: Lab, host: str, **asked: object) -> Trial:
    nonce = new_nonce()
    script = trial_script(nonce=nonce, **asked)  # type: ignore[arg-type] # the tests name its arguments
    return parse_trial(run(lab, host, script), nonce, host=host)


def volumes(lab: Lab, host: str) -> list[str]:
    lines = lab.do("inside", host, "virsh", "-q", "vol-list", "default").splitlines()
    return sorted(line.split()[0] for line in lines if line.strip())


@pytest.mark.parametrize("depth", ["quick", "full"])
@pytest.mark.parametrize("host", HOSTS)
def test_the_numbers_are_those_of_the_hosts_own_tools(lab: Lab, host: str, depth: Depth) -> None:
    seen = look(lab, host, depth)

    assert seen.problems == ()
    assert seen.libvirt_error is None
    node = lab.do("inside", host, "virsh", "nodeinfo")
    assert f"CPU(s):              {seen.cpus}\n" in node
    total = re.search(r"MemTotal:\s+(\d+) kB", lab.do("inside", host, "cat", "/proc/meminfo"))
    assert total is not None
    assert seen.memory == int(total[1]) // 1024
    size, free = lab.do("inside", host, "df", "-k", "--output=size,avail", POOL).split()[-2:]
    pool = seen.pool("default")
    assert pool is not None
    assert pool.capacity == int(size) // 1024
    assert abs((pool.available or 0) - int(free) // 1024) <= 1
    assert (seen.hostname, seen.machine_id) == (host, lab.host(host).uuid.replace("-", ""))
    assert seen.libvirt_uuid == (lab.host(host).uuid if depth == "full" else None)
    assert seen.clock_skew is not None
    assert abs(seen.clock_skew) < 3


@pytest.mark.parametrize("host", HOSTS)
def test_machines_that_are_not_ours_are_found_running_or_not(lab: Lab, host: str) -> None:
    guests = {guest.name: guest for guest in look(lab, host, "full").guests}

    assert set(guests) >= {"legacy-db", "old-build"}
    running, off = guests["legacy-db"], guests["old-build"]
    assert (running.state, running.vcpus, running.memory, running.disk) == ("running", 1, 64, 32)
    assert (off.state, off.vcpus, off.memory, off.disk) == ("off", 1, 64, 4)
    assert (running.record, off.record) == (None, None)


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox sh"])
def test_any_shell_of_a_host_gives_the_same_answer(lab: Lab, shell: str) -> None:
    one, other = look(lab, "kvm1", "full"), look(lab, "kvm1", "full", shell)

    assert other.guests == one.guests
    assert other.networks == one.networks
    assert [pool.path for pool in other.pools] == [pool.path for pool in one.pools]
    assert (other.tools, other.cpu_features) == (one.tools, one.cpu_features)
    assert other.problems == ()


def test_machines_that_are_known_cost_no_second_virsh(lab: Lab) -> None:
    first = look(lab, "kvm1")
    known = tuple(guest.uuid for guest in first.guests)
    nonce = new_nonce()
    gone = "00000000-0000-4000-8000-000000000000"
    script = probe_script(nonce=nonce, pools=["default"], known=(*known, gone))

    answer = run(lab, "kvm1", script)

    seen = parse_probe(answer, nonce, host="kvm1", taken_at=1.0)
    assert seen.guests == first.guests
    assert seen.problems == ()
    assert answer.count(f"{nonce} end ") == 1


@pytest.mark.parametrize(("depth", "limit"), [("quick", 5), ("full", 10)])
def test_a_libvirtd_that_hangs_costs_its_limit_and_hides_nothing_else(
    lab: Lab, depth: Depth, limit: int
) -> None:
    lab.do("hang-libvirt", "kvm2")

    begun = time.monotonic()
    seen = look(lab, "kvm2", depth)

    assert limit <= time.monotonic() - begun < limit + 3
    assert seen.libvirt_error == f"libvirt did not answer within {limit} s"
    assert (seen.hostname, seen.guests) == ("kvm2", ())
    assert seen.memory
    assert seen.problems == ()


def test_a_login_without_sudo_learns_what_libvirt_said(lab: Lab) -> None:
    nonce = new_nonce()
    script = probe_script(nonce=nonce, pools=["default"])
    done = send([*argv(lab, "kvm3")[:-1], "sh -s"], script)

    seen = parse_probe(done.stdout, nonce, host="kvm3", taken_at=1.0)

    assert "Permission denied" in (seen.libvirt_error or "")
    assert seen.sockets_seen == ("libvirt-sock",)
    assert seen.sockets_writable == ()


@pytest.fixture
def crowd(lab: Lab) -> Iterator[tuple[str, ...]]:
    """Thirty more machines on a host, by their uuids."""
    uuids = tuple(f"00000000-0000-4000-8000-{number:012d}" for number in range(30))
    xml = (
        "<domain type='qemu'><name>crowd-%s</name><uuid>%s</uuid><memory>65536</memory>"
        "<os><type>hvm</type></os></domain>"
    )
    define = "\n".join(
        f'echo "{xml % (number, uuid)}" >x.xml; virsh -q define x.xml'
        for number, uuid in enumerate(uuids)
    )
    run(lab, "kvm1", f"cd /tmp\n{define}\nrm x.xml")
    yield uuids
    run(lab, "kvm1", "\n".join(f"virsh -q undefine {uuid}" for uuid in uuids))


def test_thirty_machines_are_asked_about_well_within_a_second(
    lab: Lab, crowd: tuple[str, ...]
) -> None:
    look(lab, "kvm1")
    seconds = []
    for known in ((), crowd):
        begun = time.monotonic()
        seen = look(lab, "kvm1", known=known)
        seconds.append(time.monotonic() - begun)
        assert len([guest for guest in seen.guests if guest.name.startswith("crowd-")]) == 30

    assert min(seconds) < 1


@pytest.mark.parametrize("host", HOSTS)
def test_the_trial_works_for_every_login_and_leaves_nothing(lab: Lab, host: str) -> None:
    before = volumes(lab, host)

    trial = attempt(lab, host, pools=["default", "no'such"])

    assert trial.whole
    assert trial.lease is not None
    assert trial.lease.fault is None
    fine, missing = trial.volume("default"), trial.volume("no'such")
    assert fine is not None
    assert fine.fault is None
    assert missing is not None
    assert (missing.step, "Storage pool not found" in (missing.fault or "")) == ("create", True)
    assert volumes(lab, host) == before


def test_a_trial_that_is_ended_half_way_leaves_nothing(lab: Lab) -> None:
    before = volumes(lab, "kvm1")
    # The volume stands; then what should write into it waits, and the shell is told to end.
    script = trial_script(nonce=new_nonce(), pools=["default"]).replace(
        "said=$(printf %s", "virsh -q vol-list default; kill -TERM $$; said=$(printf %s"
    )

    said = run(lab, "kvm1", script)

    assert "vmctl-check-" in said
    assert "delete" not in said
    assert volumes(lab, "kvm1") == before


def test_a_pool_without_room_fails_where_it_is_written(lab: Lab) -> None:
    lab.do("pool-full", "kvm1")

    seen, trial = look(lab, "kvm1"), attempt(lab, "kvm1", pools=["default"])

    pool, tried = seen.pool("default"), trial.volume("default")
    assert pool is not None
    assert pool.available == 0
    assert tried is not None
    assert tried.fault is not None
    assert not [name for name in volumes(lab, "kvm1") if name.startswith("vmctl-check-")]


def test_a_lease_that_someone_holds_is_refused_at_once(lab: Lab) -> None:
    hold = "flock -n /var/lib/libvirt sh -c 'echo held; cat'"
    holder = subprocess.Popen(
        [*argv(lab, "kvm2")[:-1], hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"

        trial = attempt(lab, "kvm2")
    finally:
        holder.communicate("")

    assert trial.lease is not None
    assert trial.lease.fault == "refused"


KERNEL = "/run/guest-kernel"


@pytest.fixture
def kernel(lab: Lab, tmp_path: Path) -> str:
    """Where kvm1 has a kernel that it can read: that of the small guest's boot partition."""
    raw, local = tmp_path / "guest.raw", tmp_path / "kernel"
    subprocess.run(["qemu-img", "convert", "-O", "raw", image("small"), raw], check=True)
    subprocess.run(["mcopy", "-i", f"{raw}@@1M", "::linux", local], check=True)
    config = str(lab.plan.ssh_config)
    subprocess.run(["scp", "-q", "-F", config, str(local), f"kvm1:{KERNEL}"], check=True)
    return KERNEL


def test_a_kernel_that_ends_tells_a_live_processor_from_one_that_hangs(
    lab: Lab, kernel: str
) -> None:
    # Emulation stands for a KVM that works, and a limit that it cannot keep for one that does not.
    alive = attempt(lab, "kvm1", emulator=QEMU, accel="tcg", kernels=[kernel])
    hangs = attempt(lab, "kvm1", emulator=QEMU, accel="tcg", kernels=[kernel], limit=1)

    assert alive.kvm is not None
    assert (alive.kvm.alive, alive.kvm.said) == (True, "a kernel booted")
    assert hangs.kvm is not None
    assert (hangs.kvm.alive, hangs.kvm.said) == (False, "a kernel hung")
    assert "panic=-1" not in lab.do("inside", "kvm1", "ps", "-eo", "args")


def test_a_login_that_may_not_open_kvm_is_told_so(lab: Lab) -> None:
    if not Path("/dev/kvm").exists():
        pytest.skip("there is no /dev/kvm here")

    trial = attempt(lab, "kvm2", emulator=QEMU)

    assert trial.kvm is not None
    assert trial.kvm.alive is None
    assert "/dev/kvm" in trial.kvm.said
