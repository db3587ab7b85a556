"""Running an attempt's workflow, and what is left of the attempt when it has ended.

The loop over alternates goes so:

    work = Work(...)                              # admitted, its operation's lease held
    while True:
        ended = run_attempt(work, check=..., tell=..., keep=...)
        if not ended.may_go_elsewhere or nothing_left_to_try:
            break
        number = store.readmit(work.token, wanted, judge)    # an attempt that is released stays so
        work = replace(work, host=..., build=...)            # a Build of that number
    settle_create(work, ended, actor)             # in `settling`: operation, server, event
    if ended.fault: raise ended.fault             # or keep it for the table of a batch

and a delete `ended = run_delete(work)`, then `settle_delete(work, ended, actor)`. Neither raises
what a step fails with: that is `ended.fault`. OwnershipLost and StateError do pass: whoever they
meet writes nothing more, and leaves the operation to `operation resume`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.operation import Mark
from vmctl.domain.record import AttemptState
from vmctl.errors import (
    HostError,
    HostUnreachable,
    Interrupted,
    LeaseLost,
    OwnershipLost,
    RemoteFailed,
    RemoteTimedOut,
    StateError,
    VmctlError,
)
from vmctl.sagas import CLEANUP, CREATE, DELETE
from vmctl.sagas.presence import PATIENCE, SETTLING, clear, remains
from vmctl.sagas.saga import UNWIND, Outcome, next_move, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vmctl.domain.operation import Token
    from vmctl.ports import Store
    from vmctl.sagas.saga import Saga
    from vmctl.sagas.work import Work

_LOOKS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How the work on one attempt ended, and whether anything of it is left on its host.

    A fault that is no VmctlError is a bug: to be raised when all else is settled.
    """

    outcome: Outcome
    fault: Exception | None = None
    begun: bool = False  # its start was begun: never to be retried elsewhere
    gone: bool = False  # the attempt is released: nothing of it is on the host
    kept: bool = False  # the debris was left as it is, for someone to look at

    @property
    def may_go_elsewhere(self) -> bool:
        """Whether the next alternate may be tried."""
        if self.outcome is Outcome.DONE or self.begun or self.kept:
            return False
        return isinstance(self.fault, VmctlError) and not isinstance(self.fault, Interrupted)


class Log:
    """The part of an operation's journal that is about one attempt: `2/disks`.

    It is read once: whoever holds the token is the only one who writes.
    """

    def __init__(self, store: Store, token: Token, under: str) -> None:
        self._store = store
        self._token = token
        self._under = f"{under}/"
        self._entries = [
            (entry.step.removeprefix(self._under), entry.mark, entry.detail)
            for entry in store.journal_of(token.operation)
            if entry.step.startswith(self._under)
        ]

    def marks(self) -> Sequence[tuple[str, Mark]]:
        """Every mark there is, oldest first, each with its step."""
        return [(step, mark) for step, mark, _ in self._entries]

    def write(self, step: str, mark: Mark, detail: str = "") -> None:
        """Commit a mark; OwnershipLost if someone else has taken the operation over."""
        self._store.journal(self._token, self._under + step, mark, detail)
        self._entries.append((step, mark, detail))

    @property
    def untouched(self) -> bool:
        """Whether no step was ever begun."""
        return all(step == UNWIND for step, _ in self.marks())

    @property
    def fault(self) -> VmctlError | None:
        """What the first step failed with, as far as it was written down."""
        for _, mark, detail in self._entries:
            if mark is Mark.FAILED:
                return VmctlError(detail)
        return None


def run_attempt(
    work: Work,
    *,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[str, Mark], None] = lambda _step, _mark: None,
    keep: bool = False,
    adopted: bool = False,
    saga: Saga[Work] = CREATE,
) -> Ended:
    """Make the server, or undo all of it, going on from what the journal says of this attempt.

    Afterwards the attempt is as it was (held or begun) where the server is made or the debris is
    kept, released where nothing of it is left, and otherwise owed, with its claim and addresses.
    `check` raises `Interrupted` before a step that shall not be begun any more. `adopted` says
    that someone else worked on it before, whose last call may still be on its way.
    """
    log = _log_of(work)
    outcome, fault = run(saga, log, work, check=check, tell=tell, keep=keep)
    if outcome is Outcome.DONE:
        return Ended(outcome=outcome)
    fault = fault or log.fault
    begun = _state(work) is AttemptState.BEGUN
    if outcome is Outcome.STUCK and not _turned(log):
        return Ended(outcome=outcome, fault=fault, begun=begun, kept=True)
    gone = outcome is Outcome.UNWOUND and (
        log.untouched or _proven(work, settle=adopted or may_still_land(fault))
    )
    _mark(work, fault, gone=gone)
    return Ended(outcome=outcome, fault=fault, begun=begun, gone=gone)


def turn_back(work: Work, saga: Saga[Work] = CREATE) -> None:
    """Have the attempt's next run undo it, unless it is made already."""
    log = _log_of(work)
    if log.fault is None and next_move(saga, log.marks()) is not Outcome.DONE:
        log.write(UNWIND, Mark.FAILED, "it was asked that all be undone")


def was_kept(work: Work, saga: Saga[Work] = CREATE) -> bool:
    """Whether the attempt failed in this operation, and what it had made was left there."""
    log = _log_of(work)
    return log.fault is not None and next_move(saga, log.marks()) is not Outcome.UNWOUND


def run_delete(
    work: Work,
    *,
    tell: Callable[[str, Mark], None] = lambda _step, _mark: None,
    adopted: bool = False,
    saga: Saga[Work] = DELETE,
) -> Ended:
    """Take the server off its host: once begun, it only goes forward.

    Afterwards the attempt is released where it is gone, owed where the host does not answer, and
    otherwise as it was.
    """
    if _state(work) is AttemptState.RELEASED:
        return Ended(outcome=Outcome.DONE, gone=True)
    outcome, fault = run(saga, _log_of(work), work, tell=tell)
    if outcome is Outcome.DONE:
        try:
            if adopted:
                prove_gone(work)
        except VmctlError as error:
            _let_pass(error)
            outcome, fault = Outcome.STUCK, error
        else:
            _mark(work, None, gone=True)
            return Ended(outcome=outcome, gone=True)
    if does_not_answer(fault):
        _mark(work, fault, gone=False)
    return Ended(outcome=outcome, fault=fault)


def pay(work: Work, *, saga: Saga[Work] = CLEANUP) -> Exception | None:
    """Clean the host of an attempt that is owed; give what is in the way, None if it is gone.

    Whatever was journalled of it before, every step is gone through again.
    """
    log = Log(work.world.store, work.token, f"{work.build.number}/cleanup-{work.token.number}")
    outcome, fault = run(saga, log, work)
    if outcome is Outcome.DONE:
        try:
            prove_gone(work)
        except VmctlError as error:
            _let_pass(error)
            fault = error
    if fault is None:
        _mark(work, None, gone=True)
    return fault


def prove_gone(work: Work) -> None:
    """Look again under the host's lease, some time after all was undone, and undo what landed.

    Raises what is in the way of knowing that nothing is left.
    """
    for _ in range(_LOOKS):
        work.world.sleep(SETTLING)
        with work.world.host_leases.hold(work.host, wait=PATIENCE):
            left = remains(work)
            # Filters and reservations cannot be looked for: they are taken away once more.
            clear(work)
        if not left:
            return
    raise RemoteFailed(
        work.host.name,
        f"{work.host.name}: of server {work.spec.name} there comes back again and again:"
        f" {', '.join(left)}",
        hint="someone else is at work on it there; then: vmctl operation resume"
        f" {work.token.operation}",
        reason="leftovers",
    )


def does_not_answer(fault: Exception | None) -> bool:
    """Whether a host could not be asked at all, or did not answer in time."""
    if isinstance(fault, RemoteFailed):
        return isinstance(fault, RemoteTimedOut)
    return isinstance(fault, HostError)


def may_still_land(fault: Exception | None) -> bool:
    """Whether a call may have outlived the failure to hear how it ended."""
    return isinstance(fault, HostUnreachable | RemoteTimedOut | LeaseLost)


def _proven(work: Work, *, settle: bool) -> bool:
    """Whether nothing is left where every undo has succeeded."""
    if not settle:
        return True
    try:
        prove_gone(work)
    except VmctlError as error:
        _let_pass(error)
        return False
    return True


def _let_pass(error: VmctlError) -> None:
    """Let through what ends all work on the operation."""
    if isinstance(error, OwnershipLost | StateError):
        raise error


def _log_of(work: Work) -> Log:
    return Log(work.world.store, work.token, str(work.build.number))


def _turned(log: Log) -> bool:
    """Whether anything was undone, or begun to be."""
    back = {Mark.UNDO_STARTED, Mark.UNDONE, Mark.UNDO_FAILED}
    return any(mark in back for _, mark in log.marks())


def _state(work: Work) -> AttemptState:
    attempts = work.world.store.attempts(work.build.server)
    return next(one.state for one in attempts if one.number == work.build.number)


def _mark(work: Work, fault: Exception | None, *, gone: bool) -> None:
    state = AttemptState.RELEASED if gone else AttemptState.OWED
    text = None if fault is None else str(fault)
    work.world.store.mark_attempt(work.token, work.build.number, state, text)
