"""Servers taken away, each to its own end; what a host that does not answer keeps is owed to it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.operation import Event, NewOperation, OperationState
from vmctl.domain.record import AttemptState, Change, Power, ServerState
from vmctl.errors import HostError, NotFound
from vmctl.sagas.delete import DELETE
from vmctl.services.doing import refuse_locked
from vmctl.services.kept import work_of
from vmctl.services.recovery import resume, unwind
from vmctl.services.running import run_delete
from vmctl.services.settling import owed_of, settle_delete

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.domain.host import Host
    from vmctl.domain.operation import Mark, Operation, Token
    from vmctl.domain.record import Attempt, Server
    from vmctl.services.recovery import Recovery

_PAUSE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Deleted:
    """What became of a server that was to go; owed names the host that keeps something of it."""

    server: Server
    owed: str | None = None


def delete_server(
    recovery: Recovery,
    server: Server,
    *,
    reason: str | None = None,
    tell: Callable[[str, str | None, str], None] = lambda _server, _host, _step: None,
) -> Deleted:
    """Take a server off its host and off the list; whatever died at work on it is ended first."""
    refuse_locked(server)
    store = recovery.world.store
    _end_what_died(recovery, server)
    server = store.server(server.id)
    if server.deleted is not None:
        # It was a delete that had died, and it has come to its end.
        owed = owed_of(store, server.id)
        return Deleted(server=server, owed=owed[0].host if owed else None)
    attempt = _standing(store.attempts(server.id))
    host = None if attempt is None else _host_of(recovery, server, attempt)
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
    with recovery.world.leases.hold(operation) as lease:
        token = store.begin(lease, new, task="deleting", event=event)
        if attempt is None or host is None:
            _forget(recovery, server, token)
            return Deleted(server=server)
        work = work_of(
            recovery.world,
            token,
            server,
            attempt,
            host,
            tell=lambda words: tell(server.name, host.name, words),
        )

        def say(step: str, mark: Mark) -> None:
            if mark.value == "started":
                tell(server.name, host.name, step)

        ended = run_delete(work, tell=say)
        state = settle_delete(work, ended, recovery.actor)
        if state is OperationState.OWED:
            return Deleted(server=server, owed=host.name)
        if ended.fault is not None:
            raise ended.fault
    return Deleted(server=server)


def shut_down(
    recovery: Recovery,
    server: Server,
    seconds: float,
    *,
    check: Callable[[], None] = lambda: None,
) -> None:
    """Ask a guest to shut down, and give it so long; what does not obey is left running."""
    refuse_locked(server)
    host = recovery.hosts.get(server.host or "")
    if host is None:
        return
    world = recovery.world
    hypervisor = world.hypervisors.on(host)
    until = world.clock() + seconds
    try:
        hypervisor.ask_to_shut_down(server.id)
        while world.clock() < until:
            check()
            machine = hypervisor.machine(server.id)
            if machine is None or machine.power is not Power.RUNNING:
                return
            world.sleep(_PAUSE)
    except HostError as error:
        recovery.tell(f"{server.name}: {error.message}")


def _standing(attempts: tuple[Attempt, ...]) -> Attempt | None:
    """Give the attempt that has, or may have, something on its host."""
    live = [one for one in attempts if one.state in (AttemptState.HELD, AttemptState.BEGUN)]
    return live[-1] if live else None


def _host_of(recovery: Recovery, server: Server, attempt: Attempt) -> Host:
    host: Host | None = recovery.hosts.get(attempt.host)
    if host is None:
        raise NotFound(
            f"server {server.name} stands on {attempt.host}, which is not in the inventory",
            hint="put the host back into the inventory; if it will never come back:"
            f" vmctl host retire {attempt.host}",
        )
    return host


def _end_what_died(recovery: Recovery, server: Server) -> None:
    """Undo, or else end, an operation whose owner is gone; Busy while its owner lives."""
    for operation in recovery.world.store.operations(unfinished=True, server=server.id):
        if operation.state is OperationState.OWED:
            continue
        if not recovery.world.leases.is_dead(operation.id):
            continue  # begin says who is at work on it
        _end(recovery, operation)


def _end(recovery: Recovery, operation: Operation) -> None:
    ended = (resume if operation.kind == "delete" else unwind)(recovery, operation)
    if ended.fault is not None and ended.state is OperationState.STUCK:
        raise ended.fault


def _forget(recovery: Recovery, server: Server, token: Token) -> None:
    """Take a server off the list that nothing stands of on any host."""
    recovery.world.store.finish(
        token,
        OperationState.DONE,
        change=Change(state=ServerState.DELETED, deleted=True),
        event=Event(actor=recovery.actor, action="server-delete", result="done", server=server.id),
    )
