"""CPUs of servers' own: none is two servers', whoever made them and whatever is on record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import by_hand
from tests.support.claimants import Claimant, a_claimant, defined, overtaken_at
from tests.support.inventories import an_inventory
from tests.support.servers import SPEC
from tests.support.stage import GROUPS, Stage, a_stage, beside, on_stage
from tests.support.stood import THEIRS, identity, stand
from tests.support.stores import ACTOR, a_wanted, admit
from tests.support.torture_rebuild import OTHER
from vmctl.adapters.pins import find_own_cpus
from vmctl.domain import deed as deeds
from vmctl.domain.placement import Choice
from vmctl.domain.record import Power, ServerState
from vmctl.domain.server_record import from_xml
from vmctl.domain.spec import CardWish, Secrets, ServerSpec
from vmctl.errors import ClaimLost, RemoteFailed
from vmctl.sagas import CREATE
from vmctl.sagas.exchange import RESCUE
from vmctl.sagas.power import REBOOT_HARD
from vmctl.sagas.work import Work
from vmctl.services.acting import Errand, act
from vmctl.services.create import make_one
from vmctl.services.exchanging import to_rescue
from vmctl.services.hosts import look as look_at
from vmctl.services.judging import request_for
from vmctl.services.order import Order
from vmctl.services.site import Site

if TYPE_CHECKING:
    from vmctl.domain.deed import Deed
    from vmctl.domain.record import Server
    from vmctl.ports import Store
    from vmctl.sagas.saga import Saga
    from vmctl.services.acting import Ready

INVENTORY = an_inventory("""
    hosts:
      kvm1: {address: kvm1, dedicated_cpus: [4, 6-7]}
      kvm2: {address: kvm2, dedicated_cpus: 0-7}
    networks:
      nat: {source: {network: default}, cidrs: [10.0.0.0/24]}
    """)
NAT = CardWish(network="nat")


def asking(vcpus: int) -> ServerSpec:
    own = {"hw:cpu_policy": "dedicated"}
    return replace(SPEC, flavor=replace(SPEC.flavor, vcpus=vcpus, extra_specs=own))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path / "a")
    with on_stage(tmp_path / "a") as opened:
        yield opened


@pytest.fixture
def other(stage: Stage, tmp_path: Path) -> Iterator[Stage]:
    """Another database with the same hosts."""
    beside(stage.folder, tmp_path / "b")
    with on_stage(tmp_path / "b") as opened:
        yield opened


@pytest.fixture
def mine(stage: Stage) -> Claimant:
    return a_claimant(stage, inventory=INVENTORY)


def bind(stage: Stage, name: str, cpus: str, how: str = "vcpupin vcpu='0'") -> None:
    """Have somebody's own machine be bound to these CPUs."""
    xml = (
        f"<domain><name>{name}</name><vcpu>1</vcpu><memory>65536</memory>"
        f"<cputune><{how} cpuset='{cpus}'/></cputune></domain>"
    )
    stage.fleet.on(INVENTORY.hosts["kvm1"]).ensure_defined(identity(name), xml)


def pinned(stage: Stage, name: str) -> tuple[int, ...]:
    """To which CPUs a server's domain on kvm1 is pinned."""
    machine = stage.fleet.on(INVENTORY.hosts["kvm1"]).machine(identity(name))
    return machine.cpus if machine else ()


def on_record(work: Work) -> tuple[tuple[int, ...], Any]:
    """Give what a server holds by its claim, and by its plan."""
    attempts = work.world.store.attempts(work.spec.id)
    return attempts[-1].claims[0].cpus, attempts[-1].plan["cpus"]


def test_a_server_is_pinned_to_what_it_was_admitted_for(stage: Stage, mine: Claimant) -> None:
    first = mine.admitted("first", "kvm1", NAT, spec=asking(2))
    second = mine.admitted("second", "kvm1", NAT, spec=asking(1))

    for work in (second, first):
        work.claim(work)

    assert (pinned(stage, "first"), pinned(stage, "second")) == ((4, 6), (7,))
    assert on_record(first) == ((4, 6), [4, 6])
    build = defined(stage.fleet, "kvm1", "first")
    assert build is not None
    assert build.cpus == (4, 6)


def test_one_database_plans_no_more_than_there_are(mine: Claimant) -> None:
    mine.admitted("first", "kvm1", NAT, spec=asking(2))

    with pytest.raises(ClaimLost, match="needs 2 dedicated CPUs, 1 of 3 free"):
        mine.admitted("second", "kvm1", NAT, spec=asking(2))


def test_two_databases_give_no_cpu_to_two_servers(
    stage: Stage, other: Stage, mine: Claimant
) -> None:
    theirs = a_claimant(other, inventory=INVENTORY)
    works = [
        one.admitted(f"{who}-{number}", "kvm1", NAT, spec=asking(1))
        for number in range(2)
        for who, one in (("mine", mine), ("theirs", theirs))
    ]
    won, lost = [], []
    for work in works:
        try:
            work.claim(work)
        except ClaimLost as error:
            lost.append(error.message)
        else:
            won.append(work)

    given = [pinned(stage, work.spec.name) for work in won]
    assert sorted(given) == [(4,), (6,), (7,)]
    assert len(lost) == 1
    assert "needs 1 dedicated CPU, 0 of 3 free" in lost[0]
    assert all(on_record(work)[0] == pinned(stage, work.spec.name) for work in won)


@pytest.mark.parametrize("how", ["vcpupin vcpu='0'", "emulatorpin", "iothreadpin iothread='1'"])
def test_what_somebody_has_bound_since_is_left_alone(
    stage: Stage, mine: Claimant, how: str
) -> None:
    work = mine.admitted("web", "kvm1", NAT, spec=asking(2))
    bind(stage, "old", "3-4", how)

    work.claim(work)

    assert pinned(stage, "web") == (6, 7)
    assert on_record(work) == ((6, 7), [6, 7])
    assert work.build.cpus == (6, 7)


def test_one_that_is_bound_anew_at_its_next_start_is_seen(stage: Stage, mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", NAT, spec=asking(2))
    bind(stage, "old", "6")
    with by_hand.machine(stage.fleet, "kvm1", identity("old")) as machine:
        machine.update(on=True, live=machine["xml"], xml=machine["xml"].replace("'6'", "'4'"))

    with pytest.raises(ClaimLost, match="needs 2 dedicated CPUs, 1 of 3 free"):
        work.claim(work)

    assert defined(stage.fleet, "kvm1", "web") is None


def test_where_too_few_are_left_the_claim_is_lost(stage: Stage, mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", NAT, spec=asking(2))
    bind(stage, "old", "6-7")

    with pytest.raises(ClaimLost, match="needs 2 dedicated CPUs, 1 of 3 free"):
        work.claim(work)

    assert defined(stage.fleet, "kvm1", "web") is None


def test_a_forced_host_gives_no_more_than_it_has(stage: Stage, mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", NAT, spec=replace(asking(3), force_host="kvm1"))
    bind(stage, "old", "7")

    with pytest.raises(ClaimLost, match="needs 3 dedicated CPUs, 2 of 3 free"):
        work.claim(work)


def test_a_claim_that_is_made_again_keeps_its_cpus(stage: Stage, mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", NAT, spec=asking(2))

    work.claim(work)
    before = work.build
    work.claim(work)

    assert work.build == before
    assert pinned(stage, "web") == (4, 6)


def test_who_shares_is_bound_to_the_others(stage: Stage, mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", NAT)

    work.claim(work)

    xml = stage.fleet.picture("kvm1")["machines"][work.spec.id]["xml"]
    assert re.findall(r"cpuset='([^']*)'", xml) == ["0-3,5"]
    assert find_own_cpus(xml) == ()


def test_what_a_server_holds_is_shared_by_nobody_though_it_is_dedicated_no_more(
    stage: Stage, mine: Claimant
) -> None:
    mine.admitted("first", "kvm1", NAT, spec=asking(2))
    fewer = dict(INVENTORY.hosts)
    fewer["kvm1"] = replace(fewer["kvm1"], dedicated_cpus=(7,))
    work = a_claimant(stage, inventory=replace(INVENTORY, hosts=fewer)).admitted("web", "kvm1", NAT)

    work.claim(work)

    xml = stage.fleet.picture("kvm1")["machines"][work.spec.id]["xml"]
    assert re.findall(r"cpuset='([^']*)'", xml) == ["0-3,5"]


def test_where_all_are_dedicated_nobody_shares_any(mine: Claimant) -> None:
    with pytest.raises(ClaimLost, match="kvm2 cannot take the server: all its CPUs are dedicated"):
        mine.admitted("web", "kvm2", NAT)


def test_another_operators_server_keeps_its_own(stage: Stage, mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", NAT, spec=asking(2))
    host = INVENTORY.hosts["kvm1"]
    stand(stage.fleet, host, "theirs", owner=THEIRS, on=False, cpus=(4, 7))

    with pytest.raises(ClaimLost, match="needs 2 dedicated CPUs, 1 of 3 free"):
        work.claim(work)


def overtaken(stage: Stage, *cpus: int) -> Store:
    """The store of a stage, in which others take these CPUs, one at each try."""
    sql, left = stage.sql, list(cpus)

    def overtake() -> None:
        if left:
            wanted = replace(a_wanted("kvm1"), cpus=(left[0],))
            admit(sql, stage.world.leases, f"quicker-{left.pop(0)}", wanted)

    return overtaken_at(sql, overtake, "repin", "admit")


def test_who_is_overtaken_as_it_is_given_another_looks_again(stage: Stage, mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", NAT, spec=asking(1))
    bind(stage, "old", "4")
    stage.store = overtaken(stage, 6)
    late = a_claimant(stage, inventory=INVENTORY)

    late.claims.claim(replace(work, world=late.world))

    assert pinned(stage, "web") == (7,)


def made(stage: Stage, vcpus: int) -> ServerSpec:
    """Have a server with CPUs of its own made on kvm1, and running."""
    mine = a_claimant(stage, inventory=INVENTORY)
    spec = replace(asking(vcpus), cards=(NAT,))
    look_at(list(INVENTORY.hosts.values()), stage.world.prober, {}, lambda: stage.sql, lambda: 0.0)
    order = Order(
        specs=(spec,),
        at_least=1,
        request=request_for(spec),
        secrets=Secrets(),
        groups=GROUPS,
    )
    site = Site(
        world=mine.world,
        inventory=INVENTORY,
        claims=mine.claims,
        actor=ACTOR,
        owner="alice@laptop",
        max_attempts=1,
        saga=CREATE,
    )
    assert make_one(site, order, spec, Choice(index=0, host="kvm1", weight=1.0), {}).fault is None
    return spec


def cpus_of(stage: Stage) -> tuple[tuple[int, ...], ...]:
    """What the server has by its domain, by the record in it, and by ours."""
    machine = stage.fleet.on(INVENTORY.hosts["kvm1"]).machine(SPEC.id)
    assert machine is not None
    assert machine.record is not None
    (claim,) = stage.sql.claims("kvm1")
    return machine.cpus, from_xml(machine.record).build.cpus, claim.cpus


def do(stage: Stage, deed: Deed, saga: Saga[Work], ready: Ready | None = None) -> Server:
    claims = a_claimant(stage, inventory=INVENTORY).claims
    hosts = INVENTORY.hosts
    recovery = replace(stage.recovery, hosts=hosts, claim=claims.claim, settled=claims.settled)
    errand = Errand(deed=deed, saga=saga)
    errand = replace(errand, ready=ready) if ready else errand
    return act(recovery, stage.sql.server(SPEC.id), errand)


def test_who_is_overtaken_as_it_is_admitted_plans_again(stage: Stage) -> None:
    stage.store = overtaken(stage, 4, 6)

    made(stage, 1)

    machine = stage.fleet.on(INVENTORY.hosts["kvm1"]).machine(SPEC.id)
    assert machine is not None
    assert machine.cpus == (7,)


def test_defined_anew_it_leaves_alone_what_somebody_was_bound_to_since(stage: Stage) -> None:
    made(stage, 1)
    bind(stage, "old", "4")
    assert cpus_of(stage) == ((4,),) * 3

    do(stage, deeds.REBOOT_HARD, REBOOT_HARD)

    assert cpus_of(stage) == ((6,),) * 3


def test_defined_anew_it_keeps_what_is_given_out_no_more(stage: Stage) -> None:
    made(stage, 1)
    fewer = replace(INVENTORY.hosts["kvm1"], dedicated_cpus=(7,))
    claims = a_claimant(stage, inventory=replace(INVENTORY, hosts={"kvm1": fewer})).claims
    recovery = replace(stage.recovery, hosts={"kvm1": fewer}, settled=claims.settled)

    act(recovery, stage.sql.server(SPEC.id), Errand(deed=deeds.REBOOT_HARD, saga=REBOOT_HARD))

    assert cpus_of(stage) == ((4,),) * 3


def test_where_too_few_are_left_it_is_not_defined_anew(stage: Stage) -> None:
    made(stage, 2)
    bind(stage, "old", "6-7")

    with pytest.raises(ClaimLost, match="needs 2 dedicated CPUs, 1 of 3 free"):
        do(stage, deeds.REBOOT_HARD, REBOOT_HARD)

    assert cpus_of(stage) == ((4, 6),) * 3
    server = stage.sql.server(SPEC.id)
    assert (server.state, server.power) == (ServerState.ACTIVE, Power.RUNNING)


def test_given_others_that_it_could_not_be_bound_to_it_is_on_the_way_back(stage: Stage) -> None:
    made(stage, 1)
    bind(stage, "old", "4")
    once = []

    def fail_once(work: Work) -> None:
        with work.settled(work):
            once.append(work.build.cpus)
            raise RemoteFailed(work.host.name, "it cannot be defined")

    steps = tuple(
        replace(one, do=fail_once) if one.name == "define" else one for one in REBOOT_HARD.steps
    )
    with pytest.raises(RemoteFailed, match="it cannot be defined"):
        do(stage, deeds.REBOOT_HARD, replace(REBOOT_HARD, steps=steps))

    assert once == [(6,)]
    assert cpus_of(stage) == ((6,),) * 3
    assert stage.sql.server(SPEC.id).power is Power.RUNNING


def test_a_rescue_that_is_undone_gives_back_the_cpus_that_it_had(stage: Stage) -> None:
    made(stage, 2)

    def take_and_fail(work: Work) -> None:
        bind(stage, "old", "6-7")
        raise RemoteFailed(work.host.name, "it does not boot")

    run = next(one for one in RESCUE.steps if one.name == "run")
    steps = (*RESCUE.steps[:-1], replace(run, do=take_and_fail))
    with pytest.raises(RemoteFailed, match="it does not boot"):
        do(stage, deeds.RESCUE, replace(RESCUE, steps=steps), to_rescue(INVENTORY, OTHER.use, None))

    assert cpus_of(stage) == ((4, 6),) * 3
    assert stage.sql.operations(unfinished=True) == ()
    assert stage.sql.server(SPEC.id).state is ServerState.ACTIVE
