"""What hangs, dies or is cut off ends within its limit, and is told as what it is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.lab.plan import CHECKOUT
from tests.lab.reach import EVERY_LOGIN, LIMIT, Reach, ends_within
from vmctl.errors import HostError, HostUnreachable, RemoteFailed, VmctlError
from vmctl.services.fanout import Failed, Ok, fanout

pytestmark = pytest.mark.usefixtures("lab")


def reason(error: VmctlError) -> str:
    assert isinstance(error, HostUnreachable | RemoteFailed)
    assert error.hint or error.reason == "lost"
    return error.reason


def test_a_hanging_sshd_is_told_within_the_limit(reach: Reach) -> None:
    reach.lab.do("hang-ssh", "kvm2")

    error = ends_within(LIMIT + 2, lambda: reach.run("kvm2", "true"))

    assert reason(error) == "silent"


def test_a_hanging_sshd_behind_a_jump_host_is_told_within_the_limit(reach: Reach) -> None:
    reach.lab.do("hang-ssh", "kvm3")

    error = ends_within(LIMIT + 2, lambda: reach.run("kvm3", "true"))

    assert reason(error) == "silent"


def test_a_hanging_jump_host_costs_its_limit_once_for_all_behind_it(reach: Reach) -> None:
    hosts = [reach.host("kvm3", name=f"behind{number}") for number in range(6)]
    reach.lab.do("hang-ssh", "kvm1")
    began = time.monotonic()

    done = fanout(lambda host: reach.shells.shell(host).run("true"), hosts)

    assert time.monotonic() - began < LIMIT + 2
    for name, outcome in done.items():
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, HostUnreachable)
        assert outcome.error.host == name
        assert "jump host kvm1" in outcome.error.message


def test_a_hanging_libvirtd_is_told_within_the_limit_on_every_login(reach: Reach) -> None:
    for name in EVERY_LOGIN:
        reach.lab.do("hang-libvirt", name)
    began = time.monotonic()

    done = fanout(reach.libvirt.connection, [reach.host(name) for name in EVERY_LOGIN])

    assert time.monotonic() - began < LIMIT + 2
    for name, outcome in done.items():
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.error, VmctlError)
        assert reason(outcome.error) == "libvirt-hangs"
        assert reach.run(name, "echo ssh works") == "ssh works\n"


def test_an_open_that_hangs_all_the_same_is_left_behind(reach: Reach) -> None:
    # The host's own virsh is not asked where the inventory names another way to libvirt.
    host = reach.host("kvm2", name="own", libvirt_uri=reach.libvirt.uri(reach.host("kvm2")))
    reach.lab.do("hang-libvirt", "kvm2")

    error = ends_within(LIMIT + 2, lambda: reach.libvirt.connection(host))

    assert reason(error) == "libvirt-hangs"


def test_a_daemon_that_is_not_there_is_told(reach: Reach) -> None:
    sock = "/run/libvirt/libvirt-sock"
    reach.lab.do("inside", "kvm2", "mv", sock, f"{sock}.away")
    try:
        error = ends_within(LIMIT + 2, lambda: reach.libvirt.connection(reach.host("kvm2")))
    finally:
        reach.lab.do("inside", "kvm2", "mv", f"{sock}.away", sock)

    assert reason(error) == "libvirt-socket"


def test_one_off_one_hanging_and_one_fine_are_all_told_within_the_limit(reach: Reach) -> None:
    reach.lab.do("power-off", "kvm2")
    reach.lab.do("hang-ssh", "kvm3")
    began = time.monotonic()

    done = fanout(
        lambda host: reach.shells.shell(host).run("uname -n").text.strip(),
        [reach.host(name) for name in EVERY_LOGIN],
    )

    assert time.monotonic() - began < LIMIT + 2
    assert done["kvm1"] == Ok("kvm1")
    failed = {name: each.error for name, each in done.items() if isinstance(each, Failed)}
    told = {name: error.reason for name, error in failed.items() if isinstance(error, HostError)}
    assert told["kvm2"] in {"timeout", "route"}
    assert told["kvm3"] == "silent"


def cut_off_during(reach: Reach, name: str, seconds: float) -> threading.Timer:
    timer = threading.Timer(seconds, lambda: reach.lab.do("cut-off", name))
    timer.start()
    return timer


@pytest.mark.parametrize("name", ["kvm2", "kvm3"])
def test_a_host_cut_off_in_mid_command_ends_it_at_the_limit(reach: Reach, name: str) -> None:
    reach.run(name, "true")
    timer = cut_off_during(reach, name, 0.2)

    error = ends_within(4, lambda: reach.run(name, "sleep 60", timeout=2))

    timer.join()
    assert reason(error) in {"timeout", "lost"}


@pytest.mark.parametrize("name", ["kvm2", "kvm3"])
def test_a_connection_that_hangs_between_two_commands_is_left(reach: Reach, name: str) -> None:
    reach.run(name, "true")
    reach.lab.do("hang-ssh", name)

    error = ends_within(3.5, lambda: reach.run(name, "true", timeout=1))
    again = ends_within(LIMIT + 2, lambda: reach.run(name, "true", timeout=1))

    # The first cannot tell; the second, on a connection of its own, can.
    assert (reason(error), reason(again)) == ("timeout", "silent")


OWN_SSHD = """pid=$$
until [ "$(cat /proc/$pid/comm)" = sshd ]; do pid=$(ps -o ppid= -p $pid | tr -d ' '); done
kill -9 $pid; sleep 30"""


def test_a_connection_that_dies_in_mid_command_is_told_as_lost(reach: Reach) -> None:
    reach.run("kvm2", "true")

    error = ends_within(8, lambda: reach.run("kvm2", OWN_SSHD))

    assert reason(error) == "lost"
    assert reach.run("kvm2", "echo again") == "again\n"


def test_a_stream_that_closes_while_its_connection_does_ends_quietly(
    reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", raised.append)
    shell = reach.shells.shell(reach.host("kvm2"))
    stream = shell.open("cat >/dev/null")
    reach.lab.do("cut-off", "kvm2")
    before = threading.active_count()
    # More than the socket takes while nothing is acknowledged: who says goodbye waits behind it.
    data = bytes(2**21)
    writer = threading.Thread(target=lambda: ends_within(LIMIT + 2, lambda: stream.write(data)))
    writer.start()
    time.sleep(0.5)
    stream.close()
    time.sleep(0.2)
    assert writer.is_alive()

    shell.close()

    until = time.monotonic() + LIMIT
    while threading.active_count() >= before and time.monotonic() < until:
        time.sleep(0.05)
    assert threading.active_count() < before, threading.enumerate()
    assert not raised


HANGS = """
import sys
from pathlib import Path
from tests.lab.outside import Lab
from tests.lab.plan import CHECKOUT
from tests.lab.reach import value
from vmctl.adapters.libvirtd import LibvirtConnections
from vmctl.adapters.shells import HostShells
from vmctl.errors import HostError
lab = Lab(root=Path(sys.argv[1]))
shells = HostShells(connect_limit=1)
libvirts = LibvirtConnections(shells, sys.argv[2], open_limit=1)
uri = libvirts.uri(value(lab, "kvm3"))
hosts = [value(lab, "kvm2"), value(lab, "kvm3", libvirt_uri=uri)]
for host, act in zip(hosts, (shells.shell, libvirts.connection)):
    try:
        getattr(act(host), "run", print)("true")
    except HostError as error:
        print(error.reason)
libvirts.close()
shells.close()
"""


def test_what_hangs_does_not_hold_up_the_end_of_the_process(reach: Reach, tmp_path: Path) -> None:
    reach.lab.do("hang-ssh", "kvm2")
    reach.lab.do("hang-libvirt", "kvm3")
    began = time.monotonic()

    done = subprocess.run(
        [sys.executable, "-c", HANGS, str(reach.lab.root), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )

    assert done.stdout.split() == ["silent", "libvirt-hangs"]
    assert done.stderr == ""
    assert time.monotonic() - began < 8
