"""What holds of a machine's definition and figures on every hypervisor."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.contract.ground import Ground, domain_xml
from vmctl.domain.diagnostics import Diagnostics
from vmctl.domain.record import Power
from vmctl.errors import RemoteFailed

NOBODY = "00000000-1111-2222-3333-444444444444"
VNC = "<graphics type='vnc' autoport='yes' listen='127.0.0.1' passwd='hushhush'/><memballoon"


def memory(xml: str) -> int:
    return int(ET.fromstring(xml).findtext("memory") or 0) >> 10


def xml_of(server: str, mebibytes: int = 32) -> str:
    xml = domain_xml(server, f"m-{server}").replace("<memballoon", VNC)
    return xml.replace("<memory unit='MiB'>32<", f"<memory unit='KiB'>{mebibytes << 10}<")


def test_a_machine_is_told_as_it_runs_and_as_it_is_defined(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, xml_of(server))
    off = [memory(on.definition(server, live=live)) for live in (False, True)]
    on.ensure_running(server)
    on.ensure_defined(server, xml_of(server, 48))

    running = [memory(on.definition(server, live=live)) for live in (False, True)]

    assert (off, running) == ([32, 32], [48, 32])


def test_no_password_is_told_with_a_machine(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, xml_of(server))
    on.ensure_running(server)

    told = [on.definition(server, live=live) for live in (False, True)]

    assert all("graphics" in xml and "hushhush" not in xml for xml in told)


def test_a_machine_is_counted(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, xml_of(server))
    off = on.diagnostics(server)
    on.ensure_running(server)

    found = on.diagnostics(server)

    assert (off.power, off.cpu_times, off.disks, off.cards) == (Power.SHUTDOWN, (), (), ())
    assert found.power is Power.RUNNING
    assert len(found.cpu_times) == 1
    assert (found.virt_type, found.memory, found.memory_used) == ("qemu", 32, 32)
    assert found.cards == ()


def test_a_machine_that_is_not_there_is_neither_told_nor_counted(ground: Ground) -> None:
    for ask in (ground.hypervisor.definition, ground.hypervisor.diagnostics):
        with pytest.raises(RemoteFailed, match=NOBODY) as told:
            ask(NOBODY)
        assert told.value.reason == "absent"


def test_a_guests_disks_and_cards_are_counted(ground: Ground, guest: str) -> None:
    found: Diagnostics = ground.hypervisor.diagnostics(guest)

    macs = ET.fromstring(ground.hypervisor.definition(guest, live=True)).findall(
        "devices/interface/mac"
    )
    assert [one.mac for one in found.cards] == [one.get("address") for one in macs]
    assert all(one.rx_bytes > 0 for one in found.cards)
    assert sum(found.cpu_times) > 0
