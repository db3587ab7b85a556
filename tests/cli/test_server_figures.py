"""``server show --xml|--diagnostics`` on hosts that are folders."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from tests.support.product import Product
from tests.support.stage import SPEC, Stage

NAME = SPEC.name
FIELDS = {
    *("config_drive", "cpu_details", "disk_details", "driver", "hypervisor", "hypervisor_os"),
    *("memory_details", "nic_details", "num_cpus", "num_disks", "num_nics", "state", "uptime"),
}


def vcpus(xml: str) -> str | None:
    root = ET.fromstring(xml)
    assert root.findtext("uuid") == SPEC.id
    return root.findtext("vcpu")


def test_the_domain_is_told_as_it_runs_and_as_it_will_run(vmctl: Product, stage: Stage) -> None:
    on = stage.fleet.on(stage.hosts["kvm1"])
    secret = on.definition(SPEC.id).replace("<devices>", "<devices><graphics passwd='hush'/>")
    on.ensure_defined(SPEC.id, secret.replace("<vcpu>2<", "<vcpu>4<"))

    live = vmctl.ok("server", "show", NAME, "--xml")
    next_time = vmctl.ok("server", "show", NAME, "--xml", "--inactive")
    on.ensure_off(SPEC.id)
    off = vmctl.ok("server", "show", SPEC.id, "--xml")

    assert [vcpus(one) for one in (live, next_time, off)] == ["2", "4", "4"]
    assert "graphics" in next_time
    assert "hush" not in live + next_time + off


def test_it_is_counted_in_openstacks_fields(vmctl: Product) -> None:
    found = vmctl.data("server", "show", NAME, "--diagnostics")

    assert set(found) == FIELDS
    assert (found["driver"], found["hypervisor"], found["state"]) == ("libvirt", "kvm", "running")
    assert (found["num_cpus"], found["num_nics"]) == (2, 2)
    assert found["memory_details"] == {"maximum": 512, "used": 512}
    assert found["nic_details"][0]["mac_address"] == "52:54:00:00:01:00"
    assert found["uptime"] >= 0
    assert "2" in vmctl.ok("server", "show", NAME, "--diagnostics", "-f", "value", "-c", "num_cpus")


def test_one_that_is_off_is_not_counted(vmctl: Product, stage: Stage) -> None:
    stage.fleet.on(stage.hosts["kvm1"]).ensure_off(SPEC.id)
    vmctl.ok("server", "list", "--refresh")

    ran = vmctl.run("server", "show", NAME, "--diagnostics")

    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"server {NAME} is SHUTOFF: there is no one to answer\n"


@pytest.mark.parametrize("what", ["--xml", "--diagnostics"])
def test_what_a_host_does_not_have_or_does_not_tell_is_no_guess(
    vmctl: Product, stage: Stage, what: str
) -> None:
    stage.fleet.set_down("kvm1", down=True)
    silent = vmctl.run("server", "show", NAME, what)
    stage.fleet.set_down("kvm1", down=False)
    stage.fleet.on(stage.hosts["kvm1"]).ensure_undefined(SPEC.id)
    gone = vmctl.run("server", "show", NAME, what)

    assert (silent.code, silent.err) == (11, "kvm1 did not answer\n")
    assert (gone.code, gone.err.splitlines()) == (
        1,
        [
            f"server {NAME} is not on kvm1: its domain is gone",
            f"hint: vmctl server show {NAME} --refresh",
        ],
    )


@pytest.mark.parametrize(
    "words", [("--xml", "--diagnostics"), ("--xml", "--placement"), ("--inactive",)]
)
def test_one_thing_is_shown_at_a_time(vmctl: Product, words: tuple[str, ...]) -> None:
    assert vmctl.run("server", "show", NAME, *words).code == 2
