"""The claim on a host: its leases, the last look at the room, and the domain that is the claim."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tests.support.claimants import ROOM, Claimant, a_claimant, defined, is_leased
from tests.support.fake_parts import FakeLease, FakeLeases, FakeProber
from tests.support.stage import Stage, a_stage, beside, on_stage
from tests.support.stood import THEIRS, identity, stand
from vmctl.domain.host import Host
from vmctl.domain.record import AttemptState
from vmctl.domain.sample import Depth, HostSample
from vmctl.domain.spec import CardWish
from vmctl.errors import ArbiterDown, ClaimLost, HostError, HostUnreachable, LeaseLost, RemoteFailed
from vmctl.sagas.saga import Outcome
from vmctl.services.running import run_attempt

HOSTS = ("kvm1", "kvm2", "kvm3")
NAT, LAN, BACK = (CardWish(network=one) for one in ("nat", "lan", "back"))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path / "a", HOSTS)
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
    return a_claimant(stage)


@dataclass
class Told(FakeProber):
    """Looks, and tells of each look; a host may have a libvirt that does not answer."""

    hung: set[str] = field(default_factory=set)
    filters: bool = True

    def look(self, host: Host, *, depth: Depth, before: HostSample | None) -> HostSample:
        self.fleet.on_effect(f"{host.name} looked at")
        seen = super().look(host, depth=depth, before=before)
        error = "libvirt did not answer" if host.name in self.hung else None
        return replace(seen, libvirt_error=error, bridge_filter=self.filters)


def moments(stage: Stage) -> list[str]:
    """What happens from now on to the hosts, and which leases are held at a definition."""
    seen: list[str] = []

    def note(moment: str) -> None:
        seen.append(moment)
        if " define " in moment:
            leases = ((host, of) for host in HOSTS for of in ("networks", "host"))
            held = [
                f"{host} {of}" for host, of in leases if is_leased(stage.fleet.folder, host, of)
            ]
            seen.append(f"held: {', '.join(held)}")

    stage.fleet.on_effect = note
    return seen


def taken(stage: Stage, host: str) -> int:
    """How many servers of ours, or of theirs, are defined on a host."""
    with stage.fleet.state(host) as state:
        return len(state["machines"]) - 1


def test_the_arbiters_lease_comes_before_the_hosts_and_each_before_its_look(stage: Stage) -> None:
    mine = a_claimant(stage, world=replace(stage.world, prober=Told(stage.fleet)))
    work = mine.admitted("web", "kvm2", NAT, LAN)
    seen = moments(stage)

    mine.claims.claim(work)

    looks = sorted(seen[1:3])  # side by side
    assert [seen[0], *looks, *seen[3:]] == [
        "kvm1 lease on networks taken",
        "kvm1 looked at",
        "kvm2 looked at",
        "kvm2 lease taken",
        "kvm2 looked at",
        "kvm2 define before",
        "held: kvm1 networks, kvm2 host",
        "kvm2 define after",
        "held: kvm1 networks, kvm2 host",
    ]
    for host in HOSTS:
        assert not is_leased(stage.fleet.folder, host)
        assert not is_leased(stage.fleet.folder, host, "networks")


def test_arbiters_are_asked_in_one_order_whatever_the_cards_are(stage: Stage) -> None:
    mine = a_claimant(stage)
    work = mine.admitted("web", "kvm1", BACK, LAN)
    seen = moments(stage)

    mine.claims.claim(work)

    assert [one for one in seen if one.endswith("taken")] == [
        "kvm1 lease on networks taken",
        "kvm3 lease on networks taken",
        "kvm1 lease taken",
    ]


def test_who_is_on_no_network_that_spans_hosts_asks_no_arbiter(
    stage: Stage, mine: Claimant
) -> None:
    work = mine.admitted("web", "kvm2", NAT)
    seen = moments(stage)

    mine.claims.claim(work)

    assert [one for one in seen if one.endswith("taken")] == ["kvm2 lease taken"]


def test_room_that_another_database_has_taken_since_is_not_taken_again(
    stage: Stage, mine: Claimant
) -> None:
    work = mine.admitted("web", "kvm2", NAT)
    for number in range(ROOM):
        stand(stage.fleet, work.host, f"theirs-{number}", owner=THEIRS, on=False)

    with pytest.raises(ClaimLost, match=r"kvm2 cannot take the server: needs 512 MiB, 0 MiB free"):
        mine.claims.claim(work)

    assert taken(stage, "kvm2") == ROOM
    assert defined(stage.fleet, "kvm2", "web") is None


def test_room_that_somebodys_own_machine_has_taken_is_not_taken_again(
    stage: Stage, mine: Claimant
) -> None:
    work = mine.admitted("web", "kvm2", NAT)
    xml = f"<domain><name>big</name><vcpu>1</vcpu><memory>{1024 * 1024}</memory></domain>"
    stage.fleet.on(work.host).ensure_defined(identity("big"), xml)

    with pytest.raises(ClaimLost, match="cannot take the server"):
        mine.claims.claim(work)

    assert defined(stage.fleet, "kvm2", "web") is None


def test_the_two_databases_fill_a_host_and_no_more(stage: Stage, other: Stage) -> None:
    mine, theirs = a_claimant(stage), a_claimant(other)
    works = [
        one.admitted(f"{one is mine}-{number}", "kvm2", NAT)
        for number in range(ROOM)
        for one in (mine, theirs)
    ]
    won = []
    for work in works:
        try:
            work.claim(work)
        except ClaimLost:
            continue
        won.append(work.spec.name)

    assert len(won) == taken(stage, "kvm2") == ROOM


def test_the_last_place_is_not_lost_to_a_claim_of_ours_that_is_not_made_yet(
    stage: Stage, mine: Claimant
) -> None:
    first, second = (mine.admitted(name, "kvm2", NAT) for name in ("first", "second"))
    stand(stage.fleet, first.host, "theirs", owner=THEIRS)

    mine.claims.claim(first)
    with pytest.raises(ClaimLost):
        mine.claims.claim(second)

    assert taken(stage, "kvm2") == ROOM


def test_servers_that_share_a_look_see_each_other(stage: Stage, mine: Claimant) -> None:
    first, second = (mine.admitted(name, "kvm2", NAT) for name in ("first", "second"))
    stand(stage.fleet, first.host, "theirs", owner=THEIRS)

    with mine.claims._hosts.join(
        "kvm2",
        lambda: mine.world.host_leases.hold(first.host),
        lambda: mine.claims._look(first.host),
    ):
        mine.claims.claim(first)
        with pytest.raises(ClaimLost):
            mine.claims.claim(second)

    assert taken(stage, "kvm2") == ROOM


def test_what_an_attempt_may_have_left_behind_takes_its_room(stage: Stage, mine: Claimant) -> None:
    first, left = (mine.admitted(name, "kvm2", NAT) for name in ("first", "left"))
    stand(stage.fleet, first.host, "theirs", owner=THEIRS)
    stage.store.mark_attempt(left.token, 1, AttemptState.OWED, "it hung")

    with pytest.raises(ClaimLost):
        mine.claims.claim(first)


def test_a_create_that_goes_on_does_not_stand_in_its_own_way(stage: Stage, mine: Claimant) -> None:
    work = mine.admitted("web", "kvm2", NAT, LAN)
    stand(stage.fleet, work.host, "theirs", owner=THEIRS)

    mine.claims.claim(work)
    before = work.build
    mine.claims.claim(work)

    assert defined(stage.fleet, "kvm2", "web") == work.build == before


def test_a_host_that_enforces_nothing_any_more_is_refused(stage: Stage) -> None:
    prober = Told(stage.fleet)
    mine = a_claimant(stage, world=replace(stage.world, prober=prober))
    work = mine.admitted("web", "kvm2", LAN)
    prober.filters = False

    with pytest.raises(RemoteFailed, match="cannot enforce security groups on lan"):
        mine.claims.claim(work)

    assert defined(stage.fleet, "kvm2", "web") is None


def test_a_host_whose_libvirt_does_not_answer_is_refused(stage: Stage) -> None:
    world = replace(stage.world, prober=Told(stage.fleet, hung={"kvm2"}))
    mine = a_claimant(stage, world=world)
    work = mine.admitted("web", "kvm2", NAT)

    with pytest.raises(HostError, match="kvm2: libvirt did not answer") as caught:
        mine.claims.claim(work)

    assert caught.value.hint == "vmctl host check kvm2"


def test_one_look_that_libvirt_had_no_time_for_costs_no_place(stage: Stage) -> None:
    prober = Told(stage.fleet, hung={"kvm1"})
    mine = a_claimant(stage, world=replace(stage.world, prober=prober))
    work = mine.admitted("web", "kvm1")
    looks: list[str] = []

    def heal(moment: str) -> None:
        if moment == "kvm1 looked at":
            looks.append(moment)
        if len(looks) == 2:
            prober.hung.clear()

    stage.fleet.on_effect = heal

    mine.claims.claim(work)

    assert taken(stage, "kvm1") == 1


def test_without_its_arbiter_no_address_is_given_away(stage: Stage, mine: Claimant) -> None:
    work = mine.admitted("web", "kvm2", LAN)
    stage.fleet.set_down("kvm1", down=True)

    with pytest.raises(
        ArbiterDown, match="addresses on lan are given away under the lease of kvm1, its arbiter: "
    ):
        mine.claims.claim(work)

    assert defined(stage.fleet, "kvm2", "web") is None


class Impatient(FakeLeases):
    """Waits for no lease."""

    @contextmanager
    def hold(self, host: Host, *, wait: float = 30, of: str = "host") -> Iterator[FakeLease]:
        del wait
        with super().hold(host, wait=0, of=of) as lease:
            yield lease


def test_an_arbiter_that_others_keep_busy_is_named_as_what_is_in_the_way(stage: Stage) -> None:
    mine = a_claimant(stage, world=replace(stage.world, host_leases=Impatient(stage.fleet)))
    work = mine.admitted("web", "kvm2", LAN)

    with (
        stage.world.host_leases.hold(mine.inventory.hosts["kvm1"], of="networks"),
        pytest.raises(ArbiterDown, match="kvm1, its arbiter: kvm1: another operator holds"),
    ):
        mine.claims.claim(work)

    assert defined(stage.fleet, "kvm2", "web") is None


def test_a_host_that_does_not_answer_is_not_its_arbiters_fault(
    stage: Stage, mine: Claimant
) -> None:
    work = mine.admitted("web", "kvm2", LAN)
    stage.fleet.set_down("kvm2", down=True)

    with pytest.raises(HostUnreachable, match="kvm2 did not answer"):
        mine.claims.claim(work)


@dataclass
class Kept(FakeLeases):
    """Leases that can be lost by their names: `kvm1 networks`, `kvm2 host`."""

    held: dict[str, FakeLease] = field(default_factory=dict)

    @contextmanager
    def hold(self, host: Host, *, wait: float = 30, of: str = "host") -> Iterator[FakeLease]:
        with super().hold(host, wait=wait, of=of) as lease:
            self.held[f"{host.name} {of}"] = lease
            yield lease


def losing(stage: Stage, lease: str, at: str) -> Claimant:
    """One whose lease is lost at a moment."""
    leases = Kept(stage.fleet)

    def note(moment: str) -> None:
        if moment == at and lease in leases.held:
            leases.held[lease].given_back = True

    stage.fleet.on_effect = note
    world = replace(stage.world, host_leases=leases, prober=Told(stage.fleet))
    return a_claimant(stage, world=world)


@pytest.mark.parametrize("lease", ["kvm1 networks", "kvm2 host"])
def test_nothing_is_defined_once_a_lease_is_lost(stage: Stage, lease: str) -> None:
    mine = losing(stage, lease, "kvm2 looked at")
    work = mine.admitted("web", "kvm2", LAN)

    with pytest.raises(LeaseLost, match="the lease is lost"):
        mine.claims.claim(work)

    assert defined(stage.fleet, "kvm2", "web") is None


@pytest.mark.parametrize("lease", ["kvm1 networks", "kvm2 host"])
def test_what_was_defined_as_a_lease_ran_out_is_undone(stage: Stage, lease: str) -> None:
    mine = losing(stage, lease, "kvm2 define after")
    work = mine.admitted("web", "kvm2", LAN)

    ended = run_attempt(work)

    assert isinstance(ended.fault, LeaseLost)
    assert "the lease ran out while web was defined" in ended.fault.message
    assert (ended.outcome, ended.gone) == (Outcome.UNWOUND, True)
    assert defined(stage.fleet, "kvm2", "web") is None
    assert stage.store.claims("kvm2") == ()
