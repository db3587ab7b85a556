"""``console attach`` to servers on hosts that are folders; the terminal has tests of its own."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial

import pytest

from tests.support.product import Product
from tests.support.servers import ID
from tests.support.stage import SPEC, Stage
from tests.support.tty import at_a_terminal
from vmctl.cli.console_attach import key_of
from vmctl.domain.console import ConsoleEnd
from vmctl.errors import UsageError
from vmctl.ports.lines import Console

NAME = SPEC.name

IN_A_PROCESS = """
import sys
from pathlib import Path
from tests.support.fake_app import on_fakes
from tests.support.stage import on_stage
from vmctl.cli.commands import COMMANDS
from vmctl.cli.main import dispatch
with on_stage(Path(sys.argv[1])) as stage:
    product = on_fakes(stage)
    around = {
        "HOME": sys.argv[1],
        "VMCTL_DB": str(product.db),
        "VMCTL_INVENTORY": str(product.folder / "inventory.yaml"),
    }
    code = dispatch(["console", "attach", *sys.argv[2:]], COMMANDS, product.app, environ=around)
sys.exit(code)
"""


@contextmanager
def once_attached(
    stage: Stage, deed: Callable[[], object], *, instead_of: Console | None = None
) -> Iterator[None]:
    """Have something done as soon as the block has the console, taken from somebody or not."""

    def wait() -> None:
        while instead_of is not None and instead_of.end() is None:
            time.sleep(0.02)
        while not stage.fleet.consoles.is_held(ID):
            time.sleep(0.02)
        deed()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join()


def attach(vmctl: Product, *words: str) -> tuple[int, str]:
    ran = vmctl.run("console", "attach", *words)
    return ran.code, ran.err


def test_a_person_attaches_types_and_lets_go(stage: Stage) -> None:
    words = [sys.executable, "-c", IN_A_PROCESS, str(stage.folder), NAME]
    with at_a_terminal(words) as tty:
        before = tty.modes
        told = tty.see("(or --resize)\r\n")
        tty.until(lambda: tty.is_raw)
        tty.type("ls\r")
        tty.see("ls\r\n")
        tty.type("\x1d")
        left = tty.see(f"let go of the console of {NAME}")

        assert tty.end() == 0
        assert tty.modes == before
    assert f"attached to the console of {NAME} on kvm1; ^] lets go of it\r\n" in told
    assert "stty rows 24 cols 80 (or --resize)" in told
    assert left == f"\r\nlet go of the console of {NAME}"


def test_another_key_lets_go_and_the_usual_one_goes_through(stage: Stage) -> None:
    words = [sys.executable, "-c", IN_A_PROCESS, str(stage.folder), NAME, "--escape", "^a", "-q"]
    with at_a_terminal(words) as tty:
        tty.until(lambda: tty.is_raw)
        tty.type("a\x1db")
        tty.see("a\x1db")
        tty.type("\x01")

        assert tty.end() == 0


def test_a_server_that_is_powered_off_ends_it(vmctl: Product, stage: Stage) -> None:
    with once_attached(stage, lambda: stage.fleet.on(stage.hosts["kvm1"]).ensure_off(ID)):
        code, err = attach(vmctl, NAME)

    assert (code, err) == (0, f"server {NAME} was powered off: its console has ended\n")


def test_only_one_may_attach_and_who_takes_it_over_ends_it(vmctl: Product, stage: Stage) -> None:
    hypervisor = stage.fleet.on(stage.hosts["kvm1"])
    with closing(hypervisor.console(ID)) as theirs:
        refused, why = attach(vmctl, NAME)
        over_to = partial(hypervisor.console, ID, force=True)
        with once_attached(stage, lambda: over_to().close(), instead_of=theirs):
            forced, told = attach(vmctl, NAME, "--force")
        end = theirs.end()

    assert (refused, end) == (1, ConsoleEnd.TAKEN)
    assert why.splitlines() == [
        f"somebody else is attached to the console of {NAME}",
        "hint: --force takes it over, and ends theirs",
    ]
    assert (forced, told.splitlines()[0]) == (1, f"somebody else took over the console of {NAME}")


def test_a_lost_host_is_told_as_one(vmctl: Product, stage: Stage) -> None:
    with once_attached(stage, lambda: stage.fleet.consoles.lose(ID)):
        code, err = attach(vmctl, NAME)

    assert code == 11
    assert f"kvm1: the connection was lost; whether {NAME} runs on is not known" in err


def test_what_does_not_run_has_nothing_to_attach_to(vmctl: Product, stage: Stage) -> None:
    stage.fleet.on(stage.hosts["kvm1"]).ensure_off(ID)
    off = attach(vmctl, NAME)
    stage.fleet.on(stage.hosts["kvm1"]).ensure_undefined(ID)
    gone = attach(vmctl, NAME)

    assert (off[0], gone[0]) == (1, 1)
    assert off[1].splitlines() == [
        f"server {NAME} does not run: there is nothing to attach to",
        f"hint: vmctl console log show {NAME}",
    ]
    assert f"server {NAME} is not on kvm1: its domain is gone" in gone[1]


def test_a_server_that_nobody_made_is_told_of(vmctl: Product) -> None:
    code, err = attach(vmctl, "nope")

    assert (code, err.splitlines()[0]) == (1, "No Server found for nope")


@pytest.mark.parametrize(
    ("word", "key"),
    [
        ("^]", b"\x1d"),
        ("^a", b"\x01"),
        ("^Z", b"\x1a"),
        ("^?", b"\x7f"),
        ("~", b"~"),
        ("^", b"^"),
        ("none", b""),
    ],
)
def test_keys_are_named_as_keyboards_have_them(word: str, key: bytes) -> None:
    assert key_of(word) == key


@pytest.mark.parametrize("word", ["", "^1", "^é", "é", "ctrl-a", " ", "^]]"])
def test_what_is_no_key_is_refused(word: str) -> None:
    with pytest.raises(UsageError, match="--escape"):
        key_of(word)
