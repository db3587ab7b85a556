"""Deeds done to servers that stand: one at a time for each, and what it is then on record.

Before a deed the server is looked at on its host, so that nothing acts on what was believed.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.deed import forbidden, refuse_locked, way_out
from vmctl.domain.operation import Event, Mark, NewOperation, OperationState
from vmctl.domain.plain import to_plain
from vmctl.domain.record import AttemptState, Power
from vmctl.domain.spec import Secrets
from vmctl.errors import Busy, Conflict
from vmctl.sagas import CLEANUP
from vmctl.services.believing import lost, now
from vmctl.services.doing import do
from vmctl.services.kept import anew, work_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.domain.deed import Deed
    from vmctl.domain.host import Host
    from vmctl.domain.record import Attempt, Server
    from vmctl.sagas.saga import Saga
    from vmctl.sagas.work import Work
    from vmctl.services.recovery import Recovery

    Ready = Callable[["Errand", Server, Attempt, Host], "Errand"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """A deed, the workflow that does it, and all that resuming it needs."""

    deed: Deed
    saga: Saga[Work]
    params: Mapping[str, object] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets, repr=False)
    keeps_secrets: bool = False  # for whoever resumes it; wiped when it ends
    ready: Ready = lambda errand, _server, _attempt, _host: errand
    """Makes it ready for a server as it was found; raises what is in the way."""

    reason: str | None = None
    detail: Mapping[str, object] = field(default_factory=dict)
    """What else the events tell of it."""

    check: Callable[[], None] = lambda: None
    tell: Callable[[str, str | None, str], None] = lambda _server, _host, _step: None
    steps: bool = True  # whether each step is told, not only what a step has to say


def act(recovery: Recovery, server: Server, errand: Errand) -> Server:
    """Do something to a server and give it as it is then; raises what was in the way."""
    return carry_out(recovery, admitted(recovery, server, errand.deed), errand)


def carry_out(recovery: Recovery, server: Server, errand: Errand) -> Server:
    """Do to a server what was found to be permitted."""
    store, deed = recovery.world.store, errand.deed
    attempt, host = standing(recovery, server)
    errand = errand.ready(errand, server, attempt, host)
    operation = str(uuid.uuid4())
    ran = server.power is Power.RUNNING
    params = {**errand.params, "was": server.state.value, "ran": ran, "deed": deed.name}
    params |= {"task": deed.task, "at": recovery.world.clock()}
    params |= anew(store, server, errand.saga)
    if deed.after is not None:
        params["after"] = deed.after.value
    new = NewOperation(
        kind=deed.name,
        saga=errand.saga.name,
        version=errand.saga.version,
        owner=recovery.owner,
        server=server.id,
        host=host.name,
        params=params,
        secrets=to_plain(errand.secrets) if errand.keeps_secrets else None,
    )
    event = Event(
        actor=recovery.actor,
        action=deed.event,
        result="started",
        server=server.id,
        host=host.name,
        operation=operation,
        detail={**errand.detail, **({"reason": errand.reason} if errand.reason else {})},
    )
    with recovery.world.leases.hold(operation) as lease:
        token = store.begin(lease, new, expect=deed.states, task=deed.task or None, event=event)
        # As they are now that nobody else changes them.
        server = store.server(server.id)
        attempt = next(one for one in store.attempts(server.id) if one.number == attempt.number)
        work = work_of(
            recovery.world,
            token,
            server,
            attempt,
            host,
            params=params,
            secrets=errand.secrets,
            claim=recovery.claim,
            settled=recovery.settled,
            peers=tuple(one for one in recovery.hosts.values() if one.name != host.name),
            tell=lambda words: errand.tell(server.name, host.name, words),
            check=errand.check,
        )
        work.pressed = 0.0

        def say(step: str, mark: Mark) -> None:
            if mark is Mark.STARTED and errand.steps:
                errand.tell(server.name, host.name, step)

        settled = do(work, errand.saga, recovery.actor, action=deed.event, say=say)
    if settled.fault is not None:
        raise settled.fault
    return store.server(server.id)


def look_only(recovery: Recovery, server: Server, errand: Errand) -> Server:
    """Give a server to which a deed could be done, as it is now; raises what is in the way."""
    server = admitted(recovery, server, errand.deed)
    errand.ready(errand, server, *standing(recovery, server))
    return server


def admitted(recovery: Recovery, server: Server, deed: Deed) -> Server:
    """Give the server as it is on its host now; raises what forbids the deed."""
    refuse_locked(server.name, server.locked)
    refuse_busy(recovery, server)
    # Nobody else is asked about what its own host forbids.
    server = now(recovery, server, wary=lambda one: deed.wary and forbidden(deed, one) is None)
    why = forbidden(deed, server)
    if why is not None:
        raise Conflict(why, hint=way_out(deed, server))
    return server


def refuse_busy(recovery: Recovery, server: Server) -> None:
    """Raise Busy while something else is being done to a server, or was left half done.

    What it is meanwhile forbids nothing: first that must come to its end.
    """
    for one in recovery.world.store.operations(unfinished=True, server=server.id):
        if one.state is OperationState.OWED:
            continue
        what = f"the {one.kind} of server {server.name}, which {one.owner} began,"
        if one.state is OperationState.RUNNING and not recovery.world.leases.is_dead(one.id):
            raise Busy(f"{what} is under way", hint=f"wait for it: vmctl operation show {one.id}")
        why = f": {one.fault}" if one.fault else ""
        left = f"is stuck{why}" if one.state is OperationState.STUCK else "was left half done"
        back = f"; vmctl operation unwind {one.id} gives it up"
        raise Busy(
            f"{what} {left}",
            # To give a cleanup up is to leave what it has not taken away.
            hint=f"vmctl operation resume {one.id} brings it to its end"
            + ("" if one.saga == CLEANUP.name else back),
        )


def refuse_alive(recovery: Recovery, server: Server) -> None:
    """Raise Busy only while somebody is at work on a server."""
    leases = recovery.world.leases
    for one in recovery.world.store.operations(unfinished=True, server=server.id):
        if one.state is OperationState.RUNNING and not leases.is_dead(one.id):
            refuse_busy(recovery, server)


def standing(recovery: Recovery, server: Server) -> tuple[Attempt, Host]:
    """Give the attempt that the server stands by, and its host as the inventory has it now."""
    attempts = recovery.world.store.attempts(server.id)
    live = [one for one in attempts if one.state in (AttemptState.HELD, AttemptState.BEGUN)]
    if not live:
        raise Conflict(
            f"server {server.name} stands on no host",
            hint=f"vmctl server show {server.name} tells why; vmctl server delete {server.name}",
        )
    attempt = live[-1]
    host = recovery.hosts.get(attempt.host)
    if host is None:
        raise lost(server, attempt.host)
    return attempt, host
