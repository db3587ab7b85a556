"""Whose addresses a claim passes over, on hosts that are folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support import servers
from tests.support.fake_app import FakeNeighbours
from tests.support.inventories import an_inventory
from tests.support.stage import Stage, a_stage, on_stage
from tests.support.stores import anything_fits
from vmctl.adapters.store import open_store
from vmctl.domain.inventory import Inventory
from vmctl.domain.operation import NewOperation
from vmctl.domain.plain import to_plain
from vmctl.domain.record import NewServer
from vmctl.domain.spec import CardWish
from vmctl.errors import AddressTaken, ClaimLost
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
NAT = HOSTS + "  nat: {source: {network: default}, cidrs: [10.0.0.0/16]}\n"
BY_HAND = "52:54:00:99:99:99"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path)
    FakeNeighbours.greeted.clear()
    with on_stage(tmp_path) as opened:
        yield opened


def claimed(
    stage: Stage,
    inventory: Inventory,
    name: str,
    network: str,
    *fixed: str,
    on: str = "kvm1",
    then: Callable[[], object] = lambda: None,
) -> Work:
    """A server that is admitted and claimed, as a create does both; `then` comes in between."""
    store, host = stage.store, inventory.hosts[on]
    spec = replace(
        servers.SPEC,
        id=f"{name:0>8}-3a54-4f58-9a1c-0d6b1c2e3f40",
        name=name,
        hostname=name,
        force_host=on,
        security_groups=(),
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
        then()
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


@pytest.fixture
def other(stage: Stage) -> Iterator[Stage]:
    """The same hosts, as somebody with another database has them."""
    folder = stage.folder / "other"
    folder.mkdir()
    (folder / "hosts").symlink_to(stage.folder / "hosts")
    open_store(str(folder / "state.db")).close()
    with on_stage(folder) as opened:
        yield opened


OUTER = HOSTS + "  lan: {source: {network: default}, cidrs: [10.5.0.0/16], addressing: static%s}\n"


def have_forward(stage: Stage, forward: str, bridge: str | None = "br0") -> None:
    for host in ("kvm1", "kvm2"):
        with stage.fleet.state(host) as state:
            state["networks"]["default"] |= {"forward": forward, "bridge": bridge}


@pytest.mark.parametrize("forward", ["bridge", "passthrough", "route", "open"])
def test_a_libvirt_network_that_is_no_nat_gives_no_address_twice(
    stage: Stage, other: Stage, forward: str
) -> None:
    inventory = an_inventory(OUTER % "")
    have_forward(stage, forward)

    works = [
        claimed(stage, inventory, "a", "lan", on="kvm1"),
        claimed(stage, inventory, "b", "lan", on="kvm2"),
        claimed(other, inventory, "c", "lan", on="kvm2"),
        claimed(other, inventory, "d", "lan", on="kvm1"),
    ]

    given = [address for work in works for address in work.build.cards[0].addresses]
    assert given == ["10.5.0.1", "10.5.0.2", "10.5.0.3", "10.5.0.4"]
    assert stage.store.addresses("lan") == {"10.5.0.1", "10.5.0.2"}


def test_an_address_on_a_libvirt_networks_bridge_is_asked_for(stage: Stage) -> None:
    have_forward(stage, "bridge")
    FakeNeighbours.greeted.add("10.5.0.1")

    known = claimed(stage, an_inventory(OUTER % ""), "a", "lan")
    have_forward(stage, "bridge", None)
    unknown = claimed(stage, an_inventory(OUTER % ""), "b", "lan")

    assert known.build.cards[0].addresses == ("10.5.0.2",)
    assert (known.build.cards[0].probed, unknown.build.cards[0].probed) == (True, False)


@pytest.mark.parametrize(
    ("forward", "said", "scope"),
    [
        ("bridge", ", spans: false", "lan@kvm1"),
        ("nat", ", spans: true", "lan"),
        ("nat", "", "lan@kvm1"),
    ],
)
def test_what_the_inventory_says_of_a_networks_reach_comes_first(
    stage: Stage, forward: str, said: str, scope: str
) -> None:
    have_forward(stage, forward)

    work = claimed(stage, an_inventory(OUTER % said), "a", "lan")

    assert work.build.cards[0].scope == scope


def test_a_network_that_turns_out_to_reach_other_hosts_is_not_claimed_on(stage: Stage) -> None:
    inventory = an_inventory(OUTER % "")

    with pytest.raises(ClaimLost, match="lan reaches other hosts"):
        claimed(stage, inventory, "a", "lan", then=lambda: have_forward(stage, "bridge"))


def test_one_bridge_that_two_inventories_name_differently_gives_no_address_twice(
    stage: Stage, other: Stage
) -> None:
    said = (
        HOSTS + "  %s: {source: {bridge: {hosts: {kvm1: br0, kvm2: %s}}}, cidrs: [10.1.0.0/24]}\n"
    )
    mine, theirs = (an_inventory(said % one) for one in (("lan", "br2"), ("office", "br2")))

    first = claimed(stage, mine, "a", "lan", on="kvm1")
    second = claimed(other, theirs, "b", "office", on="kvm2")
    third = claimed(stage, mine, "c", "lan", on="kvm2")

    found = [one.build.cards[0].addresses for one in (first, second, third)]
    assert found == [("10.1.0.1",), ("10.1.0.2",), ("10.1.0.3",)]


def test_one_nat_that_two_inventories_name_differently_gives_no_address_twice(
    stage: Stage, other: Stage
) -> None:
    first = claimed(stage, an_inventory(NAT), "a", "nat")
    second = claimed(other, an_inventory(NAT.replace("nat:", "home:")), "b", "home")

    assert first.build.cards[0].addresses == ("10.0.0.1",)
    assert second.build.cards[0].addresses == ("10.0.0.2",)


def test_two_bridges_of_one_host_keep_to_themselves(stage: Stage, other: Stage) -> None:
    said = HOSTS + "  %s: {source: {bridge: %s}, cidrs: [10.1.0.0/24]}\n"

    first = claimed(stage, an_inventory(said % ("lan", "br0")), "a", "lan")
    second = claimed(other, an_inventory(said % ("dmz", "br1")), "b", "dmz")

    assert first.build.cards[0].addresses == second.build.cards[0].addresses
