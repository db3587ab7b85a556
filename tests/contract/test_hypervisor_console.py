"""What holds of machines' consoles on every hypervisor."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from tests.contract.ground import Ground, domain_xml
from vmctl.domain.console import CONSOLE_HELD, NO_CONSOLE, ConsoleEnd
from vmctl.errors import RemoteFailed
from vmctl.ports import Console

NOBODY = "00000000-1111-2222-3333-444444444444"
LIMIT = 20.0


@pytest.fixture
def machine(ground: Ground, server: str) -> str:
    """A machine that runs and has a serial port, with nobody behind it."""
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}", console=True))
    ground.hypervisor.ensure_running(server)
    return server


@contextmanager
def attached(ground: Ground, uuid: str, *, force: bool = False) -> Iterator[Console]:
    with closing(ground.hypervisor.console(uuid, force=force)) as console:
        yield console


def heard(console: Console, wanted: bytes) -> bytes:
    """All that is said until this is in it, or the console ends."""
    said, until = b"", time.monotonic() + LIMIT
    while wanted not in said:
        ready, _, _ = select.select([console], [], [], max(until - time.monotonic(), 0))
        assert ready, said
        more = console.read()
        if more is None:
            break
        said += more
    return said


def ended(console: Console) -> ConsoleEnd | None:
    until = time.monotonic() + LIMIT
    while console.read() is not None:
        ready, _, _ = select.select([console], [], [], max(until - time.monotonic(), 0))
        assert ready
    return console.end()


def refusal(ground: Ground, uuid: str) -> str:
    with pytest.raises(RemoteFailed) as told, attached(ground, uuid):
        pass
    assert told.value.host == ground.name
    assert uuid in told.value.message, told.value.message
    return told.value.reason


def test_what_is_typed_reaches_the_guest_and_what_it_says_comes_back(
    ground: Ground, guest: str
) -> None:
    with attached(ground, guest) as console:
        assert console.write(b"typed-7") == 7
        said = heard(console, b"typed-7")

        assert b"typed-7" in said
        assert console.end() is None


def test_nothing_is_said_before_something_is_typed(ground: Ground, machine: str) -> None:
    with attached(ground, machine) as console:
        assert console.read() == b""


def test_only_one_may_attach_and_force_takes_it_over(ground: Ground, machine: str) -> None:
    with attached(ground, machine) as first:
        assert refusal(ground, machine) == CONSOLE_HELD
        assert first.end() is None

        with attached(ground, machine, force=True) as second:
            assert ended(first) is ConsoleEnd.TAKEN
            assert second.read() == b""
            assert second.end() is None


def test_what_was_let_go_of_may_be_had_again(ground: Ground, machine: str) -> None:
    for _ in range(3):
        with attached(ground, machine) as console:
            assert console.end() is None


def test_a_machine_that_is_powered_off_ends_its_console(ground: Ground, machine: str) -> None:
    with attached(ground, machine) as console:
        ground.hypervisor.ensure_off(machine)

        assert ended(console) is ConsoleEnd.CLOSED
        assert console.write(b"x") == 0


def test_what_does_not_run_or_is_not_there_has_no_console(ground: Ground, server: str) -> None:
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}", console=True))

    assert refusal(ground, server) == "refused"
    assert refusal(ground, NOBODY) == "absent"


def test_a_machine_without_a_serial_port_is_told_as_that(ground: Ground, server: str) -> None:
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}"))
    ground.hypervisor.ensure_running(server)

    assert refusal(ground, server) == NO_CONSOLE
