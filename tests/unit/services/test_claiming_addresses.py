"""Addresses and MACs at the claim: what another has already, on whatever host, is not given."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.support.claimants import Answering, Claimant, a_claimant, defined, overtaken_at
from tests.support.servers import CARD
from tests.support.stage import Stage, a_stage, beside, on_stage
from tests.support.stood import THEIRS, stand
from tests.support.stores import a_nic, a_wanted, admit
from vmctl.domain.build import Build
from vmctl.domain.spec import CardWish
from vmctl.errors import AddressTaken, ClaimLost

HOSTS = ("kvm1", "kvm2", "kvm3")
NAT, LAN = CardWish(network="nat"), CardWish(network="lan")
POOL = FIRST, SECOND, THIRD, LAST = [f"10.1.0.{number}" for number in range(10, 14)]
"""All the addresses that the LAN has to give."""

MAC = "52:54:00:00:00:99"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path / "a", HOSTS)
    with on_stage(tmp_path / "a") as opened:
        yield opened


@pytest.fixture
def mine(stage: Stage) -> Claimant:
    return a_claimant(stage)


@pytest.fixture
def theirs(stage: Stage, tmp_path: Path) -> Iterator[Claimant]:
    """A claimant of another database, with the same hosts."""
    beside(stage.folder, tmp_path / "b")
    with on_stage(tmp_path / "b") as opened:
        yield a_claimant(opened)


def held_by(build: Build | None) -> list[str]:
    assert build is not None
    return [one for card in build.cards for one in card.addresses]


def a_stranger(mine: Claimant, host: str, *addresses: str, mac: str = MAC, **changes: Any) -> None:
    """Have a server of another database there that holds these."""
    card = replace(CARD, mac=mac, addresses=addresses, filter=None, **changes)
    fleet, place = mine.stage.fleet, mine.inventory.hosts[host]
    stand(fleet, place, f"stranger-{mac}", card, owner=THEIRS, on=False)


def nat_on(host: str) -> dict[str, str]:
    return {"network": "nat", "kind": "network", "source": "default", "scope": f"nat@{host}"}


def on_record(mine: Claimant, name: str) -> list[str]:
    """What the database holds for a server, which its plan must agree with."""
    (attempt,) = mine.stage.sql.attempts(mine.stage.sql.server(name).id)
    held = [one for nic in attempt.nics for one in nic.addresses]
    cards = cast("list[dict[str, list[str]]]", attempt.plan["cards"])
    assert held == [one for card in cards for one in card["addresses"]]
    return held


def test_two_databases_never_give_one_address_twice(mine: Claimant, theirs: Claimant) -> None:
    work, rival = mine.admitted("web", "kvm1", LAN), theirs.admitted("shop", "kvm2", LAN)
    assert held_by(work.build) == held_by(rival.build) == [FIRST]

    mine.claims.claim(work)
    theirs.claims.claim(rival)

    fleet = mine.stage.fleet
    assert held_by(defined(fleet, "kvm1", "web")) == on_record(mine, "web") == [FIRST]
    assert held_by(defined(fleet, "kvm2", "shop")) == on_record(theirs, "shop") == [SECOND]
    assert rival.build == defined(fleet, "kvm2", "shop")


def test_who_comes_between_a_look_and_a_definition_waits_for_the_arbiter(
    mine: Claimant, theirs: Claimant
) -> None:
    work, rival = mine.admitted("web", "kvm1", LAN), theirs.admitted("shop", "kvm2", LAN)
    late = threading.Thread(target=theirs.claims.claim, args=(rival,))
    fleet = mine.stage.fleet

    def note(moment: str) -> None:
        if moment == "kvm1 define before":
            late.start()
            late.join(0.5)
            assert defined(fleet, "kvm2", "shop") is None, "it did not wait"

    fleet.on_effect = note
    mine.claims.claim(work)
    late.join(30)

    assert held_by(defined(fleet, "kvm1", "web")) == [FIRST]
    assert held_by(defined(fleet, "kvm2", "shop")) == [SECOND]


def test_what_a_server_on_any_carrier_holds_is_passed_over(mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", LAN)
    a_stranger(mine, "kvm1", FIRST)
    a_stranger(mine, "kvm2", SECOND, mac="52:54:00:00:00:98")

    mine.claims.claim(work)

    assert on_record(mine, "web") == [THIRD]


def test_a_carrier_that_does_not_answer_holds_up_nobody(mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", LAN)
    a_stranger(mine, "kvm1", FIRST)
    mine.stage.fleet.set_down("kvm2", down=True)

    mine.claims.claim(work)

    assert on_record(mine, "web") == [SECOND]


def test_an_address_at_which_somebody_answers_is_passed_over(stage: Stage) -> None:
    mine = a_claimant(stage, Answering(there={FIRST, SECOND}))

    build = mine.claimed("web", "kvm1", LAN)

    assert held_by(build) == on_record(mine, "web") == [THIRD]
    assert [card.probed for card in build.cards] == [True]


def test_it_is_on_record_where_nobody_could_ask_who_answers(stage: Stage) -> None:
    mine = a_claimant(stage, Answering(unsure={FIRST}))
    work = mine.admitted("web", "kvm1", NAT, LAN)
    told: list[str] = []
    work.tell = told.append

    mine.claims.claim(work)

    found = defined(stage.fleet, "kvm1", "web")
    assert found is not None
    assert [card.probed for card in found.cards] == [True, False]
    assert "lan: nobody could ask whether its address is in use" in told


def test_who_asked_for_an_address_gets_no_other(mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", CardWish(network="lan", fixed=(THIRD,)))
    a_stranger(mine, "kvm2", THIRD)

    with pytest.raises(AddressTaken, match=rf"{THIRD} on lan is in use already") as caught:
        mine.claims.claim(work)

    assert caught.value.hint is not None
    assert "--network NETWORK" in caught.value.hint
    assert defined(mine.stage.fleet, "kvm1", "web") is None


def test_of_two_cards_only_the_one_that_lost_its_address_changes(mine: Claimant) -> None:
    asked = CardWish(network="lan", fixed=(LAST,))
    work = mine.admitted("web", "kvm1", asked, LAN)
    a_stranger(mine, "kvm2", FIRST)
    before = work.build

    mine.claims.claim(work)

    assert held_by(work.build) == [LAST, SECOND]
    assert [one.mac for one in work.build.cards] == [one.mac for one in before.cards]
    assert work.build.cards[0] == before.cards[0]


def test_a_network_without_an_address_left_says_so(mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", LAN)
    a_stranger(mine, "kvm2", *POOL)

    with pytest.raises(AddressTaken, match="the network lan has no IPv4 address left"):
        mine.claims.claim(work)

    assert defined(mine.stage.fleet, "kvm1", "web") is None


def test_a_nat_network_is_each_hosts_own(mine: Claimant) -> None:
    works = [mine.admitted(f"on-{host}", host, NAT) for host in ("kvm1", "kvm2")]
    (first,) = held_by(works[0].build)
    a_stranger(mine, "kvm2", first, **nat_on("kvm2"))

    for work in works:
        mine.claims.claim(work)

    assert held_by(works[0].build) == [first] == ["10.0.0.1"]
    assert held_by(works[1].build) == ["10.0.0.2"]


def test_an_address_that_the_dhcp_has_given_to_a_machine_since_gone_is_passed_over(
    mine: Claimant,
) -> None:
    work = mine.admitted("web", "kvm1", NAT)
    with mine.stage.fleet.state("kvm1") as state:
        state["networks"]["default"]["promises"][MAC] = [["10.0.0.1"], "gone"]

    mine.claims.claim(work)

    assert on_record(mine, "web") == ["10.0.0.2"]


def test_what_the_dhcp_promised_to_this_very_card_is_its_own(mine: Claimant) -> None:
    work = mine.admitted("web", "kvm1", NAT)
    (card,) = work.build.cards
    with mine.stage.fleet.state("kvm1") as state:
        state["networks"]["default"]["promises"][card.mac.upper()] = [["10.0.0.1"], "web"]

    mine.claims.claim(work)

    assert on_record(mine, "web") == ["10.0.0.1"]


@pytest.mark.parametrize("host", ["kvm1", "kvm2"])
def test_a_mac_that_another_server_has_is_not_used(mine: Claimant, host: str) -> None:
    work = mine.admitted("web", "kvm1", LAN)
    (card,) = work.build.cards
    a_stranger(mine, host, mac=card.mac)

    with pytest.raises(ClaimLost, match=f"the MAC {card.mac} is another server's"):
        mine.claims.claim(work)

    assert defined(mine.stage.fleet, "kvm1", "web") is None


def test_who_is_overtaken_as_it_is_given_another_address_looks_again(stage: Stage) -> None:
    sql, left = stage.sql, [SECOND, THIRD]

    def overtake() -> None:
        if left:
            wanted = a_wanted("kvm2", nics=(a_nic(left[0]),))
            admit(sql, stage.world.leases, f"quicker-{left.pop(0)}", wanted)

    stage.store = overtaken_at(sql, overtake, "readdress")
    mine = a_claimant(stage, Answering(there={FIRST}))

    build = mine.claimed("web", "kvm1", LAN)

    assert held_by(build) == on_record(mine, "web") == [LAST]


def test_servers_of_one_command_share_a_look_and_no_address(stage: Stage) -> None:
    mine = a_claimant(stage, Answering(there={FIRST}))
    works = [mine.admitted(name, "kvm1", LAN) for name in ("web-1", "web-2")]
    threads = [threading.Thread(target=mine.claims.claim, args=(one,)) for one in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    held = [
        one for name in ("web-1", "web-2") for one in held_by(defined(stage.fleet, "kvm1", name))
    ]
    assert len(set(held)) == 2
    assert FIRST not in held
