"""Who bears an address on the LAN, asked from hosts by those who may and those who may not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.outside import Lab
from tests.lab.plan import NEIGHBOUR, lan_v6, network
from tests.lab.reach import EVERY_LOGIN, Reach
from vmctl.adapters.neighbours import ShellNeighbours

GONE = 77


def places(lab: Lab, number: int) -> tuple[str, str]:
    return f"{network(lab.plan.lab, 'lan')}.{number}", f"{lan_v6(lab.plan.lab)}{number}"


@pytest.fixture
def remembered(shared_lab: Lab) -> Iterator[str]:
    """An address that every host remembers of a machine that is gone."""
    address = places(shared_lab, GONE)[0]
    entry = ("ip", "neigh", "replace", address, "dev", "br-lan")
    for host in shared_lab.hosts:
        shared_lab.do("inside", host.name, *entry, "lladdr", "52:54:00:00:00:77", "nud", "stale")
    yield address
    for host in shared_lab.hosts:
        shared_lab.do("inside", host.name, *entry, "nud", "failed")


@pytest.mark.parametrize("name", EVERY_LOGIN)
def test_the_neighbour_answers_and_nobody_else(shared_lab: Lab, reach: Reach, name: str) -> None:
    there, free = places(shared_lab, NEIGHBOUR), places(shared_lab, GONE + 1)
    shared_lab.do("inside", name, "ip", "neigh", "flush", "dev", "br-lan")
    neighbours = ShellNeighbours(reach.shells)

    answers = neighbours.who_answers(reach.host(name), "br-lan", (*there, *free))

    assert answers == {**dict.fromkeys(there, True), **dict.fromkeys(free, False)}


@pytest.mark.parametrize(("name", "said"), [("kvm1", False), ("kvm2", None), ("kvm3", False)])
def test_what_a_host_remembers_of_a_machine_that_is_gone_is_no_answer(
    reach: Reach, remembered: str, name: str, said: bool | None
) -> None:
    neighbours = ShellNeighbours(reach.shells)

    answers = neighbours.who_answers(reach.host(name), "br-lan", (remembered,))

    assert answers == {remembered: said}
