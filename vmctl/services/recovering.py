"""One operation in the hands of whoever adopted it: what is to be done, and done with it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.host import Host
from vmctl.domain.operation import Event, OperationState
from vmctl.domain.plain import from_plain
from vmctl.domain.record import RETIRED, AttemptState, Change, ServerState
from vmctl.domain.spec import Secrets, ServerSpec
from vmctl.errors import NotFound, OwnershipLost, StateError, VmctlError
from vmctl.sagas import CLEANUP, CREATE, DELETE, SAGAS
from vmctl.sagas.presence import is_ours
from vmctl.sagas.saga import Outcome
from vmctl.sagas.setting import tell
from vmctl.services.doing import do
from vmctl.services.kept import work_of
from vmctl.services.leaving import clean_behind, clean_last, is_left, leave_be
from vmctl.services.renewing import newer
from vmctl.services.running import Ended, pay, run_attempt, run_delete, turn_back, was_kept
from vmctl.services.settling import owed_of, settle_create, settle_delete

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from contextlib import AbstractContextManager

    from vmctl.domain.operation import Actor, Operation, Token
    from vmctl.domain.record import Attempt, Server
    from vmctl.ports import Store
    from vmctl.sagas.saga import Saga
    from vmctl.sagas.work import Work, World
    from vmctl.services.seeking import Survey


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What recovering takes beside the record: the ports, who does it, and the hosts as they are.

    The hosts are the inventory's, by name; `claim` and `settled` are what a work is given, and
    `sagas` the workflows by the names and versions that stand on record.
    """

    world: World
    actor: Actor
    owner: str
    hosts: Mapping[str, Host]
    claim: Callable[[Work], None]
    settled: Callable[[Work], AbstractContextManager[None]] = lambda _: nullcontext()
    sagas: Mapping[tuple[str, int], Saga[Work]] = field(default_factory=lambda: SAGAS)
    tell: Callable[[str], None] = lambda _: None
    survey: Survey | None = None
    """What all servers of one command share, so that no host is asked for each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """How recovering one operation ended; a fault says what is still in the way, or what was."""

    operation: Operation
    state: OperationState
    fault: Exception | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """One operation in the hands of whoever adopted it."""

    recovery: Recovery
    token: Token
    operation: Operation
    server: Server
    how: str

    def create(self, *, back: bool) -> Recovered:
        """Go on with a create, or undo it, and settle it."""
        current = self.current()
        if current.state in _LIVE:
            work = self.work(current)
            if back:
                turn_back(work, self.saga)
            ended = run_attempt(work, saga=self.saga, adopted=True)
        else:
            # Given up, and nobody was left to say so.
            gone = current.state is AttemptState.RELEASED
            why = VmctlError(current.fault or "it was given up, and its owner died")
            ended = Ended(outcome=Outcome.UNWOUND, fault=why, gone=gone)
            work = self.work(current, must=False)
        tried = current.number if current.state in _LIVE else None
        fault = self.pay(except_for=tried)
        state = settle_create(work, ended, self.recovery.actor, action=self.action)
        return self.recovered(state, fault or (None if ended.gone else ended.fault))

    def delete(self) -> Recovered:
        """Go on with a delete and settle it."""
        if not self.store.attempts(self.server.id):
            # No host ever took it: there is only the record to be done with.
            gone = Change(state=ServerState.DELETED, deleted=True)
            return self.end(OperationState.DONE, None, change=gone)
        current = self.current()
        work = self.work(current, must=current.state is not AttemptState.RELEASED)
        ended = run_delete(work, saga=self.saga, adopted=True)
        state = settle_delete(work, ended, self.recovery.actor, action=self.action)
        return self.recovered(state, ended.fault)

    def deed(self, *, back: bool) -> Recovered:
        """Go on with what is done to a server that stands, or have it undone, and settle it."""
        work = self.work(self.current())
        settled = do(
            work, self.saga, self.recovery.actor, action=self.action, back=back, adopted=True
        )
        return self.recovered(settled.state, settled.fault)

    def tell_host(self) -> Recovered:
        """Tell a host what was said of its server while it did not answer."""
        server = self.store.server(self.server.id)
        if self.operation.fault is None:
            # It died before anything was on record: there is no news.
            return self.end(OperationState.UNWOUND, None)
        if server.deleted is not None:
            return self.end(OperationState.DONE, None)
        try:
            work = self.renewed(server)
            tell(work)
            machine = work.hypervisor.machine(server.id)
        except (OwnershipLost, StateError):
            raise
        except VmctlError as error:
            return self.end(OperationState.OWED, error)
        called = Change(domain=machine.name) if machine and is_ours(work, machine) else None
        return self.end(OperationState.DONE, None, change=called)

    def renewed(self, server: Server) -> Work:
        """Take up the work on a server, with the record of what boots there made to follow it."""
        current, at = self.current(), self.recovery.world.clock()
        work = self.work(current)
        machine = work.hypervisor.machine(server.id)
        news = newer(self.store, server, current, machine, at) if machine is not None else None
        if news is not None:
            self.store.replan(self.token, current.number, news.plan, news.fields)
            work = self.work(self.current())
        work.spec = from_plain(ServerSpec, self.store.server(server.id).spec)
        return work

    def call_off(self) -> Recovered:
        """End a delete that did nothing yet."""
        return self.end(OperationState.UNWOUND, None, change=Change())

    def pay_only(self, hosts: Collection[str] | None) -> Recovered:
        """Clean up behind an operation that is over for its server."""
        current = self.current()
        tried, fault = None, None
        if hosts is None and self.operation.saga == CREATE.name and current.state in _LIVE:
            work = self.work(current, must=False)
            if was_kept(work, self.saga):
                work, tried = self.work(current), current.number
                ended = run_attempt(work, saga=self.saga, adopted=True)
                fault = None if ended.gone else ended.fault
        fault = self.pay(hosts, except_for=tried) or fault
        if owed_of(self.store, self.server.id):
            return self.end(OperationState.OWED, fault)
        alive = any(one.state in _LIVE for one in self.store.attempts(self.server.id))
        made = alive or self.server.launched or self.operation.saga == DELETE.name
        return self.end(OperationState.DONE if made else OperationState.UNWOUND, None)

    def pay(
        self, hosts: Collection[str] | None = None, *, except_for: int | None = None
    ) -> Exception | None:
        """Pay what the server's attempts owe, and give what is in the way of one."""
        fault = None
        for attempt in owed_of(self.store, self.server.id):
            if attempt.number == except_for or (hosts is not None and attempt.host not in hosts):
                continue
            self.recovery.tell(
                f"cleaning {attempt.host} of attempt {attempt.number} at server {self.server.name}"
            )
            try:
                fault = self._clean(attempt) or fault
            except NotFound as error:
                fault = error
        return fault

    def _clean(self, attempt: Attempt) -> Exception | None:
        work = self.work(attempt)
        left, gone = is_left(attempt, self.server), self.server.deleted is not None
        if left and gone and self.current().fault == RETIRED:
            return clean_last(work)
        if not left or gone:
            return pay(work, saga=self.recovery.sagas[CLEANUP.name, CLEANUP.version])
        return clean_behind(work, self.work(self.current()))

    def leave(self) -> Recovered:
        """Give up what a server that was moved by hand has left on its old host."""
        fault = None
        for attempt in owed_of(self.store, self.server.id):
            if is_left(attempt, self.server) and attempt.host == self.operation.host:
                fault = leave_be(self.work(attempt)) or fault
        return self.end(OperationState.OWED if fault else OperationState.UNWOUND, fault)

    def current(self) -> Attempt:
        """Find the server's last attempt."""
        attempts = self.store.attempts(self.server.id)
        return next(one for one in attempts if one.number == self.server.attempt)

    def work(self, attempt: Attempt, *, must: bool = True) -> Work:
        """Take up the work on an attempt; its host must be known if anything is to be done."""
        hosts = self.recovery.hosts
        host = hosts.get(attempt.host)
        if host is None:
            if must:
                raise NotFound(
                    f"the host {attempt.host}, where server {self.server.name} was made, is not in"
                    " the inventory",
                    hint="write it there again; or, if it will never come back:"
                    f" vmctl host retire {attempt.host}",
                )
            host = Host(name=attempt.host, address="")
        return work_of(
            self.recovery.world,
            self.token,
            self.server,
            attempt,
            host,
            params=self.operation.params,
            secrets=from_plain(Secrets, self.store.secrets_of(self.token)),
            claim=self.recovery.claim,
            settled=self.recovery.settled,
            peers=tuple(one for one in hosts.values() if one.name != attempt.host),
            tell=self.recovery.tell,
        )

    def end(
        self, state: OperationState, fault: Exception | None, *, change: Change | None = None
    ) -> Recovered:
        """End the operation where nothing becomes of its server."""
        detail = {} if fault is None else {"fault": str(fault)}
        event = Event(
            actor=self.recovery.actor,
            action=self.action,
            result=state.value,
            server=self.server.id,
            host=self.operation.host,
            detail=detail,
        )
        text = str(fault) if fault is not None and self.operation.saga == CLEANUP.name else None
        self.store.finish(self.token, state, change=change, fault=text, event=event)
        return self.recovered(state, fault)

    def recovered(self, state: OperationState, fault: Exception | None) -> Recovered:
        """Say how it ended."""
        open_fault = None if state.over else fault
        return Recovered(operation=self.operation, state=state, fault=open_fault)

    @property
    def store(self) -> Store:
        """The operators' record."""
        return self.recovery.world.store

    @property
    def saga(self) -> Saga[Work]:
        """The workflow as it was when the operation began."""
        return self.recovery.sagas[self.operation.saga, self.operation.version]

    @property
    def action(self) -> str:
        """What the events call this."""
        return f"operation-{self.how}"


_LIVE = {AttemptState.HELD, AttemptState.BEGUN}
