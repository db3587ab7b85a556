"""A hypervisor whose host hangs, is cut off or loses its libvirt in the middle."""

from __future__ import annotations

import contextlib
import gc
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.contract.ground import domain_xml
from tests.lab.outside import Lab
from tests.lab.plan import CHECKOUT
from tests.lab.reach import LIMIT, Reach, ends_within, operator
from vmctl.adapters.hypervisor import LibvirtHypervisor, LibvirtHypervisors, Limits
from vmctl.domain.build import Volume
from vmctl.domain.record import Power
from vmctl.errors import HostError, RemoteFailed, RemoteTimedOut

HOST = "kvm2"
ACT = 1.5
LIMITS = Limits(ask=1, act=ACT, agent=1, patience=1)
NOBODY = "00000000-1111-2222-3333-444444444444"
DISK = Volume(name="faults-disk", role="ephemeral", size=1)


@pytest.fixture
def on(reach: Reach) -> LibvirtHypervisor:
    # What earlier tests left to be freed would say goodbye to a daemon that is about to hang.
    gc.collect()
    made = LibvirtHypervisors(reach.libvirt, reach.shells, LIMITS)
    hypervisor = made.on(reach.host(HOST, virt_type="qemu"))
    hypervisor.pool("default")
    return hypervisor


@pytest.fixture
def server(lab: Lab, on: LibvirtHypervisor) -> Iterator[str]:
    name = str(uuid.uuid4())
    on.ensure_defined(name, domain_xml(name, f"m-{name}"))
    yield name
    lab.do("heal", HOST)
    on.ensure_undefined(name)


@pytest.mark.parametrize("fault", ["hang-libvirt", "cut-off"])
def test_a_host_that_hangs_is_told_within_the_limit_and_used_again_after(
    lab: Lab, on: LibvirtHypervisor, fault: str
) -> None:
    lab.do(fault, HOST)

    # The open connection cannot tell; the next one, which is never opened, can.
    error = ends_within(ACT + 1, lambda: on.ensure_defined(NOBODY, domain_xml(NOBODY, "nobody")))
    again = ends_within(LIMIT + 2, on.machines)

    assert isinstance(error, RemoteTimedOut)
    assert (error.host, error.reason) == (HOST, "libvirt-hangs")
    assert error.hint
    assert isinstance(again, HostError)
    assert again.host == HOST
    lab.do(f"{fault}-undo", HOST)
    assert on.machines()
    on.ensure_undefined(NOBODY)


CALLS: dict[str, Callable[[LibvirtHypervisor], object]] = {
    "machines": lambda on: on.machines(),
    "volume": lambda on: on.ensure_volume("default", DISK),
    "reservation": lambda on: on.remove_reservation("default", "52:54:00:00:00:01"),
    "seen": lambda on: on.seen_addresses(NOBODY),
}


def test_no_call_waits_for_a_libvirt_that_hangs(lab: Lab, tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        ready = []
        for name in CALLS:
            reach = stack.enter_context(operator(lab, tmp_path / name))
            made = LibvirtHypervisors(reach.libvirt, reach.shells, LIMITS)
            ready.append(made.on(reach.host(HOST)))
            ready[-1].pool("default")
        lab.do("hang-libvirt", HOST)
        with ThreadPoolExecutor() as threads:
            errors = list(
                threads.map(
                    lambda call, on: ends_within(ACT + 1, lambda: call(on)), CALLS.values(), ready
                )
            )
        lab.do("hang-libvirt-undo", HOST)

    assert [type(error) for error in errors] == [RemoteTimedOut] * len(CALLS)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupted_call_keeps_its_connection_to_itself(
    lab: Lab, reach: Reach, on: LibvirtHypervisor
) -> None:
    lab.do("hang-libvirt", HOST)
    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    with pytest.raises(KeyboardInterrupt):
        on.machines()
    signal.signal(signal.SIGALRM, before)
    lab.do("hang-libvirt-undo", HOST)

    assert reach.libvirt._shelf(reach.host(HOST)).idle == []
    assert on.machines()
    assert len(reach.libvirt._shelf(reach.host(HOST)).idle) == 1


HANGS = """
import sys
from pathlib import Path
from tests.lab.outside import Lab
from tests.lab.plan import CHECKOUT
from tests.lab.reach import operator, value
from vmctl.adapters.hypervisor import LibvirtHypervisors, Limits
from vmctl.errors import HostError
lab = Lab(root=Path(sys.argv[1]))
with operator(lab, Path(sys.argv[2])) as reach:
    made = LibvirtHypervisors(reach.libvirt, reach.shells, Limits(ask=1, act=1))
    on = made.on(value(lab, "kvm2"))
    known = on.machines()
    lab.do("hang-libvirt", "kvm2")
    try:
        on.ensure_off(known[0].uuid)
    except HostError as error:
        kept = error
        print(error.reason, flush=True)
"""


def test_a_call_that_hangs_does_not_hold_up_the_end_of_the_process(
    lab: Lab, tmp_path: Path
) -> None:
    began = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", HANGS, str(lab.root), str(tmp_path)],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "libvirt-hangs\n", "")
    assert time.monotonic() - began < 9


def test_a_machine_that_hangs_is_told_within_the_limit_and_powered_off(
    lab: Lab, on: LibvirtHypervisor, server: str
) -> None:
    on.ensure_running(server)
    lab.do("inside", HOST, "virsh", "-q", "suspend", server)
    lab.do("inside", HOST, "pkill", "-STOP", "-f", f"[q]emu.*{server}")

    error = ends_within(ACT + 1, lambda: on.ensure_running(server))
    listed = {one.uuid: one.power for one in on.machines()}

    assert isinstance(error, RemoteTimedOut)
    assert listed[server] is Power.PAUSED
    lab.do("inside", HOST, "pkill", "-CONT", "-f", f"[q]emu.*{server}")


def kill_connection() -> None:
    """Kill the ssh that libvirt runs for us, which is a child of this process."""
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = status.read_text().rsplit(")", 1)[1].split()
            command = (status.parent / "cmdline").read_text()
        except OSError:
            continue
        if int(words[1]) == os.getpid() and "virt-ssh-helper" in command:
            os.kill(int(status.parent.name), signal.SIGKILL)
            return
    pytest.fail("libvirt runs no ssh for this process")


def test_a_connection_that_died_is_opened_anew(on: LibvirtHypervisor, server: str) -> None:
    before = on.machines()

    for _ in range(3):
        kill_connection()
        assert on.machines() == before

    kill_connection()
    on.ensure_autostart(server, on=True)
    machine = on.machine(server)
    assert machine is not None
    assert machine.autostart


def test_a_restart_of_libvirt_between_two_calls_is_not_noticed(
    lab: Lab, on: LibvirtHypervisor, server: str
) -> None:
    on.ensure_running(server)

    lab.do("restart-libvirt", HOST)

    on.ensure_running(server)
    machine = on.machine(server)
    assert machine is not None
    assert machine.power is Power.RUNNING


# Of the few bytes of the first one libvirt says that all were written.
@pytest.mark.parametrize("size", [60_000, 700_000])
def test_a_full_pool_never_has_half_a_seed(lab: Lab, on: LibvirtHypervisor, size: int) -> None:
    lab.do("pool-full", HOST)

    with pytest.raises(RemoteFailed, match=r"No space left|pool default is full"):
        on.ensure_content("default", DISK, random.Random(size).randbytes(size))

    on.remove_volume("default", DISK.name)
