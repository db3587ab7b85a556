"""``host retire``: what it says before it does anything, and what it wants to hear."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.product import Product
from tests.support.record import a_record

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def vmctl(tmp_path: Path) -> Product:
    """A record with a server on kvm9, which is not in the inventory any more."""
    return a_record(tmp_path)


def on(vmctl: Product, host: str) -> str:
    return vmctl.ok("server", "list", "--host", host, "-f", "value", "-c", "Name").strip()


def typed(vmctl: Product, answer: str) -> tuple[int, str]:
    """Retire kvm9 in a terminal, and type this when asked."""
    ours, theirs = pty.openpty()
    words = ("host", "retire", "kvm9", "--with-servers", "--db", str(vmctl.db))
    inventory = ("--inventory", str(vmctl.folder / "inventory.yaml"))
    child = subprocess.Popen(
        [sys.executable, "-m", "vmctl", *words, *inventory],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={"HOME": str(vmctl.folder), "PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)},
        cwd=vmctl.folder,
    )
    os.close(theirs)
    said, until = b"", time.monotonic() + 30
    while time.monotonic() < until:
        try:
            more = os.read(ours, 4096)
        except OSError:  # the terminal's other end is closed
            break
        if not more:
            break
        said += more
        if answer and b"type its name" in said:
            os.write(ours, f"{answer}\n".encode())
            answer = ""
    code = child.wait(timeout=10)
    os.close(ours)
    return code, said.decode()


def test_its_servers_are_listed_and_not_lost_unasked(vmctl: Product) -> None:
    ran = vmctl.run("host", "retire", "kvm9", "--confirm", "kvm9")

    assert ran.code == 1
    assert "kvm9 is not in the inventory any more" in ran.err
    assert "lost (00000000-0000-4000-8000-000000000007) stands there" in ran.err
    assert "1 server on kvm9 would be lost with it" in ran.err
    assert "--with-servers" in ran.err
    assert on(vmctl, "kvm9") == "lost"


@pytest.mark.parametrize("words", [(), ("--yes",), ("--confirm", "kvm1"), ("--confirm", "")])
def test_nothing_but_its_name_confirms_it(vmctl: Product, words: tuple[str, ...]) -> None:
    ran = vmctl.run("host", "retire", "kvm9", "--with-servers", *words)

    assert ran.code == 2
    assert on(vmctl, "kvm9") == "lost"


def test_a_dry_run_tells_and_changes_nothing(vmctl: Product) -> None:
    ran = vmctl.run("host", "retire", "kvm9", "--with-servers", "--dry-run")

    assert ran.code == 0
    assert "stands there" in ran.err
    assert on(vmctl, "kvm9") == "lost"


def test_confirmed_it_takes_its_servers_off_the_list(vmctl: Product) -> None:
    before = vmctl.ok("server", "list", "-f", "value", "-c", "Name").split()

    ran = vmctl.run(
        "host", "retire", "kvm9", "--with-servers", "--confirm", "kvm9", "--reason", "burnt"
    )

    assert (ran.code, ran.out) == (0, "")
    assert "kvm9 is retired and takes no new servers; 1 server off the list" in ran.err
    after = vmctl.ok("server", "list", "-f", "value", "-c", "Name").split()
    assert after == [name for name in before if name != "lost"]
    told = vmctl.data("events", "--host", "kvm9")
    assert {row["Action"] for row in told} >= {"host-retire", "host-disable"}
    assert vmctl.run("host", "retire", "kvm9", "--confirm", "kvm9").code == 0


def test_a_host_that_nothing_is_known_of_is_not_found(vmctl: Product) -> None:
    ran = vmctl.run("host", "retire", "kvm8", "--confirm", "kvm8")

    assert ran.code == 1
    assert "nothing is known of a host kvm8" in ran.err


def test_on_a_terminal_its_name_is_typed(vmctl: Product) -> None:
    wrong = typed(vmctl, "yes")
    still = on(vmctl, "kvm9")
    right = typed(vmctl, "kvm9")

    assert (wrong[0], still) == (2, "lost")
    assert "yes is not kvm9: nothing was retired" in wrong[1]
    assert right[0] == 0, right[1]
    assert on(vmctl, "kvm9") == ""
