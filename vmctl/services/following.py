"""The record made to follow what was seen: state, place and name of servers that nobody is at."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

from vmctl.domain.build import Build
from vmctl.domain.names import name_problem
from vmctl.domain.observation import Observation
from vmctl.domain.operation import NewOperation
from vmctl.domain.plain import from_plain
from vmctl.domain.record import UNSEEN, AttemptState, Power, ServerState, address_scope
from vmctl.domain.server_line import STANDS
from vmctl.domain.server_record import Maker, is_of_first, is_rescued, made_by
from vmctl.domain.sight import Whereabouts, whereabouts
from vmctl.errors import AddressTaken, NameTaken
from vmctl.sagas import CLEANUP
from vmctl.services.leaving import is_left
from vmctl.services.pinning import as_pinned
from vmctl.services.planning import wanted_of
from vmctl.services.renewing import newer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.observation import Turn
    from vmctl.domain.operation import Event
    from vmctl.domain.record import Attempt, Server
    from vmctl.domain.sight import Sight
    from vmctl.ports import Store
    from vmctl.services.seeking import Seen

_TRIES = 3


class Subject(Protocol):
    """A server that was looked for, as far as looking goes."""

    @property
    def id(self) -> str:
        """Its id."""

    @property
    def name(self) -> str:
        """Its name on record."""

    @property
    def host(self) -> str | None:
        """Its host on record."""

    @property
    def also(self) -> tuple[str, ...]:
        """Other hosts that it was seen on before."""

    @property
    def state(self) -> str:
        """Its state on record."""

    @property
    def boot(self) -> str | None:
        """In which boot of its host it was seen last."""

    @property
    def launched(self) -> float | None:
        """When it first ran."""

    @property
    def deleted(self) -> float | None:
        """When it was deleted."""


def may_stand(subject: Subject) -> bool:
    """Whether a server may have a domain on its host: it has run, and is not deleted."""
    if subject.deleted is not None or subject.host is None:
        return False
    ran = subject.state == ServerState.ERROR and subject.launched is not None
    return ran or subject.state in STANDS


@dataclass(slots=True)
class Followed:
    """What turned on record, what could not, and servers that are not where they were, by id.

    `strangers` are domains that bear the id of such a server and do not say that they are it.
    """

    turns: list[Turn] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)  # of servers that are not where one is to be
    missing: dict[str, Whereabouts] = field(default_factory=dict)
    strangers: dict[str, Sight] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Following:
    """Has the record follow; the event is what every turn is told by."""

    store: Store
    owner: str  # the uuid of this database, by which its domains are known
    hosts: Mapping[str, Host]
    event: Event

    def where(self, subject: Subject, seen: Seen) -> Whereabouts:
        """Say where a server is by what was seen; what is owed cleanup somewhere is not there."""
        sights = seen.sights.get(subject.id, [])
        if any(one.host != subject.host for one in sights):
            sights = self._without_owed(subject, sights)
        return whereabouts(
            subject.host or "",
            sights,
            before=subject.also,
            heard=seen.heard,
            known=self.hosts,
        )

    def follow(self, subjects: Iterable[Subject], seen: Seen, at: float) -> Followed:
        """Write what was seen of these servers, and tell what was news."""
        done = Followed()
        looks: list[Observation] = []
        found: list[tuple[Subject, Sight]] = []
        called: list[tuple[Subject, Sight]] = []
        for subject in subjects:
            where = self.where(subject, seen)
            sight = self._move(subject, where, done) or where.own
            if where.moved_to is None or sight is not None or subject.id in done.strangers:
                look = self._look(subject, where, sight, at)
                looks += [] if look is None else [look]
            if sight is not None:
                found.append((subject, sight))
                # Where nobody saw what a deed has left, its domain may have followed the server.
                if sight.machine.name != subject.name or subject.boot == UNSEEN:
                    called.append((subject, sight))
                done.notes += self._oddities(subject, sight)
            elif where.gone:
                done.missing[subject.id] = where
            done.places += _places(subject, where)
        done.turns += self.store.observe(looks, event=self.event)
        for subject, sight in called:
            self._rename(subject, sight, done)
        for subject, sight in found:
            self._renew(subject, sight, done)
        return done

    def _look(
        self, subject: Subject, where: Whereabouts, sight: Sight | None, at: float
    ) -> Observation | None:
        if sight is not None:
            return Observation(
                server=subject.id,
                host=sight.host,
                at=sight.at,
                power=sight.machine.power,
                saved=sight.machine.managed_save,
                rescued=is_rescued(sight.machine.record or ""),
                boot=sight.boot,
                seen=sight.seen,
                also=where.others if sight is where.own else (),
            )
        host = subject.host or ""
        others = () if where.moved_to is not None else where.others
        look = Observation(server=subject.id, host=host, at=at, also=others)
        if not where.answered:
            return look if others != subject.also else None
        lost = None
        if where.nowhere:
            lost = f"its domain is gone from {host} and on no other host; its disks may be there"
        return replace(look, power=Power.NOSTATE, lost=lost)

    def _move(self, subject: Subject, where: Whereabouts, done: Followed) -> Sight | None:
        """Have a server that was moved be where it is; None where it was not, or cannot follow."""
        sight = where.moved_to
        if sight is None:
            return None
        server = self.store.server(subject.id)
        attempt = _live(self.store, server)
        if attempt is None or not self._is_ours(sight, server):
            done.strangers[subject.id] = sight
            done.notes.append(
                f"{subject.name} is not on {subject.host}, and on {sight.host} is a domain with its"
                " id whose record does not say that it is this server"
            )
            return None
        old = from_plain(Build, attempt.plan)
        for _ in range(_TRIES):
            build, lost = self._rebased(old, server, sight)
            try:
                wanted = wanted_of(build, self.hosts[sight.host])
                turn = self.store.move(
                    server,
                    wanted,
                    operation=str(uuid.uuid4()),
                    owed=self._owed(server),
                    event=self.event,
                )
            except AddressTaken:
                continue
            if turn is None:
                return None
            done.turns.append(turn)
            done.notes += [
                f"{subject.name}: its address {address} is another server's on {sight.host}"
                for address in lost
            ]
            return sight
        return None

    def _owed(self, server: Server) -> NewOperation:
        """Say who is to clean up what a server that was moved has left on its host."""
        actor = self.event.actor
        return NewOperation(
            kind="move",
            saga=CLEANUP.name,
            version=CLEANUP.version,
            owner=f"{actor.login}@{actor.client}",
            server=server.id,
            host=server.host,
        )

    def _rebased(self, old: Build, server: Server, sight: Sight) -> tuple[Build, list[str]]:
        """Plan an attempt for another host, without the addresses that others hold there.

        The CPUs of its own are those that its domain is pinned to there.
        """
        host = sight.host
        cards, lost = [], []
        # What it left there when it was moved away before is its own again.
        left = [one for one in self.store.attempts(server.id) if is_left(one, server)]
        own = {
            (nic.scope, address) for one in left for nic in one.nics for address in nic.addresses
        }
        for card in old.cards:
            scope = card.scope if card.spans else address_scope(card.network, host)
            taken = self.store.addresses(scope) if scope != card.scope else frozenset()
            taken -= {address for where, address in own if where == scope}
            lost += [one for one in card.addresses if one in taken]
            kept = tuple(one for one in card.addresses if one not in taken)
            cards.append(replace(card, scope=scope, addresses=kept))
        return as_pinned(replace(old, host=host, cards=tuple(cards)), sight.machine), lost

    def _rename(self, subject: Subject, sight: Sight, done: Followed) -> None:
        """Have a server be called what its domain is, unless it is the domain that is to follow."""
        server = self.store.server(subject.id)
        attempt = _live(self.store, server)
        called = sight.machine.name
        if attempt is None or attempt.plan.get("name") == called:
            return
        problem = name_problem(called)
        if problem is not None:
            done.notes.append(
                f"{subject.name} was renamed on {sight.host}, and is called that still: {problem}"
            )
            return
        plan = {**attempt.plan, "name": called}
        try:
            turn = self.store.rename(server, called, plan, event=self.event)
        except NameTaken as error:
            done.notes.append(error.message)
            return
        done.turns += [] if turn is None else [turn]

    def _renew(self, subject: Subject, sight: Sight, done: Followed) -> None:
        """Have the record say which system boots, where the domain alone knows of a later one."""
        if is_of_first(sight.machine.record or ""):
            return
        server = self.store.server(subject.id)
        attempt = _live(self.store, server)
        if attempt is None or server.host != sight.host:
            return
        news = newer(self.store, server, attempt, sight.machine, sight.at)
        if news is None:
            return
        turn = self.store.renew(server, news.plan, news.fields, event=self.event)
        done.turns += [] if turn is None else [turn]

    def _oddities(self, subject: Subject, sight: Sight) -> list[str]:
        machine = sight.machine
        maker = made_by(machine.record or "")
        found = []
        if maker is None:
            found.append(f"{subject.name}: its domain on {sight.host} bears no record of its own")
        elif maker.owner != self.owner:
            found.append(
                f"{subject.name}: its domain on {sight.host} names the database {maker.owner}"
            )
        if not machine.persistent:
            found.append(
                f"{subject.name} runs on {sight.host} without a definition: once it is off, it is"
                " gone"
            )
        return found

    def _is_ours(self, sight: Sight, server: Server) -> bool:
        maker = made_by(sight.machine.record or "")
        return maker == Maker(self.owner, server.id, server.attempt)

    def _without_owed(self, subject: Subject, sights: list[Sight]) -> list[Sight]:
        """Leave out what an attempt that was given up has left where it was."""
        owed = {
            (one.host, one.number)
            for one in self.store.attempts(subject.id)
            if one.state is AttemptState.OWED
        }
        if not owed:
            return sights
        makers = [made_by(one.machine.record or "") for one in sights]
        return [
            one
            for one, maker in zip(sights, makers, strict=True)
            if maker is None or (one.host, maker.attempt) not in owed
        ]


def _places(subject: Subject, where: Whereabouts) -> list[str]:
    """Say of a server that it is on several hosts, or that nobody knows where it is."""
    if where.gone and where.moved_to is None and not where.others and where.unheard:
        silent = ", ".join(where.unheard)
        return [f"{subject.name} is not on {subject.host}, and may be on {silent}: no answer there"]
    own = [subject.host] if where.own is not None and subject.host else []
    places = [*own, *where.others]
    if len(places) > 1:
        return [f"{subject.name} stands on {' and on '.join(places)}: nothing is done to it"]
    if where.others and not where.answered:
        return [
            f"{subject.name} is seen on {places[0]}; its own host {subject.host} does not answer"
        ]
    return []


def _live(store: Store, server: Server) -> Attempt | None:
    """Give the attempt that a server stands by."""
    live = (AttemptState.HELD, AttemptState.BEGUN)
    attempts = store.attempts(server.id)
    mine = (one for one in attempts if one.number == server.attempt and one.state in live)
    return next(mine, None)
