"""A host that will never come back: what it held is written off, since nobody can prove it gone."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.operation import Event, NewOperation, OperationState
from vmctl.domain.record import RETIRED, AttemptState, Change, Power, ServerState
from vmctl.errors import Busy, Conflict, HostError, HostUnreachable, NotFound, VmctlError
from vmctl.sagas.delete import DELETE
from vmctl.services.hosts import sample_of
from vmctl.services.settling import owed_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.operation import Actor, Operation
    from vmctl.domain.record import Server
    from vmctl.ports import Lease, Prober, Store
    from vmctl.sagas.work import World

_ANSWERS = frozenset({"refused", "silent", "dropped", "protocol", "lost"})
"""Reasons for which there is no connection, yet some machine has answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What one server has on a host: the numbers of its attempts that hold something there.

    It `stands` there if its last attempt is one of them, and was not given up.
    """

    server: Server
    numbers: tuple[int, ...]
    stands: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """What was written off with a host, and what was not, with the reason by server."""

    deleted: tuple[Server, ...] = ()
    cleaned: tuple[Server, ...] = ()
    failures: Mapping[str, VmctlError] = field(default_factory=dict)


def refuse_alive(
    name: str, hosts: Mapping[str, Host], prober: Prober, store: Store
) -> HostError | None:
    """Raise Conflict for a host that answers, in whatever way; else give what its silence is.

    One that is not in the inventory cannot be asked: None. But where the same machine is there
    under another name, its servers are not gone.
    """
    host = hosts.get(name)
    if host is None:
        _refuse_renamed(name, hosts, store)
        return None
    try:
        prober.look(host, depth="quick", before=sample_of(store.host(name)))
    except HostError as error:
        if isinstance(error, HostUnreachable) and error.silent:
            return error
        raise _in_doubt(name, error) from error
    raise Conflict(
        f"{name} answers: it is not gone",
        hint=f"its servers can be deleted: vmctl server list --host {name}; what is owed to it is"
        " paid by vmctl operation resume --all",
    )


def _in_doubt(name: str, error: HostError) -> Conflict:
    """Say whether it is the host itself that answered, or something on the way to it."""
    unheard = isinstance(error, HostUnreachable) and error.reason not in _ANSWERS
    if not unheard and not error.on_the_way:
        return _answering(name, error)
    return Conflict(
        f"nobody can say whether {name} is gone: {error.message}",
        hint="mend the way there, and run this again; or if you know that it will never come back,"
        f" take {name} out of the inventory first",
    )


def _answering(name: str, error: HostError) -> Conflict:
    return Conflict(
        f"something answers at {name}, which is to be retired: {error.message}",
        hint=f"if {name} runs, have it answer again, or turn it off; if that is another machine"
        f" now, take {name} out of the inventory first",
    )


def _refuse_renamed(name: str, hosts: Mapping[str, Host], store: Store) -> None:
    records = {record.name: record for record in store.hosts()}
    gone = records.get(name)
    if gone is None or gone.machine is None or gone.libvirt is None:
        return
    for other in hosts:
        record = records.get(other)
        if record and (record.machine, record.libvirt) == (gone.machine, gone.libvirt):
            raise Conflict(
                f"{name} is not gone: it is the machine that the inventory calls {other} now",
                hint="vmctl host list --refresh has the record follow, if a server of it is there"
                f" still; or call it {name} again",
            )


def held_on(name: str, hosts: Mapping[str, Host], store: Store) -> tuple[Holding, ...]:
    """List by server what is held on a host; NotFound for one that nothing is known of."""
    servers = {claim.server for claim in store.claims(name)}
    if not servers and name not in hosts and all(one.name != name for one in store.hosts()):
        raise NotFound(f"nothing is known of a host {name}", hint="vmctl host list")
    found = (_holding(name, store.server(identity), store) for identity in servers)
    return tuple(sorted(found, key=lambda one: (one.server.name, one.server.id)))


def _holding(name: str, server: Server, store: Store) -> Holding:
    here = [one for one in store.attempts(server.id) if one.host == name and one.claims]
    live = {one.number for one in here if one.state in (AttemptState.HELD, AttemptState.BEGUN)}
    return Holding(
        server=server,
        numbers=tuple(one.number for one in here),
        stands=server.deleted is None and server.attempt in live,
    )


def retire(
    name: str, holdings: tuple[Holding, ...], world: World, *, actor: Actor, owner: str, reason: str
) -> Retired:
    """Write off what is held on a host, server by server, and keep new servers off it.

    What a living process is at work on, or what is not as it was listed, is left and told.
    """
    deleted: list[Server] = []
    cleaned: list[Server] = []
    failures: dict[str, VmctlError] = {}
    world.store.disable(name, reason, actor=actor)
    for holding in holdings:
        try:
            _Writing(name, holding, world, actor, owner).off()
        except Conflict as error:
            failures[holding.server.name] = error
            continue
        (deleted if holding.stands else cleaned).append(holding.server)
    detail = {"deleted": [one.id for one in deleted], "cleaned": [one.id for one in cleaned]}
    result = "failed" if failures else "done"
    world.store.record(
        Event(actor=actor, action="host-retire", result=result, host=name, detail=detail)
    )
    return Retired(deleted=tuple(deleted), cleaned=tuple(cleaned), failures=failures)


_GONE = Change(state=ServerState.DELETED, power=Power.NOSTATE, deleted=True)


@dataclass(frozen=True, slots=True)
class _Writing:
    """One server's holding, to be written off under the leases of what is unfinished at it."""

    host: str
    holding: Holding
    world: World
    actor: Actor
    owner: str

    def off(self) -> None:
        """End what the dead left unfinished; where there is none, do it in an own operation."""
        unfinished = self.store.operations(unfinished=True, server=self.server.id)
        if not unfinished:
            with self.world.leases.hold(str(uuid.uuid4())) as lease:
                self._alone(lease)
            return
        # What is merely owed comes last: then it is known whether anything is.
        for one in sorted(unfinished, key=lambda one: one.state is OperationState.OWED):
            try:
                with self.world.leases.hold(one.id) as lease:
                    self._end(lease, one)
            except Busy as error:
                now = self.store.operation(one.id)
                raise Busy(
                    f"{now.owner} is at work on server {self.server.name} ({now.kind} {now.id})",
                    hint=f"wait for it, or stop it there; then: vmctl host retire {self.host}",
                ) from error

    def _alone(self, lease: Lease) -> None:
        self._check()
        new = NewOperation(
            kind="retire",
            saga=DELETE.name,
            version=DELETE.version,
            owner=self.owner,
            server=self.server.id,
            host=self.host,
        )
        task = "deleting" if self.holding.stands else None
        token = self.store.begin(lease, new, task=task, despite=True)
        self.store.finish(
            token,
            OperationState.DONE,
            change=_GONE if self.holding.stands else None,
            release=self.holding.numbers,
            event=self._event,
        )

    def _end(self, lease: Lease, operation: Operation) -> None:
        """End an operation, unless something is left to do on another host."""
        self._check()
        store = self.store
        token = store.adopt(lease, self.owner)
        for number in self.holding.numbers:
            store.mark_attempt(token, number, AttemptState.RELEASED, RETIRED)
        over = OperationState.DONE
        if self.holding.stands and operation.saga != DELETE.name:
            over = OperationState.UNWOUND
        state = OperationState.OWED if owed_of(store, self.server.id) else over
        if self.holding.stands:
            store.finish(token, state, change=_GONE, event=self._event)
        elif operation.state is OperationState.OWED:
            store.finish(token, state, event=self._event)
        elif operation.state is OperationState.STUCK:
            store.finish(token, OperationState.STUCK, event=self._event)
        else:
            # Killed at work on another host: there it is still to be resumed or unwound.
            store.record(self._event)

    def _check(self) -> None:
        now = _holding(self.host, self.store.server(self.server.id), self.store)
        there = self.holding
        if now.numbers and (now.numbers, now.stands) != (there.numbers, there.stands):
            raise Conflict(
                f"server {self.server.name} is not what it was when it was listed",
                hint=f"look again: vmctl host retire {self.host} --dry-run",
            )

    @property
    def server(self) -> Server:
        """The server that holds something there."""
        return self.holding.server

    @property
    def store(self) -> Store:
        """The operators' record."""
        return self.world.store

    @property
    def _event(self) -> Event:
        return Event(
            actor=self.actor,
            action="host-retire",
            result="done",
            server=self.server.id,
            host=self.host,
            detail={"attempts": list(self.holding.numbers), "deleted": self.holding.stands},
        )
