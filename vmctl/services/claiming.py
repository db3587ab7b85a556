"""The claim on the host: a last look under its lease, and the domain defined while it lives.

From then on every other operator sees the claim. On a network that spans hosts, the lease of the
network's arbiter is held as well, and what the records on all its hosts say is looked at first.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.plain import to_plain
from vmctl.domain.record import AttemptState, ServerState
from vmctl.domain.spec import CardWish
from vmctl.errors import AddressTaken, ArbiterDown, ClaimLost, HostError, LeaseLost, TimedOut
from vmctl.services.fanout import Ok, fanout
from vmctl.services.holding import Held, held_by
from vmctl.services.hosts import sample_of, sighting
from vmctl.services.pinning import own_cpus, settle_cpus, with_definitions
from vmctl.services.planning import look_at_filters, nics_of, pick_addresses, spans_from
from vmctl.services.rounds import Round, Rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from vmctl.domain.build import Build, Card
    from vmctl.domain.catalog import ServerGroup
    from vmctl.domain.host import Host
    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.inventory import Inventory
    from vmctl.domain.network import Network
    from vmctl.domain.record import Claim
    from vmctl.domain.sample import HostSample
    from vmctl.ports import HostLease, Neighbours
    from vmctl.sagas.work import Work, World
    from vmctl.services.judging import Judge

AT_ONCE = 32
_PATIENCE = 150.0
"""Seconds to wait for a lease that others want too: each holds it for a look and a definition."""

_READDRESSED = 20


class Claims:
    """The claims of one command, its leases and looks shared between its servers."""

    def __init__(
        self,
        world: World,
        inventory: Inventory,
        neighbours: Neighbours,
        judge: Judge,
        groups: Callable[[], tuple[ServerGroup, ...]],
    ) -> None:
        self._world = world
        self._inventory = inventory
        self._neighbours = neighbours
        self.judge = judge
        self.groups = groups
        self._hosts: Rounds[HostSample] = Rounds()
        self._networks: Rounds[Held] = Rounds()
        self._owner = ""

    def claim(self, work: Work) -> None:
        """Define the server's domain on its host, if there is room and its addresses are free.

        Raises ClaimLost where the host cannot take it after all, and AddressTaken where an
        address that was asked for is another's.
        """
        spanning = self._spanning(work.build)
        with ExitStack() as stack:
            rounds: list[Round[Held]] = []
            for arbiter, networks in spanning:
                names = sorted({one.name for one in networks})
                held = stack.enter_context(
                    self._networks.join(
                        " ".join((arbiter.name, *names)),
                        lambda a=arbiter, n=networks: self._arbitrate(a, n),  # type: ignore[misc]
                        lambda n=networks: self._look_around(n),  # type: ignore[misc]
                    )
                )
                rounds.append(held)
            here = stack.enter_context(self._on(work.host))
            work.boot = here.seen.boot_id
            work.tell("claim")
            with here.lock:
                self._judge_again(work, here)
                settle_cpus(work, here.seen)
                here.passed.add(work.spec.id)
            stack.push(lambda failed, *_: here.passed.discard(work.spec.id) if failed else None)
            self._look_at_networks(work, here.seen)
            on_host = self._held_on(work, here.seen)
            with here.lock:
                self._settle_addresses(work, [on_host, *(one.seen for one in rounds)])
            hypervisor = work.hypervisor
            xml = self._world.renderer.domain(
                work.spec,
                work.build,
                owner=self._name(),
                offers=hypervisor.offers(),
                place=hypervisor.pool(work.build.pool),
                console_password=work.secrets.console_password,
                shared=work.shared_by(here.seen),
            )
            leases = (*(one.lease for one in rounds), here.lease)
            for lease in leases:
                lease.check()
            hypervisor.ensure_defined(work.spec.id, xml)
            _refuse_overtime(work, leases, "what was defined is undone; run the command again")

    @contextmanager
    def settled(self, work: Work) -> Iterator[None]:
        """Hold the lease of its host while a server with CPUs of its own is defined anew there.

        They stay as they are but where others are bound to them: then it has others from now on.
        ClaimLost where too few are left.
        """
        if not own_cpus(work.spec):
            yield
            return
        with self._on(work.host) as here:
            here.lease.check()
            with here.lock:
                settle_cpus(work, here.seen, stands=True)
            yield
            _refuse_overtime(work, (here.lease,), "run the command again")

    def _on(self, host: Host) -> AbstractContextManager[Round[HostSample]]:
        """Hold the lease of a host, which was looked at under it."""
        return self._hosts.join(
            host.name,
            lambda: self._world.host_leases.hold(host, wait=_PATIENCE),
            lambda: self._look(host),
        )

    def _name(self) -> str:
        self._owner = self._owner or self._world.store.uuid()
        return self._owner

    def _spanning(self, build: Build) -> list[tuple[Host, list[Network]]]:
        """Give the arbiters whose leases are needed, in one order for everybody."""
        found: dict[str, list[Network]] = {}
        for card in build.cards:
            network = self._inventory.networks.get(card.network)
            if not card.spans or not card.addresses or network is None:
                continue
            arbiter = self._inventory.arbiter(network)
            if arbiter is not None:
                found.setdefault(arbiter.name, []).append(network)
        return [(self._inventory.hosts[name], found[name]) for name in sorted(found)]

    @contextmanager
    def _arbitrate(self, arbiter: Host, networks: list[Network]) -> Iterator[HostLease]:
        """Hold the lease on networks; nobody may give away their addresses without it."""
        with ExitStack() as stack:
            held = self._world.host_leases.hold(arbiter, wait=_PATIENCE, of="networks")
            try:
                lease = stack.enter_context(held)
            except (HostError, TimedOut) as error:
                names = ", ".join(one.name for one in networks)
                raise ArbiterDown(
                    arbiter.name,
                    f"addresses on {names} are given away under the lease of {arbiter.name}, its"
                    f" arbiter: {error.message}",
                    hint=error.hint,
                    reason="arbiter",
                ) from error
            yield lease

    def _look(self, host: Host) -> HostSample:
        before = sample_of(self._world.store.host(host.name))
        sample = self._world.prober.look(host, depth="quick", before=before)
        if sample.libvirt_error is not None:
            # Many look at it at once: what an overloaded libvirt has no time for the first time is
            # no reason to give up a place there. A lease outlasts two looks, and is checked again.
            sample = self._world.prober.look(host, depth="quick", before=before)
        if sample.libvirt_error is not None:
            raise HostError(
                host.name,
                f"{host.name}: {sample.libvirt_error}",
                hint=f"vmctl host check {host.name}",
                reason="libvirt",
            )
        claims = () if host.dedicated_cpus else self._world.store.claims(host.name)
        if not host.dedicated_cpus and not any(one.cpus for one in claims):
            return sample
        return with_definitions(sample, self._world.hypervisors.on(host))

    def _look_around(self, networks: Collection[Network]) -> Held:
        """Read the records on every host that carries these networks and answers."""
        carriers = {h.name: h for one in networks for h in self._inventory.carriers(one)}
        records = {one.name: one for one in self._world.store.hosts()}

        def ask(host: Host) -> tuple[Host, HostSample]:
            before = sample_of(records.get(host.name))
            return host, self._world.prober.look(host, depth="quick", before=before)

        ended = fanout(ask, carriers.values(), AT_ONCE)
        return held_by([one.value for one in ended.values() if isinstance(one, Ok)], networks)

    def _held_on(self, work: Work, sample: HostSample) -> Held:
        """Say what records hold on this host, and what its DHCP gives to machines without one.

        A lease outlives its machine, and what somebody promised by hand is no server's: whoever
        reserves such an address is refused it, or given another one.
        """
        known = self._inventory.networks
        here = [known[one.network] for one in work.build.cards if one.network in known]
        held = held_by([(work.host, sample)], here)
        given: dict[tuple[str, str], str] = {}
        for card in work.build.cards:
            if card.kind == "network" and card.addresses:
                spoken_for = work.hypervisor.spoken_for(card.source)
                given |= {
                    (card.network, address): whose
                    for address, whose in spoken_for.items()
                    if whose.lower() != card.mac
                }
        return replace(held, addresses={**given, **held.addresses})

    def _judge_again(self, work: Work, here: Round[HostSample]) -> None:
        store, host, sample = self._world.store, work.host, here.seen
        # A create that is resumed may find its own domain there: that is not another's.
        guests = tuple(one for one in sample.guests if one.uuid != work.spec.id)
        sample = replace(sample, guests=guests)
        record = with_sample(store.host(host.name), sample)
        claims = store.claims(host.name)
        reason = self.judge.misfit(work.spec, host, record, claims)
        if reason is None:
            return
        # What others of ours hold and have not defined yet is theirs only on record, and each
        # looks once more before it does: two databases would else keep each other out.
        there = {one.uuid for one in guests} | here.passed
        made = tuple(one for one in claims if one.server in there or not self._awaits(one))
        if len(made) < len(claims):
            reason = self.judge.misfit(work.spec, host, record, made)
        if reason is not None:
            raise ClaimLost(f"host {host.name} cannot take the server: {reason}")

    def _awaits(self, claim: Claim) -> bool:
        """Whether the claim is of an attempt that has yet to define its domain, or is undone."""
        store = self._world.store
        if store.server(claim.server).state is not ServerState.BUILDING:
            return False
        attempts = store.attempts(claim.server)
        return any(
            one.number == claim.number and one.state is AttemptState.HELD for one in attempts
        )

    def _look_at_networks(self, work: Work, sample: HostSample) -> None:
        """Have it on record whether the host enforces what it is asked to: it may have changed."""
        for card in work.build.cards:
            network = self._inventory.networks.get(card.network)
            if network and not card.spans and spans_from(network, work.host, sample):
                raise ClaimLost(
                    f"host {work.host.name} cannot take the server: its network {card.network}"
                    " reaches other hosts, which was not known when the address was chosen"
                )
        build = look_at_filters(work.spec, work.build, work.host, sample)
        if build != work.build:
            self._replan(work, build)

    def _replan(self, work: Work, build: Build) -> None:
        self._world.store.readdress(work.token, build.number, nics_of(build), to_plain(build))
        work.build = build

    def _settle_addresses(self, work: Work, seen: list[Held]) -> None:
        """Replace what another's record or an answering machine turns out to have."""
        refused: set[tuple[str, str]] = set()
        while True:
            unsure: set[str] = set()
            taken = self._taken(work, seen, refused, unsure)
            if not taken:
                self._note_unprobed(work, unsure)
                return
            refused |= taken
            self._readdress(work, seen, refused)

    def _readdress(self, work: Work, seen: list[Held], refused: set[tuple[str, str]]) -> None:
        """Hold other addresses for those that are refused, the next free ones."""
        for left in reversed(range(_READDRESSED)):
            cards = tuple(self._anew(work, card, seen, refused) for card in work.build.cards)
            try:
                self._replan(work, replace(work.build, cards=cards))
            except AddressTaken:
                # Who admits a server takes its addresses without any lease: look again.
                if not left:
                    raise
                continue
            return

    def _note_unprobed(self, work: Work, unsure: Collection[str]) -> None:
        """Have it on record which cards' addresses the login could not ask for."""
        if not unsure:
            return
        cards = tuple(replace(one, probed=one.mac not in unsure) for one in work.build.cards)
        self._replan(work, replace(work.build, cards=cards))
        for one in cards:
            if not one.probed:
                work.tell(f"{one.network}: nobody could ask whether its address is in use")

    def _taken(
        self,
        work: Work,
        seen: list[Held],
        refused: Collection[tuple[str, str]],
        unsure: set[str],
    ) -> set[tuple[str, str]]:
        """Give what others have already, and of which cards that cannot be known."""
        mine = work.spec.id
        found = set()
        for card in work.build.cards:
            for held in seen:
                if held.macs.get(card.mac, mine) != mine:
                    raise ClaimLost(f"the MAC {card.mac} is another server's")
                found |= {
                    (card.network, one)
                    for one in card.addresses
                    if held.addresses.get((card.network, one), mine) != mine
                }
        found -= set(refused)
        if found:
            return found
        for card in work.build.cards:
            if card.spans and card.addresses:
                answers: Mapping[str, bool | None] = dict.fromkeys(card.addresses)
                if card.wire is not None:
                    answers = self._neighbours.who_answers(work.host, card.wire, card.addresses)
                found |= {(card.network, one) for one, there in answers.items() if there}
                if any(there is None for there in answers.values()):
                    unsure.add(card.mac)
        return found

    def _anew(
        self, work: Work, card: Card, seen: list[Held], refused: Collection[tuple[str, str]]
    ) -> Card:
        lost = [one for one in card.addresses if (card.network, one) in refused]
        if not lost:
            return card
        position = work.build.cards.index(card)
        asked = work.spec.cards[position].fixed
        if clash := [one for one in lost if one in asked]:
            raise AddressTaken(
                f"the address {clash[0]} on {card.network} is in use already",
                hint="leave it out to get a free one: --network NETWORK",
            )
        network = self._inventory.network(card.network)
        held = set(self._world.store.addresses(card.scope)) - set(card.addresses)
        for one in seen:
            held |= {address for name, address in one.addresses if name == card.network}
        held |= {address for name, address in refused if name == card.network}
        kept = tuple(one for one in card.addresses if one not in lost)
        wish = CardWish(network=card.network, fixed=kept)
        return replace(card, addresses=pick_addresses(network, wish, held - set(kept)))


def with_sample(record: HostRecord, sample: HostSample) -> HostRecord:
    """Give a host's record as it would be if this look were kept."""
    import json

    seen = sighting(record.name, sample)
    return replace(
        record,
        kept=json.dumps(seen.sample),
        seen=seen.at,
        boot=seen.boot,
        machine=seen.machine,
        error=None,
        failed=None,
    )


def _refuse_overtime(work: Work, leases: Collection[HostLease], hint: str) -> None:
    """Raise LeaseLost where defining took too long: someone else may have looked before."""
    if not all(lease.remaining for lease in leases):
        raise LeaseLost(
            work.host.name,
            f"{work.host.name}: the lease ran out while {work.spec.name} was defined",
            hint=hint,
            reason="lease",
        )
