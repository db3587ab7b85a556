"""Servers made and deleted on a stage by the product's own services, with its claims and judge."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tests.support import stage as staged
from tests.support.fake_app import FakeNeighbours
from tests.support.inventories import an_inventory
from tests.support.stage import GROUPS, Stage, a_stage, on_stage
from tests.support.stores import ACTOR
from vmctl.domain.placement import Choice
from vmctl.domain.spec import CardWish, Secrets
from vmctl.errors import VmctlError
from vmctl.sagas import CLEANUP, CREATE, DELETE, SAGAS
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.services.claiming import Claims
from vmctl.services.create import make_one
from vmctl.services.delete import delete_server
from vmctl.services.hosts import look
from vmctl.services.judging import Judge, request_for
from vmctl.services.order import Order
from vmctl.services.policy import policy_of
from vmctl.services.recovery import Recovery, pay_owed
from vmctl.services.site import Site

INVENTORY = an_inventory("""
    hosts:
      kvm1: {address: kvm1}
      kvm2: {address: kvm2}
    networks:
      nat:
        source: {network: default}
        cidrs: [10.0.0.0/24]
      lan:
        source: {bridge: br-lan}
        cidrs: [10.1.0.0/24]
        addressing: static
    """)
USER_DATA = base64.b64encode(b"#cloud-config").decode()
SPEC = replace(
    staged.SPEC, cards=(CardWish(network="nat"), CardWish(network="lan")), has_user_data=True
)
ORDER = Order(
    specs=(SPEC,),
    at_least=1,
    request=request_for(SPEC),
    secrets=Secrets(user_data=USER_DATA),
    groups=GROUPS,
)
FIRST = Choice(index=0, host="kvm1", weight=1.0, alternates=("kvm2",))
TRIES = 3

Deed = Callable[[Stage], None]


def a_site(folder: Path) -> None:
    """Make a stage whose hosts have been looked at."""
    a_stage(folder, tuple(INVENTORY.hosts))
    with on_site(folder) as stage:
        hosts = list(stage.hosts.values())
        world = stage.world
        assert not look(hosts, world.prober, {}, lambda: stage.sql, world.clock)


@contextmanager
def on_site(folder: Path) -> Iterator[Stage]:
    """Open such a stage; domains are claimed there as the product claims them."""
    with on_stage(folder) as stage:
        stage.hosts = dict(INVENTORY.hosts)
        stage.claim = lambda work: claims_on(stage).claim(work)
        yield stage


def claims_on(stage: Stage) -> Claims:
    judge = Judge(INVENTORY, policy_of(INVENTORY), stage.fleet.now)
    return Claims(stage.world, INVENTORY, FakeNeighbours(), judge, lambda: ())


def creating(saga: Saga[Work] = CREATE) -> Deed:
    """Create the server by this workflow on the first host that will have it."""

    def create(stage: Stage) -> None:
        site = Site(
            world=stage.world,
            inventory=INVENTORY,
            claims=claims_on(stage),
            actor=ACTOR,
            owner="alice@laptop",
            max_attempts=TRIES,
            saga=saga,
            check=stage.check,
        )
        with suppress(VmctlError):
            fault = make_one(site, ORDER, SPEC, FIRST, {}).fault
            if fault is not None:
                raise fault

    return create


def deleting(saga: Saga[Work] = DELETE) -> Deed:
    """Delete the server by this workflow, whatever died at work on it."""

    def delete(stage: Stage) -> None:
        found = [one for one in stage.sql.servers() if one.id == SPEC.id]
        with suppress(VmctlError):
            for server in found:
                delete_server(by(stage, saga), server)

    return delete


def paying(saga: Saga[Work] = CLEANUP) -> Deed:
    """Pay what is owed to the first host by this workflow, as a next create there does."""

    def pay(stage: Stage) -> None:
        pay_owed(by(stage, saga), {"kvm1"})

    return pay


def by(stage: Stage, saga: Saga[Work]) -> Recovery:
    """Recover by this workflow instead of the one of its name."""
    return replace(stage.recovery, sagas={**SAGAS, (saga.name, saga.version): saga})
