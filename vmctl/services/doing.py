"""A deed on its way, done or undone from what its journal says, and what the server is after it.

Where it ends any other way than it should, what the server is then is seen on its host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.deed import STARTS_ANEW
from vmctl.domain.observation import state_seen
from vmctl.domain.operation import Event, Mark, OperationState, Token
from vmctl.domain.plain import to_plain
from vmctl.domain.record import UNSEEN, Change, Power, ServerState
from vmctl.domain.server_record import is_rescued
from vmctl.errors import HostError, NameTaken
from vmctl.sagas.presence import SETTLING, is_ours
from vmctl.sagas.saga import UNWIND, Outcome, next_move, past_pivot, run
from vmctl.services.running import Log, may_still_land

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.domain.machine import Machine
    from vmctl.domain.operation import Actor, Operation
    from vmctl.ports import Store
    from vmctl.sagas.saga import Saga
    from vmctl.sagas.work import Work

UNDER = "act"
"""What the steps of a deed stand under in the journal, as those of an attempt under its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """How a deed ended, and what the server is then."""

    state: OperationState
    fault: Exception | None
    now: ServerState


def no_way_back(store: Store, operation: Operation, saga: Saga[Work]) -> bool:
    """Whether a deed that is not at its end can only be gone on with."""
    log = Log(store, Token(operation=operation.id, number=0), UNDER)
    done = next_move(saga, log.marks()) is Outcome.DONE
    return past_pivot(saga, log.marks()) and not done


def do(
    work: Work,
    saga: Saga[Work],
    actor: Actor,
    *,
    action: str,
    back: bool = False,
    adopted: bool = False,
    say: Callable[[str, Mark], None] = lambda _step, _mark: None,
) -> Settled:
    """Go on with a deed from what its journal says, to its end, and settle it.

    `adopted` says that someone else worked on it before, whose last call may still be on its way.
    """
    log = Log(work.world.store, work.token, UNDER)
    if adopted:
        work.world.sleep(SETTLING)

    def turn(fault: Exception) -> None:
        if may_still_land(fault):
            # What lands after it was undone would stay.
            work.world.sleep(SETTLING)

    if back and log.fault is None and next_move(saga, log.marks()) is not Outcome.DONE:
        log.write(UNWIND, Mark.FAILED, "it was asked that all be undone")
    outcome, fault = run(saga, log, work, check=work.check, tell=say, turn=turn)
    try:
        return _settle(work, outcome, fault or log.fault, actor, action)
    except NameTaken as taken:
        if outcome is not Outcome.DONE or past_pivot(saga, log.marks()):
            raise
        # Its new name went to another one meanwhile: all that was done is undone.
        log.write(UNWIND, Mark.FAILED, str(taken))
        outcome, _ = run(saga, log, work, tell=say, turn=turn)
        return _settle(work, outcome, taken, actor, action)


def _settle(
    work: Work,
    outcome: Outcome,
    fault: Exception | None,
    actor: Actor,
    action: str,
) -> Settled:
    """End a deed, or leave it stuck to be resumed; what the server is goes on record."""
    was = ServerState(str(work.params.get("was")))
    after = ServerState(str(work.params.get("after") or was.value))
    boot = work.world.store.host(work.host.name).boot  # read first: what is seen is no older
    machine, seen = _sight(work)
    done = outcome is Outcome.DONE
    on = machine is not None and machine.power is Power.RUNNING
    may_obey = on and not done and work.world.clock() < work.obeys_until
    now = after if done else was
    if machine is not None:
        rescued = is_rescued(machine.record or "")
        now = state_seen(now, machine.power, saved=machine.managed_save, rescued=rescued)
    state = {
        Outcome.DONE: OperationState.DONE,
        Outcome.UNWOUND: OperationState.UNWOUND,
        Outcome.STUCK: OperationState.STUCK,
    }[outcome]
    ours = machine is not None and is_ours(work, machine)
    change = Change(
        name=work.spec.name if done else None,
        # While it is stuck, whoever undoes it must know what it was called before.
        domain=machine.name if machine is not None and ours and state.over else None,
        state=now,
        task=None if state.over else str(work.params.get("task") or "") or None,
        power=machine.power if machine else Power.NOSTATE if seen else None,
        seen=() if on and work.params.get("task") in STARTS_ANEW else None,
        boot=UNSEEN if may_obey or not seen else boot,
        spec=to_plain(work.spec) if done else None,
        clear=("fault",) if now is not ServerState.ERROR else (),
    )
    text = None if fault is None or done else str(fault)
    event = Event(
        actor=actor,
        action=action,
        result="done" if done else "failed" if state.over else state.value,
        server=work.build.server,
        host=work.host.name,
        operation=work.token.operation,
        detail={**({"fault": text} if text else {}), **({} if seen else {"seen": False})},
    )
    work.world.store.finish(work.token, state, change=change, fault=text, event=event)
    return Settled(state=state, fault=None if done else fault, now=now)


def _sight(work: Work) -> tuple[Machine | None, bool]:
    """Look at the domain once more; a host that does not answer tells nothing."""
    try:
        return work.hypervisor.machine(work.build.server), True
    except HostError:
        return None, False
