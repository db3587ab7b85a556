"""``console log show`` of servers on hosts that are folders."""

from __future__ import annotations

import base64
import threading
import time

import pytest

from tests.support.product import Product
from tests.support.servers import ID
from tests.support.stage import SPEC, Stage
from vmctl.cli.server_console import Words

NAME = SPEC.name
LOG = f"{ID}-log"


def say(stage: Stage, text: bytes) -> None:
    """Have the server's guest say something more."""
    with stage.fleet.state("kvm1") as state:
        (pool,) = (one["volumes"] for one in state["pools"].values() if LOG in one["volumes"])
        said = base64.b64decode(pool[LOG].get("content", "")) + text
        pool[LOG] |= {"content": base64.b64encode(said).decode(), "size": len(said)}


def forget(stage: Stage) -> None:
    with stage.fleet.state("kvm1") as state:
        for one in state["pools"].values():
            one["volumes"].pop(LOG, None)


def test_a_log_is_printed_whole_or_its_last_lines(vmctl: Product, stage: Stage) -> None:
    say(stage, b"boot \xc3\xa9\r\nmore\r\nlogin: ")

    assert vmctl.ok("console", "log", "show", NAME) == "boot é\nmore\nlogin: \n"
    assert vmctl.ok("console", "log", "show", NAME, "--lines", "1") == "login: \n"
    assert vmctl.ok("console", "log", "show", NAME, "--lines", "0") == ""


def test_a_server_that_said_nothing_is_told_of(vmctl: Product) -> None:
    ran = vmctl.run("console", "log", "show", NAME)

    assert (ran.code, ran.out) == (0, "")
    assert ran.err == f"server {NAME} has no console log yet\n"


def test_a_log_is_followed_until_it_is_gone(vmctl: Product, stage: Stage) -> None:
    say(stage, b"old\r\nboot\r\nlog")

    def go_on() -> None:
        for piece in (b"in: \xc3", b"\xa9\r", b"\nlast"):
            time.sleep(0.7)
            say(stage, piece)
        time.sleep(0.7)
        forget(stage)

    thread = threading.Thread(target=go_on)
    thread.start()
    ran = vmctl.run("console", "log", "show", NAME, "--lines", "2", "--follow")
    thread.join()

    assert (ran.code, ran.out) == (0, "boot\nlogin: é\nlast\n")
    assert ran.err == f"the console log of {NAME} is gone\n"


def test_a_host_that_is_gone_ends_the_following(vmctl: Product, stage: Stage) -> None:
    say(stage, b"boot\r\n")
    thread = threading.Timer(0.7, lambda: stage.fleet.set_down("kvm1", down=True))
    thread.start()

    ran = vmctl.run("console", "log", "show", NAME, "--follow")
    thread.join()

    assert (ran.code, ran.out) == (11, "boot\n")
    assert "kvm1 did not answer" in ran.err


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_piece_may_end_anywhere(cut: int) -> None:
    said = "a\r\né\r\rb\r".encode() * 2
    words = Words(tty=False)

    text = words.of(said[:cut]) + words.of(said[cut:]) + words.end()

    assert text == "a\né\r\rb\ra\né\r\rb\r\n"


def test_a_terminal_obeys_no_guest() -> None:
    words = Words(tty=True)

    assert words.of(b"\x1b[2J\r\n") + words.of(b"\x9b") + words.end() == "\\x1b[2J\n�\n"
