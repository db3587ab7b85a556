"""Which way ``vmctl ssh`` goes, and what ``console log show`` says, without a host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from tests.support.fake_parts import Nobody
from tests.support.product import Product
from tests.support.record import a_record
from vmctl.adapters.store import open_store
from vmctl.bootstrap import App
from vmctl.errors import HostUnreachable

if TYPE_CHECKING:
    from vmctl.adapters.guest_entry import GuestWay
    from vmctl.domain.host import Host
    from vmctl.ports import Prober


class Entered(App):
    """Keeps which way was taken, and takes none."""

    ways: ClassVar[list[tuple[GuestWay, tuple[str, ...], str | None]]] = []
    code: ClassVar[int] = 7

    @property
    def prober(self) -> Prober:
        return Nobody()

    def enter_guest(self, way: GuestWay, command: tuple[str, ...], through: Host | None) -> int:
        self.ways.append((way, command, through.name if through else None))
        return self.code


@pytest.fixture
def vmctl(tmp_path: Path) -> Product:
    Entered.ways.clear()
    Entered.code = 7
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


def test_options_of_ssh_come_before_vmctls_own(vmctl: Product) -> None:
    way, command, _ = way_of(
        vmctl,
        *("web-1", "--jump", "-vv", "-o", "ForwardAgent=yes"),
        *("--", "-L", "80:localhost:80", "-t", "top", "-d", "1"),
    )

    assert way.words == ("-v", "-v", "-o", "ForwardAgent=yes", "-L", "80:localhost:80", "-t")
    assert command == ("top", "-d", "1")


def test_an_address_is_chosen_by_its_kind(vmctl: Product) -> None:
    assert way_of(vmctl, "web-1", "--jump", "--private")[0].address == "198.51.100.11"
    ran = vmctl.run("ssh", "web-1", "--jump", "--public")

    assert ran.code == 1
    assert "no address of server web-1 is known on public" in ran.err
    both = vmctl.run("ssh", "web-1", "--public", "--address-type", "lan")
    assert (both.code, both.err.splitlines()[0]) == (
        2,
        "--public, --private and --address-type exclude each other",
    )


def test_the_key_that_it_was_given_is_found(vmctl: Product) -> None:
    folder = vmctl.folder / ".ssh"
    folder.mkdir()
    with open_store(str(vmctl.db)) as store, store.writing() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE servers SET spec = json_set(spec, '$.public_key', 'ssh-rsa AAAA ops')"
        )
    (folder / "work.pub").write_text("ssh-rsa AAAA me\n")
    (folder / "work").touch()

    assert way_of(vmctl, "web-1", "--jump")[0].identity == str(folder / "work")
    assert way_of(vmctl, "web-1", "--jump", "-i", "/k")[0].identity == "/k"


def test_where_it_went_is_said_when_ssh_fails(vmctl: Product) -> None:
    Entered.code = 255

    ran = vmctl.run("ssh", "web-1", "--jump")

    assert ran.code == 255
    assert ran.err.splitlines() == [
        "kvm1 did not answer",
        (
            "web-1 was to be entered at debian@198.51.100.11 (lan, planned and never seen),"
            " through kvm1"
        ),
        (
            "hint: vmctl server show web-1 --refresh looks for its addresses;"
            " vmctl console log show web-1 tells how far it came"
        ),
    ]


def config_of(vmctl: Product, *words: str) -> dict[str, list[str]]:
    """The lines of each server that the configuration has, by its name."""
    found: dict[str, list[str]] = {}
    for line in vmctl.ok("ssh-config", *words).splitlines():
        if line.startswith("Host "):
            own = found.setdefault(line.split()[1], [])
        elif line.startswith("    "):
            own.append(line.strip())
    return found


def test_all_servers_with_an_address_are_in_the_configuration(vmctl: Product) -> None:
    found = config_of(vmctl)

    assert list(found) == ["booted", "db", "web-1", "web-2"]
    assert found["web-1"][:5] == [
        "HostName 198.51.100.11",
        "ProxyJump none",
        "ProxyCommand none",
        "Port 22",
        "User debian",
    ]
    assert "HostKeyAlias 00000000-0000-4000-8000-000000000001" in found["web-1"]
    assert f"UserKnownHostsFile {vmctl.folder}/.local/state/vmctl/known_hosts" in found["web-1"]
    ran = vmctl.run("ssh-config")
    assert ran.err.splitlines() == [
        "no address of server lost is known",
        "no address of server new is known",
    ]


def test_those_that_are_named_are_in_it_and_others_are_not(vmctl: Product) -> None:
    assert list(config_of(vmctl, "web-2")) == ["web-2"]
    assert list(config_of(vmctl, "--tag", "web")) == ["web-1", "web-2"]
    assert list(config_of(vmctl, "--project", "shop")) == ["web-1"]
    assert "User root" in config_of(vmctl, "web-1", "-l", "root")["web-1"]
    back = config_of(vmctl, "db", "--address-type", "back")["db"]
    assert back[0] == "HostName 203.0.113.4"
    lost = vmctl.run("ssh-config", "lost")
    assert (lost.code, lost.out) == (1, "")
    assert lost.err.startswith("no address of server lost is known\nhint: ")
    assert vmctl.run("ssh-config", "nope").code == 1


def test_a_server_is_led_to_through_its_host(vmctl: Product) -> None:
    found = config_of(vmctl, "web-1", "--jump")["web-1"]

    assert found[0] == "HostName 00000000-0000-4000-8000-000000000001"
    (proxy,) = [line for line in found if line.startswith("ProxyCommand ")]
    script, target = proxy.removeprefix("ProxyCommand ").split()
    assert target == "[198.51.100.11]:%p"
    assert script.startswith(f"{vmctl.folder}/.local/state/vmctl/ssh/")
    text = Path(script).read_text()
    assert '-W "$1" -- 192.0.2.1' in text
    assert "StrictHostKeyChecking=yes" in text


def test_a_host_whose_way_cannot_be_told_costs_its_own_servers(vmctl: Product) -> None:
    class Lost(Entered):
        def guest_passage(self, host: Host) -> str:
            if host.name == "kvm2":
                raise HostUnreachable("kvm2", "kvm2 did not show its key")
            return "/x"

    ran = replace(vmctl, app=Lost).run("ssh-config", "web-1", "web-2", "--jump")

    assert ran.code == 14
    assert "Host web-1" in ran.out
    assert "web-2" not in ran.out
    assert ran.err.splitlines() == [
        "kvm2 did not show its key",
        "1 of 2 servers are left out",
    ]
