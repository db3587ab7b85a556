"""Consoles and screens of real servers: on hosts for a plain user, and for sudo behind a jump host.

One server on each is made for all of this; what a test types it types at their shells.
"""

from __future__ import annotations

import json
import secrets
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.lab import servers
from tests.lab.images import READY
from tests.lab.outside import Lab
from tests.lab.screen import screenshot
from tests.lab.vmctl import Vmctl, argv
from tests.support.tty import Tty, at_a_terminal

HOSTS = {"plain": "kvm2", "far": "kvm3"}
"""Each server, and the host that it is on."""

BOOT = 90


@pytest.fixture(scope="module")
def mine(shared_lab: Lab, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vmctl]:
    """An operator with both servers, up to their login prompts."""
    operator = servers.operator(shared_lab, tmp_path_factory.mktemp("consoles") / "home", model)
    makers = [
        threading.Thread(target=servers.create, args=(operator, name), kwargs={"on": host})
        for name, host in HOSTS.items()
    ]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    try:
        for name in HOSTS:
            with following(operator, name) as said:
                said.until(READY)
        yield operator
    finally:
        shared_lab.do("up", "--hosts", str(shared_lab.plan.count))
        operator("server", "delete", *HOSTS, seconds=servers.LONG)
        servers.wipe(shared_lab)


class Followed:
    """What a run says, line by line, while it goes on."""

    def __init__(self, run: subprocess.Popen[str]) -> None:
        self.run = run
        self.lines: list[str] = []

    def until(self, wanted: str) -> None:
        """Read on to the next line that has this in it."""
        assert self.run.stdout is not None
        while True:
            line = self.run.stdout.readline()
            assert line, self.lines
            self.lines.append(line)
            if wanted in line:
                return


@contextmanager
def following(mine: Vmctl, name: str) -> Iterator[Followed]:
    run = mine.start("console", "log", "show", name, "--follow")
    limit = threading.Timer(BOOT, run.kill)
    limit.start()
    with run:
        try:
            yield Followed(run)
        finally:
            limit.cancel()
            run.kill()


@contextmanager
def attached(mine: Vmctl, name: str, *words: str) -> Iterator[tuple[Tty, list[Any]]]:
    """The console of a server on a terminal, raw by now, and the terminal's modes before."""
    line = argv("console", "attach", name, *words)
    with at_a_terminal(line, mine.environ, mine.home) as tty:
        before = tty.modes
        tty.see(f"attached to the console of {name} on {HOSTS[name]}")
        tty.until(lambda: tty.is_raw)
        yield tty, before


def log_in(tty: Tty, name: str) -> None:
    """Come to the prompt of root's shell, whoever was there before and whatever runs there.

    What is typed while a getty makes ready to ask, or a shell starts something, may be lost.
    """
    prompt = f"root@{name}:~# ".encode()
    for typed in ("\x03\r", "root\r") * 10:
        tty.seen = b""
        tty.type(typed)
        if tty.sees(lambda: prompt in tty.seen or tty.seen.endswith(b"login: "), 5):
            if prompt in tty.seen:
                tty.see(prompt.decode())
                return
            time.sleep(0.3)
    raise AssertionError(tty.seen)


@pytest.mark.parametrize("name", HOSTS)
def test_a_person_attaches_works_at_the_shell_and_lets_go(mine: Vmctl, name: str) -> None:
    word = secrets.token_hex(8)
    with attached(mine, name) as (tty, before):
        log_in(tty, name)
        tty.type(f"echo {word} | rev; seq 2000 | tail -n 1500; echo $((6*7)).\r")
        tty.see(word[::-1])
        numbers = tty.see("42.\r\n").split()
        tty.see(f"root@{name}:~# ")
        # ^C is the guest's, not ours.
        tty.type("echo up | rev; sleep 600\r")
        tty.see("pu\r\n")
        log_in(tty, name)
        tty.type("\x1d")
        tty.see(f"let go of the console of {name}")

        assert tty.end() == 0
        assert tty.modes == before
    assert numbers[:-1] == [str(number) for number in range(501, 2001)]
    assert word[::-1] in mine.ok("console", "log", "show", name)


def test_a_guest_is_told_the_terminals_size_and_the_new_one(mine: Vmctl) -> None:
    with attached(mine, "plain", "--resize") as (tty, _):
        log_in(tty, "plain")
        tty.see("stty rows 24 cols 80")
        tty.see("root@plain:~# ")
        tty.resize(47, 131)
        tty.see("stty rows 47 cols 131")
        tty.see("root@plain:~# ")
        tty.type("stty size\r")

        tty.see("47 131\r\n")


def test_a_signal_and_a_kill_leave_the_terminal_as_it_was_and_the_console_free(
    mine: Vmctl,
) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with attached(mine, "far") as (tty, before):
            log_in(tty, "far")
            tty.send(number)
            code = tty.end()
            tty.comes_back_to(before)

        assert code == (128 + number if number == signal.SIGTERM else -number)
        # The host hears of it when the connection ends.
        servers.until(lambda: free(mine, "far"), seconds=10)


def free(mine: Vmctl, name: str) -> bool:
    """Whether nobody has the console."""
    with at_a_terminal(argv("console", "attach", name), mine.environ, mine.home) as tty:
        tty.until(lambda: tty.is_raw or tty.states)
        had = tty.is_raw
        tty.type("\x1d")
        tty.end()
    return had


def test_only_one_may_attach_until_somebody_takes_it_over(mine: Vmctl) -> None:
    with attached(mine, "plain") as (first, before):
        refused = mine("console", "attach", "plain")
        with attached(mine, "plain", "--force") as (second, _):
            first.see("somebody else took over the console of plain")
            log_in(second, "plain")

            assert first.end() == 1
            assert first.modes == before
    assert refused.code == 1
    assert refused.told[0] == "somebody else is attached to the console of plain"
    assert "--force" in refused.told[1]


def test_a_log_is_followed_over_a_crash_and_a_start(mine: Vmctl, shared_lab: Lab) -> None:
    with following(mine, "plain") as said, attached(mine, "plain") as (tty, before):
        said.until(READY)
        uuid = servers.show(mine, "plain")["id"]
        shared_lab.do("inside", "kvm2", "pkill", "-9", "-f", f"guest=plain.*{uuid}")
        tty.see("server plain was powered off: its console has ended")
        code = tty.end()
        crashed = mine.ok("console", "log", "show", "plain")
        shared_lab.virsh_ok("kvm2", "start", "plain")
        said.until(READY)
        told = "".join(said.lines)

        assert (code, tty.modes) == (0, before)
    assert crashed.count(READY) == 1
    assert told.count(READY) == 2
    # What was said before the crash is there still, and once.
    assert mine.ok("console", "log", "show", "plain").startswith(told)


@contextmanager
def shown(mine: Vmctl, name: str, *words: str) -> Iterator[tuple[Followed, dict[str, Any]]]:
    """A way to the screen of a server, while it is open."""
    run = mine.start("console", "url", "show", name, "-f", "json", "--noindent", *words)
    with run:
        try:
            assert run.stdout is not None
            line = run.stdout.readline()
            assert line, run.communicate()
            yield Followed(run), json.loads(line)
        finally:
            run.kill()


def draw(mine: Vmctl, name: str) -> str:
    """Have a word on the screen of a server that is nowhere else."""
    word = secrets.token_hex(16)
    with attached(mine, name) as (tty, _):
        log_in(tty, name)
        # What stands there already is a login prompt, in the midst of a line.
        tty.type(f"printf '\\n%s\\n' {word} >/dev/tty1\r")
        tty.see(f"root@{name}:~# ")
        tty.type("\x1d")
        tty.end()
    return word


@pytest.mark.parametrize("name", HOSTS)
def test_a_viewer_sees_what_stands_on_the_screen(
    mine: Vmctl, shared_lab: Lab, tmp_path: Path, name: str
) -> None:
    word = draw(mine, name)
    with shown(mine, name) as (way, told):
        port = int(told["url"].rpartition(":")[2])
        turned_away = screenshot(port, "wrong", tmp_path)
        seen = screenshot(port, told["password"], tmp_path)
        _, err = way.run.communicate(timeout=30)
        # As it was used once, it lets in nobody any more, by whatever way.
        with shown(mine, name) as (_, other):
            again = screenshot(int(other["url"].rpartition(":")[2]), told["password"], tmp_path)
    everywhere = shared_lab.do("inside", HOSTS[name], "sh", "-c", _WRITTEN)

    assert turned_away.code != 0
    assert "authentication failed" in turned_away.said
    assert (seen.code, way.run.returncode) == (0, 0), (seen.said, err)
    assert word in seen.lines
    assert any(line.startswith(f"{READY} {name}") for line in seen.lines), seen.lines
    # The same eye sees no word that is not there.
    assert secrets.token_hex(16) not in seen.lines
    assert again.code != 0
    assert told["password"] != other["password"]
    assert "qemu-system" in everywhere
    assert told["password"] not in everywhere + err
    assert told["password"] not in mine.ok("server", "event", "list", name, "-f", "json")


_WRITTEN = """
cat /proc/[0-9]*/cmdline | tr '\\0' ' '
cat /var/log/libvirt/qemu/*.log /var/log/libvirt/*.log
"""


def test_a_screen_offers_no_way_in_without_a_password(mine: Vmctl) -> None:
    with shown(mine, "far") as (_, told):
        port = int(told["url"].rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as viewer:
            version = viewer.recv(12, socket.MSG_WAITALL)
            viewer.sendall(version)
            offered = viewer.recv(1, socket.MSG_WAITALL)
            ways = viewer.recv(offered[0], socket.MSG_WAITALL)

    assert version == b"RFB 003.008\n"
    assert ways == b"\x02"  # its only way is a password


def test_a_host_that_is_cut_off_ends_the_console_and_gives_the_terminal_back(
    mine: Vmctl, lab: Lab, *, torture: bool
) -> None:
    if not torture:
        pytest.skip("that a host is lost is noticed after 15 s, in `make torture`")
    with attached(mine, "far") as (tty, before):
        log_in(tty, "far")
        lab.do("cut-off", "kvm3")
        tty.see("kvm3: the connection was lost", seconds=25)

        assert tty.end() == 11
        assert tty.modes == before
