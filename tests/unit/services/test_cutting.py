"""An order that wants more than there may be, or what is there already."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support import servers
from vmctl.domain.catalog import Quota
from vmctl.domain.plain import to_plain
from vmctl.domain.record import Power, Server, ServerState
from vmctl.domain.request import FlavorSpec, RequestSpec
from vmctl.domain.spec import Secrets
from vmctl.errors import NameTaken, QuotaExceeded
from vmctl.services.cutting import refuse_names, standing, within, without
from vmctl.services.order import Order

FLAVOR = FlavorSpec(vcpus=2, memory=128)


def an_order(count: int, at_least: int) -> Order:
    specs = tuple(
        replace(servers.SPEC, id=f"s{one}", name=f"web-{one}") for one in range(1, count + 1)
    )
    request = RequestSpec(
        flavor=FLAVOR,
        count=count,
        min_count=at_least,
        names=tuple(one.name for one in specs),
    )
    return Order(specs=specs, at_least=at_least, request=request, secrets=Secrets())


def a_quota(**limits: int) -> Quota:
    none = {"instances": -1, "cores": -1, "ram": -1}
    return Quota(project="p", limits=none | limits, used={"instances": 1, "cores": 2, "ram": 128})


def a_server(name: str, state: ServerState = ServerState.ACTIVE) -> Server:
    return Server(
        id=f"id-{name}",
        name=name,
        state=state,
        power=Power.RUNNING,
        spec=to_plain(servers.SPEC),
        project="",
        host="kvm1",
        attempt=1,
        task=None,
        fault=None,
        launched=None,
        deleted=None,
        created=1.0,
        updated=1.0,
    )


def names(order: Order) -> list[str]:
    assert order.request.names == tuple(one.name for one in order.specs)
    assert order.request.count == len(order.specs)
    assert order.request.min_count == order.at_least
    return [one.name for one in order.specs]


def test_what_the_quota_allows_is_ordered_but_never_fewer_than_the_least() -> None:
    order = an_order(5, at_least=2)

    assert within(order, a_quota()) is order
    cut = within(order, a_quota(cores=9))
    assert names(cut) == ["web-1", "web-2", "web-3"]
    assert cut.warnings == (
        "3 of 5 are made: Quota exceeded for cores: Requested 10, but already used 2 of 9 cores",
    )
    assert names(within(order, a_quota(instances=3))) == ["web-1", "web-2"]
    with pytest.raises(QuotaExceeded, match="Requested 2, but already used 1 of 2 instances"):
        within(order, a_quota(instances=2))


def test_only_what_is_not_there_is_ordered() -> None:
    order = an_order(4, at_least=3)
    live = [a_server("web-2"), a_server("other"), a_server("web-3", ServerState.ERROR)]

    there = standing(order, live)

    assert [one.name for one in there] == ["web-2"]
    left = without(order, there)
    assert names(left) == ["web-1", "web-3", "web-4"]
    assert left.at_least == 2


def test_names_that_are_taken_are_all_said_at_once() -> None:
    order = an_order(3, at_least=3)

    refuse_names(())
    with pytest.raises(NameTaken, match=r"web-1 \(id-web-1\), web-3 \(id-web-3\) are there"):
        refuse_names(standing(order, [a_server("web-3"), a_server("web-1")]))
