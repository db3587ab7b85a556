"""Whose addresses a claim passes over, on hosts that are folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.fake_app import FakeNeighbours
from tests.support.inventories import an_inventory
from tests.support.stage import Stage, a_stage, on_stage
from tests.support.stores import anything_fits
from vmctl.domain.inventory import Inventory
from vmctl.domain.operation import NewOperation
from vmctl.domain.plain import to_plain
from vmctl.domain.record import NewServer
from vmctl.domain.spec import CardWish
from vmctl.errors import AddressTaken
from vmctl.sagas.work import Work
from vmctl.services.claiming import Claims
from vmctl.services.hosts import sample_of
from vmctl.services.judging import Judge
from vmctl.services.planning import plan_build, wanted_of
from vmctl.services.policy import policy_of

HOSTS = """
hosts:
  kvm1: {address: kvm1}
  kvm2: {address: kvm2}
networks:
"""
NAT = HOSTS + "  nat: {source: {network: default}, cidrs: [10.0.0.0/16], security_group: none}\n"
BY_HAND = "52:54:00:99:99:99"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path)
    FakeNeighbours.greeted.clear()
    with on_stage(tmp_path) as opened:
        yield opened


def claimed(
    stage: Stage, inventory: Inventory, name: str, network: str, *fixed: str, on: str = "kvm1"
) -> Work:
    """A server that is admitted and claimed, as a create does both."""
    store, host = stage.store, inventory.hosts[on]
    spec = replace(
        servers.SPEC,
        id=f"{name:0>8}-3a54-4f58-9a1c-0d6b1c2e3f40",
        name=name,
        hostname=name,
        force_host=on,
        cards=(CardWish(network=network, fixed=fixed),),
    )
    sample = stage.world.prober.look(host, depth="quick", before=sample_of(store.host(on)))
    build = plan_build(
        spec, 1, host, inventory.networks, groups={}, sample=sample, taken=store.addresses
    )
    claims = Claims(
        stage.world,
        inventory,
        FakeNeighbours(),
        Judge(inventory, policy_of(inventory), stage.world.clock),
        lambda: (),
    )
    new = NewOperation(kind="server-create", saga="server-create", version=1, owner="a@b")
    with ExitStack() as held:
        lease = held.enter_context(stage.world.leases.hold(f"create-{name}"))
        server = NewServer(id=spec.id, name=name, spec=to_plain(spec))
        token = store.admit(lease, new, server, wanted_of(build, host), anything_fits)
        work = Work(
            world=stage.world,
            token=token,
            host=host,
            spec=spec,
            build=build,
            claim=claims.claim,
            networks=inventory.networks,
        )
        work.claim(work)
    return work


def promise_by_hand(stage: Stage, address: str, host: str = "kvm1") -> None:
    with stage.fleet.state(host) as state:
        state["networks"]["default"]["promises"][BY_HAND] = [[address], "by-hand"]


def test_an_address_that_somebody_promised_by_hand_is_passed_over(stage: Stage) -> None:
    inventory = an_inventory(NAT)
    promise_by_hand(stage, "10.0.0.1")

    work = claimed(stage, inventory, "web", "nat")

    assert work.build.cards[0].addresses == ("10.0.0.2",)
    assert stage.store.addresses("nat@kvm1") == {"10.0.0.2"}


def test_an_address_that_is_asked_for_and_promised_by_hand_is_refused(stage: Stage) -> None:
    promise_by_hand(stage, "10.0.0.7")

    with pytest.raises(AddressTaken, match=r"10\.0\.0\.7 on nat is in use already") as told:
        claimed(stage, an_inventory(NAT), "web", "nat", "10.0.0.7")

    assert told.value.hint
    assert stage.fleet.on(stage.hosts["kvm1"]).spoken_for("default")["10.0.0.7"] == BY_HAND
