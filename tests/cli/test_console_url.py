"""``console url show`` for servers on hosts that are folders, with a screen of this test's own."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.product import Product
from tests.support.servers import ID
from tests.support.stage import SPEC, Stage

NAME = SPEC.name
VERSION = b"RFB 003.008\n"

IN_A_PROCESS = """
import sys
from pathlib import Path
from tests.support.fake_app import on_fakes
from tests.support.stage import on_stage
from vmctl.adapters.local_shell import LocalShell
from vmctl.cli.commands import COMMANDS
from vmctl.cli.main import dispatch

class Shells:
    def shell(self, host):
        return LocalShell(host)

with on_stage(Path(sys.argv[1])) as stage:
    product = on_fakes(stage)
    around = {
        "HOME": sys.argv[1],
        "VMCTL_DB": str(product.db),
        "VMCTL_INVENTORY": str(product.folder / "inventory.yaml"),
    }
    app = type("App", (product.app,), {"shells": Shells()})
    code = dispatch(["console", "url", "show", *sys.argv[2:]], COMMANDS, app, environ=around)
sys.exit(code)
"""


@pytest.fixture
def screen(stage: Stage) -> Iterator[None]:
    """A VNC server that lets in whoever says the password that the fake host has for it.

    A real viewer would not say it, but encrypt with it what it is sent.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    with stage.fleet.state("kvm1") as state:
        state["machines"][ID]["screen port"] = listener.getsockname()[1]

    def receive(viewer: socket.socket) -> None:
        with viewer:
            viewer.sendall(VERSION)
            if viewer.recv(12, socket.MSG_WAITALL) != VERSION:
                return
            viewer.sendall(b"\1\2")
            viewer.recv(1)
            viewer.sendall(bytes(16))
            said = viewer.recv(16, socket.MSG_WAITALL).rstrip(b"\0").decode()
            password, until = password_of(stage)
            if said != password or until <= stage.fleet.now():
                viewer.sendall(b"\0\0\0\1\0\0\0\2no")
                return
            viewer.sendall(b"\0\0\0\0")
            while viewer.recv(4096):
                viewer.sendall(b"a picture")

    def serve() -> None:
        while True:
            try:
                viewer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=receive, args=(viewer,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def password_of(stage: Stage) -> tuple[str, float]:
    with stage.fleet.state("kvm1") as state:
        password, until = state["machines"][ID].get("screen password", ["", 0])
    return password, until


def start(stage: Stage, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", IN_A_PROCESS, str(stage.folder), NAME, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextmanager
def shown(stage: Stage, *words: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A run that has printed where the screen is."""
    run = start(stage, "-f", "json", "--noindent", *words)
    with run:
        try:
            assert run.stdout is not None
            line = run.stdout.readline()
            assert line, run.communicate()
            yield run, json.loads(line)
        finally:
            run.kill()


@contextmanager
def viewing(url: str, password: str) -> Iterator[bytes]:
    """A viewer at the screen: what it was told of its password, and then what it is shown."""
    address, port = url.removeprefix("vnc://").split(":")
    with socket.create_connection((address, int(port)), timeout=20) as viewer:
        viewer.recv(12, socket.MSG_WAITALL)
        viewer.sendall(VERSION)
        viewer.recv(2, socket.MSG_WAITALL)
        viewer.sendall(b"\2")
        viewer.recv(16, socket.MSG_WAITALL)
        viewer.sendall(password.encode().ljust(16, b"\0"))
        verdict = viewer.recv(4, socket.MSG_WAITALL)
        if verdict == bytes(4):
            viewer.sendall(b"show me")
            verdict = viewer.recv(9, socket.MSG_WAITALL)
        yield verdict


def until(what: Any) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.usefixtures("screen")
def test_one_viewer_is_let_in_and_nobody_after_it(stage: Stage) -> None:
    with shown(stage) as (run, told):
        before = password_of(stage)
        with viewing(told["url"], "wrong") as refused:
            pass
        with viewing(told["url"], told["password"]) as picture:
            until(lambda: password_of(stage)[1] == 0)
            with pytest.raises(ConnectionRefusedError), viewing(told["url"], told["password"]):
                pass
            still = run.poll()
        out, err = run.communicate(timeout=20)

    assert told["protocol"] == told["type"] == "vnc"
    assert before[0] == told["password"]
    assert len(told["password"]) == 8
    assert 280 < before[1] - stage.fleet.now() <= 300
    assert (refused[:4], picture) == (b"\0\0\0\1", b"a picture")
    assert (still, run.returncode, out) == (None, 0, "")
    assert "vncviewer 127.0.0.1::" in err
    assert "a viewer is connected: nobody else is let in by this password" in err


@pytest.mark.usefixtures("screen")
def test_a_password_is_good_once_and_another_time_another(stage: Stage) -> None:
    found = set()
    for _ in range(2):
        with shown(stage) as (run, told):
            with viewing(told["url"], told["password"]) as picture:
                assert picture == b"a picture"
            run.communicate(timeout=20)
            found.add(told["password"])

    assert len(found) == 2


@pytest.mark.usefixtures("screen")
def test_nobody_who_comes_in_time_ends_it(stage: Stage) -> None:
    with shown(stage, "--timeout", "1") as (run, told):
        _, err = run.communicate(timeout=20)

    assert (run.returncode, password_of(stage)[1]) == (12, 0)
    assert told["password"] != password_of(stage)[0]
    assert "no viewer was let in within 1 s" in err


@pytest.mark.usefixtures("screen")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_who_stops_it_ends_the_password_too(stage: Stage, number: signal.Signals) -> None:
    with shown(stage) as (run, told):
        was = password_of(stage)
        run.send_signal(number)
        run.communicate(timeout=20)

    assert run.returncode == 128 + number
    assert was[0] == told["password"]
    assert password_of(stage)[1] == 0


@pytest.mark.usefixtures("screen")
def test_the_password_is_told_and_written_nowhere(stage: Stage) -> None:
    with shown(stage, "--debug") as (run, told):
        lines = [
            file.read_bytes()
            for file in Path("/proc").glob("[0-9]*/cmdline")
            if file.parent.name != "self" and file.exists()
        ]
        with viewing(told["url"], told["password"]):
            pass
        out, err = run.communicate(timeout=20)
        written = [
            file
            for file in stage.folder.rglob("*")
            if file.is_file() and told["password"].encode() in file.read_bytes()
        ]

    assert not any(told["password"].encode() in line for line in lines)
    assert told["password"] not in out + err
    # The fake host keeps it as a real one keeps it in memory, until it is ended.
    assert written == []
    assert any((stage.folder / ".local/state/vmctl/log").iterdir())


@pytest.mark.usefixtures("screen")
def test_a_port_may_be_chosen_and_one_that_is_taken_is_refused(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = start(stage, "--port", port)
        _, err = refused.communicate(timeout=20)
    with shown(stage, "--port", port) as (_, told):
        pass

    assert refused.returncode == 2
    assert f"--port {port}: Address already in use" in err
    assert told["url"] == f"vnc://127.0.0.1:{port}"


def test_a_screen_that_does_not_answer_is_told_before_a_password_is_made(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with stage.fleet.state("kvm1") as state:
        state["machines"][ID]["screen port"] = port

    run = start(stage)
    out, err = run.communicate(timeout=20)

    assert (run.returncode, out) == (11, "")
    assert f"kvm1: nothing answers there at 127.0.0.1 port {port}" in err
    assert password_of(stage) == ("", 0)


def test_what_has_no_screen_is_told_of(vmctl: Product, stage: Stage) -> None:
    hypervisor = stage.fleet.on(stage.hosts["kvm1"])
    with stage.fleet.state("kvm1") as state:
        machine = state["machines"][ID]
        machine["xml"] = machine["xml"].replace("<graphics type='vnc'/>", "")
    none = vmctl.run("console", "url", "show", NAME)
    hypervisor.ensure_off(ID)
    off = vmctl.run("console", "url", "show", NAME)
    hypervisor.ensure_undefined(ID)
    gone = vmctl.run("console", "url", "show", NAME)

    assert [one.code for one in (none, off, gone)] == [1, 1, 1]
    assert none.err.splitlines()[0] == f"server {NAME} has no screen"
    assert off.err.splitlines()[0] == f"server {NAME} does not run: its screen is dark"
    assert f"server {NAME} is not on kvm1: its domain is gone" in gone.err


@pytest.mark.parametrize(
    ("flag", "hint"),
    [
        ("--novnc", "--vnc"),
        ("--xvpvnc", "--vnc"),
        ("--spice", "--vnc"),
        ("--spice-direct", "--vnc"),
        ("--rdp", "--vnc"),
        ("--serial", "vmctl console attach"),
        ("--mks", "--vnc"),
    ],
)
def test_openstacks_other_ways_are_refused_by_name(vmctl: Product, flag: str, hint: str) -> None:
    ran = vmctl.run("console", "url", "show", flag, NAME)

    assert (ran.code, ran.out) == (2, "")
    assert ran.err.splitlines()[0] == f"{flag}: there is none here"
    assert hint in ran.err.splitlines()[1]
