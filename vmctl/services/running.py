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

from vmctl.errors import Interrupted, VmctlError
from vmctl.sagas.saga import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.domain.operation import Mark
    from vmctl.sagas.work import Work


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
        lost = self.outcome is not Outcome.DONE and not self.begun and not self.kept
        return (
            lost and isinstance(self.fault, VmctlError) and not isinstance(self.fault, Interrupted)
        )


def run_attempt(
    work: Work,
    *,
    check: Callable[[], None] = lambda: None,
    tell: Callable[[str, Mark], None] = lambda _step, _mark: None,
    keep: bool = False,
) -> Ended:
    """Make the server, or undo all of it, going on from what the journal says of this attempt.

    Afterwards the attempt is as it was (held or begun) where the server is made or the debris is
    kept, released where nothing of it is left, and otherwise owed, with its claim and addresses.
    `check` raises `Interrupted` before a step that shall not be begun any more.
    """
    raise NotImplementedError


def run_delete(
    work: Work, *, tell: Callable[[str, Mark], None] = lambda _step, _mark: None
) -> Ended:
    """Take the server off its host: once begun, it only goes forward.

    Afterwards the attempt is released where it is gone, owed where the host does not answer, and
    otherwise as it was.
    """
    raise NotImplementedError
