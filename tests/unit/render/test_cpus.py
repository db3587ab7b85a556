"""Domains on hosts that give out some of their CPUs one by one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.goldens_xml import is_valid_and_as_golden
from tests.support.servers import BUILD, OFFERS, OWNER, PLACE, SPEC, with_image
from vmctl.adapters.pins import find_own_cpus
from vmctl.adapters.render import TemplateRenderer
from vmctl.domain.build import Build
from vmctl.domain.machine import Offers
from vmctl.domain.spec import ServerSpec

SHARED = (0, 1, 2, 3, 5)
OWN = with_image(hw_cpu_policy="dedicated"), replace(BUILD, cpus=(6, 4))
CASES = {
    "beside": (*OWN, OFFERS),
    "emulated": (*OWN, replace(OFFERS, virt_type="qemu")),
    "shared": (SPEC, BUILD, OFFERS),
}


def a_domain(
    spec: ServerSpec, build: Build, offers: Offers, shared: tuple[int, ...] = SHARED
) -> str:
    return TemplateRenderer().domain(
        spec, build, owner=OWNER, offers=offers, place=PLACE, shared=shared
    )


@pytest.mark.parametrize("name", CASES)
def test_a_domain_is_written_as_it_always_was_and_fits_libvirts_schema(
    name: str, tmp_path: Path
) -> None:
    xml = a_domain(*CASES[name])

    is_valid_and_as_golden("domain", f"domain-{name}.xml", xml, tmp_path)


def test_the_emulator_runs_on_the_own_cpus_where_none_are_shared() -> None:
    xml = a_domain(*CASES["beside"], shared=())

    assert '<emulatorpin cpuset="6,4"/>' in xml
    assert find_own_cpus(xml) == (6, 4)
