"""What holds of machines' screens on every hypervisor."""

from __future__ import annotations

import pytest

from tests.contract.ground import Ground, domain_xml
from vmctl.domain.console import NO_SCREEN
from vmctl.errors import RemoteFailed

NOBODY = "00000000-1111-2222-3333-444444444444"


@pytest.fixture
def machine(ground: Ground, server: str) -> str:
    """A machine that runs and has a screen."""
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}", screen=True))
    ground.hypervisor.ensure_running(server)
    return server


def refusals(ground: Ground, uuid: str) -> set[str]:
    """Why neither the screen nor a password for it is to be had."""
    found = set()
    for ask in (
        lambda: ground.hypervisor.screen(uuid),
        lambda: ground.hypervisor.ensure_screen_password(uuid, "s3cret", seconds=60),
    ):
        with pytest.raises(RemoteFailed) as told:
            ask()
        assert told.value.host == ground.name
        assert uuid in told.value.message
        assert "s3cret" not in told.value.message
        found.add(told.value.reason)
    return found


def test_a_screen_is_served_where_its_host_reaches_it(ground: Ground, machine: str) -> None:
    screen = ground.hypervisor.screen(machine)

    assert (screen.address, screen.port >= 5900) == ("127.0.0.1", True)


def test_a_password_is_taken_for_so_long_however_often_it_is_set(
    ground: Ground, machine: str
) -> None:
    ground.hypervisor.ensure_screen_password(machine, "first", seconds=600)
    first = ground.screen_password(machine)
    for _ in range(2):
        ground.hypervisor.ensure_screen_password(machine, "Geheim12", seconds=60)
    password, seconds = ground.screen_password(machine)

    assert (first[0], 500 < first[1] < 620) == ("first", True)
    assert (password, 30 < seconds < 80) == ("Geheim12", True)


def test_a_password_that_is_ended_is_taken_no_more_and_no_other_with_it(
    ground: Ground, machine: str
) -> None:
    on = ground.hypervisor
    on.ensure_screen_password(machine, "mine", seconds=60)
    on.end_screen_password(machine, "theirs")
    kept = ground.screen_password(machine)
    for _ in range(2):
        on.end_screen_password(machine, "mine")
    ended = ground.screen_password(machine)

    assert (kept[0], kept[1] > 0) == ("mine", True)
    assert (ended[0] == "mine", ended[1] > 0) == (False, False)


def test_what_does_not_run_or_is_not_there_has_no_screen(ground: Ground, server: str) -> None:
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}", screen=True))

    assert refusals(ground, server) == {"refused"}
    assert refusals(ground, NOBODY) == {"absent"}
    for uuid in (server, NOBODY):
        ground.hypervisor.end_screen_password(uuid, "mine")


def test_a_machine_without_a_screen_is_told_as_that(ground: Ground, server: str) -> None:
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}"))
    ground.hypervisor.ensure_running(server)

    assert refusals(ground, server) == {NO_SCREEN}
