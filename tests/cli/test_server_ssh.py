"""Which way ``vmctl ssh`` goes, and what ``console log show`` says, without a host."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.support.product import Product
from tests.support.record import a_record
from vmctl.bootstrap import App
from vmctl.errors import HostUnreachable

if TYPE_CHECKING:
    from pathlib import Path

    from vmctl.adapters.guest_entry import GuestWay
    from vmctl.domain.host import Host
    from vmctl.domain.sample import Depth, HostSample
    from vmctl.ports import Prober


class Nobody:
    """Looks at hosts that do not answer."""

    def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
        del depth, before
        raise HostUnreachable(host.name, f"{host.name} did not answer")


class Entered(App):
    """Keeps which way was taken, and takes none."""

    ways: ClassVar[list[tuple[GuestWay, tuple[str, ...], str | None]]] = []

    @property
    def prober(self) -> Prober:
        return Nobody()

    def enter_guest(self, way: GuestWay, command: tuple[str, ...], through: Host | None) -> int:
        self.ways.append((way, command, through.name if through else None))
        return 7


@pytest.fixture
def vmctl(tmp_path: Path) -> Product:
    Entered.ways.clear()
    return replace(a_record(tmp_path), app=Entered)


def way_of(vmctl: Product, *words: str) -> tuple[GuestWay, tuple[str, ...], str | None]:
    assert vmctl.run("ssh", *words).code == 7
    return Entered.ways[-1]


def test_a_server_is_entered_as_its_image_says_by_the_key_of_its_id(vmctl: Product) -> None:
    way, command, through = way_of(vmctl, "web-1", "--jump", "--", "echo", "a b")

    assert (way.server, way.address) == ("00000000-0000-4000-8000-000000000001", "198.51.100.11")
    assert (way.login, way.port, way.identity) == ("debian", 22, None)
    assert (command, through) == (("echo", "a b"), "kvm1")
    way, _, _ = way_of(vmctl, "web-1", "--jump", "-l", "root", "-p", "2222", "-i", "/k")
    assert (way.login, way.port, way.identity) == ("root", 2222, "/k")


def test_what_does_not_answer_from_here_is_reached_through_its_host(vmctl: Product) -> None:
    # The addresses on record are of nobody: no sshd is there.
    assert way_of(vmctl, "web-1", "-p", "1")[2] == "kvm1"


def test_both_spellings_are_one_command(vmctl: Product) -> None:
    assert vmctl.run("server", "ssh", "web-1", "--jump").code == 7


def test_there_is_no_one_to_answer_in_a_server_that_is_off(vmctl: Product) -> None:
    ran = vmctl.run("ssh", "db")

    assert ran.code == 1
    assert ran.err.splitlines() == [
        "kvm1 did not answer",
        "server db is SHUTOFF: there is no one to answer",
    ]
    assert Entered.ways == []


def test_an_address_of_another_family_or_network_is_not_there(vmctl: Product) -> None:
    ran = vmctl.run("ssh", "web-1", "--address-type", "back")

    assert ran.code == 1
    assert "no address of server web-1 is known on back" in ran.err


def test_a_server_that_was_never_made_has_no_console_log(vmctl: Product) -> None:
    ran = vmctl.run("console", "log", "show", "nope")

    assert (ran.code, ran.err.splitlines()[0]) == (1, "No Server found for nope")
