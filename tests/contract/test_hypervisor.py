"""What holds of machines on every hypervisor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from tests.contract.ground import RECORD, Ground, domain_xml
from vmctl.domain.machine import Machine
from vmctl.domain.record import Power
from vmctl.errors import NameTaken, RemoteFailed
from vmctl.ports import Hypervisor

NOBODY = "00000000-1111-2222-3333-444444444444"


def listed(ground: Ground, uuid: str) -> Machine | None:
    found = [one for one in ground.hypervisor.machines() if one.uuid == uuid]
    assert len(found) < 2
    return found[0] if found else None


def power(ground: Ground, uuid: str) -> Power | None:
    machine = ground.hypervisor.machine(uuid)
    assert machine == listed(ground, uuid)
    return machine.power if machine else None


def test_what_a_host_offers_is_enough_to_make_a_machine(ground: Ground) -> None:
    offers = ground.hypervisor.offers()

    assert (offers.arch, offers.virt_type) == ("x86_64", "qemu")
    assert offers.machine.startswith("pc-q35-")
    assert offers.emulator.startswith("/")
    assert {"maximum", "custom"} <= set(offers.cpu_modes)
    assert "bios" in offers.firmware
    assert "virtio" in offers.disk_buses
    assert "vnc" in offers.graphics
    assert "virtio" in offers.rng
    assert offers.libvirt >= 6_000_000
    assert offers.qemu >= 4_000_000


def test_a_defined_machine_is_found_off_and_with_its_record_word_for_word(
    ground: Ground, server: str
) -> None:
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}"))

    found = ground.hypervisor.machine(server)

    assert found == Machine(
        uuid=server, name=f"m-{server}", power=Power.SHUTDOWN, record=RECORD.format(number=1)
    )
    assert listed(ground, server) == found


def test_a_machine_without_our_record_is_listed_without_one(ground: Ground, server: str) -> None:
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}", record=False))

    found = listed(ground, server)

    assert found is not None
    assert found.record is None


def test_a_machine_defined_again_is_the_same_with_what_is_new(ground: Ground, server: str) -> None:
    for number in (1, 1, 2):
        ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}", number=number))

    found = listed(ground, server)

    assert found is not None
    assert found.record == RECORD.format(number=2)


@pytest.mark.parametrize("runs", [False, True], ids=["off", "running"])
def test_a_record_is_written_anew_and_nothing_else(
    ground: Ground, server: str, *, runs: bool
) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, domain_xml(server, f"m-{server}", number=1))
    if runs:
        on.ensure_running(server)
    before = on.machine(server)

    for _ in range(2):
        on.ensure_record(server, RECORD.format(number='2" more="&lt;&amp;'))
    after = on.machine(server)

    assert before is not None
    assert after is not None
    assert ET.fromstring(after.record or "").attrib == {
        "number": "2",
        "more": "<&",
    }
    assert ET.fromstring(after.record or "").text == '{"name": "a < b"}'
    assert replace(after, record=None) == replace(before, record=None)
    on.ensure_off(server)
    assert on.machine(server) == replace(after, power=Power.SHUTDOWN)


def test_a_machine_that_is_not_there_has_no_record(ground: Ground) -> None:
    with pytest.raises(RemoteFailed):
        ground.hypervisor.ensure_record(NOBODY, RECORD.format(number=1))


def test_a_name_that_another_machine_bears_is_told_with_the_host(
    ground: Ground, server: str
) -> None:
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}"))

    with pytest.raises(NameTaken) as told:
        ground.hypervisor.ensure_defined(NOBODY, domain_xml(NOBODY, f"m-{server}"))

    for word in (ground.name, f"m-{server}", server):
        assert word in told.value.message
    assert told.value.hint
    assert ground.hypervisor.machine(NOBODY) is None


def test_a_machine_is_started_and_powered_off_however_often_it_is_asked(
    ground: Ground, server: str
) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, domain_xml(server, f"m-{server}"))

    on.ensure_off(server)
    assert power(ground, server) is Power.SHUTDOWN
    on.ensure_running(server)
    on.ensure_running(server)
    assert power(ground, server) is Power.RUNNING
    ground.pause(server)
    assert power(ground, server) is Power.PAUSED
    on.ensure_running(server)
    assert power(ground, server) is Power.RUNNING
    on.ensure_off(server)
    on.ensure_off(server)
    assert power(ground, server) is Power.SHUTDOWN


def test_a_machine_that_runs_is_powered_off_before_it_is_taken_away(
    ground: Ground, server: str
) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, domain_xml(server, f"m-{server}"))
    on.ensure_autostart(server, on=True)
    on.ensure_running(server)

    on.ensure_undefined(server)
    on.ensure_undefined(server)

    assert power(ground, server) is None


def test_what_was_saved_of_a_machine_goes_with_it(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, domain_xml(server, f"m-{server}"))
    on.ensure_running(server)
    ground.save(server)
    saved = listed(ground, server)

    on.ensure_undefined(server)
    on.ensure_defined(server, domain_xml(server, f"m-{server}"))

    assert saved is not None
    assert (saved.managed_save, saved.power) == (True, Power.SHUTDOWN)
    anew = on.machine(server)
    assert anew is not None
    assert not anew.managed_save
    assert listed(ground, server) == anew


def test_autostart_is_set_and_cleared(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, domain_xml(server, f"m-{server}"))
    seen = []

    for wanted in (True, True, False, False):
        on.ensure_autostart(server, on=wanted)
        machine = on.machine(server)
        assert machine == listed(ground, server)
        seen.append(machine and machine.autostart)

    assert seen == [True, True, False, False]


def test_a_machine_that_is_not_there_is_off_and_gone(ground: Ground) -> None:
    on = ground.hypervisor

    on.ensure_off(NOBODY)
    on.ensure_undefined(NOBODY)
    on.ensure_autostart(NOBODY, on=False)

    assert on.machine(NOBODY) is None
    assert on.seen_addresses(NOBODY) == ()


ACTS: dict[str, Callable[[Hypervisor], None]] = {
    "running": lambda on: on.ensure_running(NOBODY),
    "autostart": lambda on: on.ensure_autostart(NOBODY, on=True),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS.keys())
def test_a_machine_that_is_not_there_cannot_be_made_to_run(
    ground: Ground, act: Callable[[Hypervisor], None]
) -> None:
    with pytest.raises(RemoteFailed) as told:
        act(ground.hypervisor)

    assert told.value.host == ground.name
    assert NOBODY in told.value.message


def test_a_machine_that_is_off_was_seen_nowhere(ground: Ground, server: str) -> None:
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}"))

    assert ground.hypervisor.seen_addresses(server) == ()


def test_what_a_host_remembers_of_a_card_from_before_its_machine_runs_was_not_seen(
    ground: Ground, server: str, mac: str
) -> None:
    on = ground.hypervisor
    ground.remember(mac, "192.168.122.77")
    on.ensure_defined(server, domain_xml(server, f"m-{server}", mac=mac))

    on.ensure_running(server)

    assert on.seen_addresses(server) == ()


def test_a_machine_stands_still_and_goes_on(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, domain_xml(server, f"m-{server}"))
    with pytest.raises(RemoteFailed):
        on.ensure_paused(server)
    on.ensure_running(server)

    for _ in range(2):
        on.ensure_paused(server)
        assert power(ground, server) is Power.PAUSED

    on.ensure_running(server)
    assert power(ground, server) is Power.RUNNING


def test_a_memory_is_saved_and_goes_on_or_is_forgotten(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, domain_xml(server, f"m-{server}"))
    with pytest.raises(RemoteFailed):
        on.ensure_saved(server)
    on.forget_saved(server)
    on.ensure_running(server)

    seen = []
    for act in (on.ensure_saved, on.ensure_saved, on.ensure_running, on.ensure_saved):
        act(server)
        machine = on.machine(server)
        assert machine == listed(ground, server)
        seen.append(machine and (machine.power, machine.managed_save))
    for _ in range(2):
        on.forget_saved(server)
        machine = on.machine(server)
        seen.append(machine and (machine.power, machine.managed_save))

    saved, forgotten = (Power.SHUTDOWN, True), (Power.SHUTDOWN, False)
    assert seen == [saved, saved, (Power.RUNNING, False), saved, forgotten, forgotten]


def test_stopping_a_save_that_is_not_under_way_changes_nothing(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.stop_saving(server)
    on.ensure_defined(server, domain_xml(server, f"m-{server}"))
    on.stop_saving(server)
    assert power(ground, server) is Power.SHUTDOWN

    on.ensure_running(server)
    on.stop_saving(server)
    assert power(ground, server) is Power.RUNNING
    on.ensure_saved(server)
    on.stop_saving(server)
    machine = on.machine(server)
    assert machine is not None
    assert machine.managed_save


def test_a_machine_that_is_off_gets_another_name(ground: Ground, server: str) -> None:
    on = ground.hypervisor
    on.ensure_defined(server, domain_xml(server, f"m-{server}"))
    other = NOBODY
    on.ensure_defined(other, domain_xml(other, f"o-{server}"))
    try:
        for _ in range(2):
            on.ensure_named(server, f"n-{server}")
        named = on.machine(server)
        assert named is not None
        assert named.name == f"n-{server}"
        with pytest.raises(NameTaken, match=other):
            on.ensure_named(server, f"o-{server}")
        on.ensure_running(server)
        with pytest.raises(RemoteFailed):
            on.ensure_named(server, f"m-{server}")
    finally:
        on.ensure_undefined(other)
    assert on.machine(server) == listed(ground, server)
