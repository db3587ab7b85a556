"""Servers taken away, each to its own end; what a host that does not answer keeps is owed to it."""

from __future__ import annotations

import uuid
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.deed import refuse_locked
from vmctl.domain.operation import Event, NewOperation, OperationState
from vmctl.domain.record import UNSEEN, AttemptState, Change, ServerState
from vmctl.errors import Conflict, HostError, Interrupted, Locked, NotFound, VmctlError
from vmctl.sagas import CLEANUP, DELETE
from vmctl.sagas.exchange import EXCHANGES
from vmctl.sagas.power import ask_for_good
from vmctl.services.acting import refuse_alive
from vmctl.services.believing import elsewhere, lost, now
from vmctl.services.kept import work_of
from vmctl.services.recovery import resume, unwind
from vmctl.services.running import run_delete
from vmctl.services.settling import owed_of, settle_delete

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.domain.host import Host
    from vmctl.domain.operation import Mark, Operation, Token
    from vmctl.domain.record import Attempt, Server
    from vmctl.sagas.work import Work
    from vmctl.services.recovery import Recovery

_ONWARD = frozenset((DELETE.name, CLEANUP.name))
"""Workflows whose end is what a delete wants, too."""

_WITH_IT = frozenset(saga.name for saga in EXCHANGES)
"""Workflows that may be left as they are where their server is deleted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What became of a server that was to go; owed names the host that keeps something of it."""

    server: Server
    owed: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Grace:
    """How long a guest is given to shut down by itself, and what raises Interrupted meanwhile."""

    seconds: float
    check: Callable[[], None] = field(default=lambda: None)


def delete_server(
    recovery: Recovery,
    server: Server,
    *,
    reason: str | None = None,
    force: bool = False,
    grace: Grace | None = None,
    tell: Callable[[str, str | None, str], None] = lambda _server, _host, _step: None,
) -> Deleted:
    """Take a server off its host and off the list; whatever died at work on it is ended first.

    By force also one that is protected, one whose host is in the inventory no more, which is then
    owed its cleanup, and one at which something died that cannot be undone. A guest is asked to
    shut down only when nothing refuses the delete any more; one that does not obey in time is
    powered off.
    """
    refuse_guarded(server, force=force)
    store = recovery.world.store
    died = _end_what_died(recovery, server, force=force)
    server = store.server(server.id)
    if server.deleted is not None:
        # It was a delete that had died, and it has come to its end.
        owed = owed_of(store, server.id)
        return Deleted(server=server, owed=owed[0].host if owed else None)
    server = _where_it_is(recovery, server)
    attempt = _standing(store.attempts(server.id))
    host = None if attempt is None else _host_of(recovery, server, attempt, force=force)
    operation = str(uuid.uuid4())
    new = NewOperation(
        kind="delete",
        saga=DELETE.name,
        version=DELETE.version,
        owner=recovery.owner,
        server=server.id,
        host=host.name if host else None,
    )
    event = Event(
        actor=recovery.actor,
        action="server-delete",
        result="started",
        server=server.id,
        host=host.name if host else None,
        detail={"reason": reason} if reason else {},
    )
    with ExitStack() as stack:
        # Until the delete is on record, whoever finds them may go on with them.
        instead = [_taken_over(recovery, one, stack) for one in died]
        lease = stack.enter_context(recovery.world.leases.hold(operation))
        token = store.begin(lease, new, task="deleting", event=event, instead=instead)
        if attempt is None or host is None:
            return _forget(recovery, server, token, attempt)
        work = work_of(
            recovery.world,
            token,
            server,
            attempt,
            host,
            params={"patience": grace.seconds} if grace else {},
            tell=lambda words: tell(server.name, host.name, words),
            # What was given up for this delete leaves no way back.
            check=grace.check if grace and not died else lambda: None,
        )
        if grace is not None:
            _let_end(recovery, work)

        def say(step: str, mark: Mark) -> None:
            if mark.value == "started":
                tell(server.name, host.name, step)

        saga = recovery.sagas[DELETE.name, DELETE.version]
        ended = run_delete(work, tell=say, adopted=bool(died), saga=saga)
        state = settle_delete(work, ended, recovery.actor)
        if state is OperationState.OWED:
            return Deleted(server=server, owed=host.name)
        if ended.fault is not None:
            raise ended.fault
    return Deleted(server=server)


def refuse_guarded(server: Server, *, force: bool) -> None:
    """Raise Locked for a server that is locked, or protected and not to be deleted by force."""
    refuse_locked(server.name, server.locked)
    if server.protected and not force:
        raise Locked(
            f"server {server.name} is protected from being deleted",
            hint=f"vmctl server set --unprotected {server.name}",
        )


def look_only(recovery: Recovery, server: Server, *, force: bool = False) -> Server:
    """Give a server that could be deleted, as it is now; raises what is in the way."""
    refuse_guarded(server, force=force)
    refuse_alive(recovery, server)
    server = _where_it_is(recovery, server)
    attempt = _standing(recovery.world.store.attempts(server.id))
    if attempt is not None:
        _host_of(recovery, server, attempt, force=force)
    return server


def _let_end(recovery: Recovery, work: Work) -> None:
    """Ask a guest to shut down, and give it its time; where that is stopped, nothing goes."""
    name = work.spec.name
    try:
        ask_for_good(work)
    except (Conflict, HostError) as error:
        recovery.tell(f"{name}: {error.message}")
    except Interrupted as error:
        event = Event(
            actor=recovery.actor,
            action="server-delete",
            result="failed",
            server=work.build.server,
            host=work.host.name,
            detail={"fault": error.message},
        )
        # It may obey when nobody looks any more.
        change = Change(boot=UNSEEN if work.pressed else None)
        store, fault = work.world.store, error.message
        store.finish(work.token, OperationState.UNWOUND, change=change, fault=fault, event=event)
        raise


def _where_it_is(recovery: Recovery, server: Server) -> Server:
    """Look for a server before it goes; a host that does not answer is owed its cleanup as ever."""
    try:
        return now(recovery, server, wary=lambda _: True)
    except (HostError, NotFound):
        return elsewhere(recovery, server)


def _standing(attempts: tuple[Attempt, ...]) -> Attempt | None:
    """Give the attempt that has, or may have, something on its host."""
    live = [one for one in attempts if one.state in (AttemptState.HELD, AttemptState.BEGUN)]
    return live[-1] if live else None


def _host_of(recovery: Recovery, server: Server, attempt: Attempt, *, force: bool) -> Host | None:
    host: Host | None = recovery.hosts.get(attempt.host)
    if host is None and not force:
        instead = f"; to forget it until then: vmctl server delete --force {server.name}"
        raise lost(server, attempt.host, instead=instead)
    return host


def _end_what_died(recovery: Recovery, server: Server, *, force: bool) -> list[Operation]:
    """Undo, or else end, an operation whose owner is gone; Busy while its owner lives.

    Gives those that need not be: of another system in its place all that was made stands in the
    plan, and goes with the server.
    """
    died: list[Operation] = []
    for operation in recovery.world.store.operations(unfinished=True, server=server.id):
        if operation.state is OperationState.OWED:
            continue
        if not recovery.world.leases.is_dead(operation.id):
            continue  # begin says who is at work on it
        if operation.saga in _WITH_IT:
            died.append(operation)
            continue
        fault = _end(recovery, operation)
        owes = operation.saga == CLEANUP.name and isinstance(fault, VmctlError)
        if fault is None or owes:
            continue
        if not force or operation.saga == DELETE.name or not isinstance(fault, VmctlError):
            raise fault
        _give_up(recovery, operation, f"given up by a delete: {fault.message}")
    return died


def _end(recovery: Recovery, operation: Operation) -> Exception | None:
    """Bring an operation to its end, or give what is in the way of that."""
    try:
        ended = (resume if operation.saga in _ONWARD else unwind)(recovery, operation)
    except NotFound as error:
        return error  # its host is not in the inventory
    return ended.fault if ended.state is OperationState.STUCK else None


def _taken_over(recovery: Recovery, operation: Operation, stack: ExitStack) -> tuple[Token, Event]:
    """Adopt an operation for as long as the stack stands, and say what becomes of it."""
    lease = stack.enter_context(recovery.world.leases.hold(operation.id))
    token = recovery.world.store.adopt(lease, recovery.owner)
    return token, _given_up(recovery, operation, "given up by a delete")


def _give_up(recovery: Recovery, operation: Operation, fault: str) -> None:
    """End an operation that is not undone: the delete takes away what it has left."""
    store = recovery.world.store
    with recovery.world.leases.hold(operation.id) as lease:
        token = store.adopt(lease, recovery.owner)
        owed = bool(owed_of(store, operation.server or ""))
        event = _given_up(recovery, operation, fault)
        state = OperationState.OWED if owed else OperationState.UNWOUND
        # Should this one die next: nobody is at the server then, nor has seen what it is.
        change = Change(boot=UNSEEN)
        store.finish(token, state, change=change, fault=fault, event=event)


def _given_up(recovery: Recovery, operation: Operation, fault: str) -> Event:
    return Event(
        actor=recovery.actor,
        action="operation-unwind",
        result="failed",
        server=operation.server,
        host=operation.host,
        detail={"fault": fault},
    )


def _forget(recovery: Recovery, server: Server, token: Token, attempt: Attempt | None) -> Deleted:
    """Take a server off the list that stands on no host, or on one that cannot be asked.

    What a create that died has left on a host that does not answer is that create's to pay.
    """
    store = recovery.world.store
    if attempt is not None:
        store.mark_attempt(token, attempt.number, AttemptState.OWED)
    hosts = list(dict.fromkeys(one.host for one in owed_of(store, server.id)))
    owed = hosts[0] if hosts else None
    store.finish(
        token,
        OperationState.DONE if attempt is None else OperationState.OWED,
        change=Change(state=ServerState.DELETED, deleted=True),
        event=Event(
            actor=recovery.actor,
            action="server-delete",
            result="done",
            server=server.id,
            host=owed,
            detail={"owed": hosts} if hosts else {},
        ),
    )
    return Deleted(server=server, owed=owed)
