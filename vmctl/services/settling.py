"""The end of an operation: what becomes of its server, its attempts, and what people are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.operation import Event, OperationState
from vmctl.domain.record import AttemptState, Change, Power, ServerState
from vmctl.sagas.saga import Outcome

if TYPE_CHECKING:
    from vmctl.domain.operation import Actor
    from vmctl.domain.record import Attempt
    from vmctl.ports import Store
    from vmctl.sagas.work import Work
    from vmctl.services.running import Ended


def settle_create(
    work: Work, ended: Ended, actor: Actor, *, action: str = "server-create"
) -> OperationState:
    """End a create: the server ACTIVE (or STOPPED), or in ERROR with its fault.

    The operation is done or unwound; owed while a host is not proven clean of one of its
    attempts, be the server made or not; stuck where the debris was kept.
    """
    if ended.outcome is Outcome.DONE:
        state = OperationState.DONE
        runs = work.spec.start
        change = Change(
            state=ServerState.ACTIVE if runs else ServerState.STOPPED,
            power=Power.RUNNING if runs else Power.SHUTDOWN,
            host=work.host.name,
            boot=None if runs else work.known_boot,  # its start has put that on record
            launched=True,
        )
    else:
        state = OperationState.STUCK if ended.kept else OperationState.UNWOUND
        change = Change(state=ServerState.ERROR, power=Power.NOSTATE, fault=_text(ended))
    owed = owed_of(work.world.store, work.build.server)
    if owed and not ended.kept:
        state = OperationState.OWED
    _finish(work, ended, actor, state, change=change, owed=owed, action=action)
    return state


def settle_delete(
    work: Work, ended: Ended, actor: Actor, *, action: str = "server-delete"
) -> OperationState:
    """End a delete: the server is gone, its host's cleanup owed where that did not answer.

    Where a step failed on a host that answers, the operation is stuck, to be resumed.
    """
    owed = owed_of(work.world.store, work.build.server)
    mine = any(one.number == work.build.number for one in owed)
    if ended.gone or mine:
        state = OperationState.OWED if mine else OperationState.DONE
        change = Change(state=ServerState.DELETED, power=Power.NOSTATE, deleted=True)
    else:
        state = OperationState.STUCK
        change = Change(state=ServerState.ERROR, task="deleting", fault=_text(ended))
    _finish(work, ended, actor, state, change=change, owed=owed, action=action)
    return state


def owed_of(store: Store, server: str) -> tuple[Attempt, ...]:
    """List the attempts of a server that may have left something on their hosts."""
    return tuple(one for one in store.attempts(server) if one.state is AttemptState.OWED)


def result_of(state: OperationState, *, done: bool) -> str:
    """Say in one word how an operation went, for its event."""
    if done:
        return "done"
    return "failed" if state in {OperationState.OWED, OperationState.UNWOUND} else state.value


def _finish(
    work: Work,
    ended: Ended,
    actor: Actor,
    state: OperationState,
    *,
    change: Change,
    owed: tuple[Attempt, ...],
    action: str,
) -> None:
    fault = _text(ended)
    detail: dict[str, object] = {"attempt": work.build.number}
    if fault is not None:
        detail["fault"] = fault
    if ended.outcome is Outcome.DONE and change.state is not ServerState.DELETED:
        bare = work.build.unenforced
        detail |= {"unenforced": list(bare)} if bare else {}
    if owed:
        detail["owed"] = [one.host for one in owed]
    done = change.state is not ServerState.ERROR
    event = Event(
        actor=actor,
        action=action,
        result=result_of(state, done=done),
        server=work.build.server,
        host=work.host.name,
        detail=detail,
    )
    work.world.store.finish(work.token, state, change=change, fault=fault, event=event)


def _text(ended: Ended) -> str | None:
    return None if ended.fault is None else str(ended.fault)
