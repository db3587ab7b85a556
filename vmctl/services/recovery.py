"""Going on with work whose owner is gone, and paying what is owed to hosts that answer again.

Lock, re-read, act: whoever holds the lease of an operation is the only one who goes on with it.
Nothing is taken from memory or from the old owner's word, only from the record and the host.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING

from vmctl.domain.operation import Mark, OperationState
from vmctl.domain.record import ServerState
from vmctl.errors import Busy, Conflict
from vmctl.sagas import CLEANUP, CREATE, DELETE, SAGAS, SET
from vmctl.services.believing import follow_host
from vmctl.services.doing import no_way_back
from vmctl.services.fanout import Ok, fanout
from vmctl.services.recovering import Case, Recovered, Recovery
from vmctl.services.settling import owed_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from vmctl.domain.operation import Operation
    from vmctl.domain.record import Server
    from vmctl.ports import Leases, Store

AT_ONCE = 8
"""Operations that are recovered at the same time."""


def orphans(store: Store, leases: Leases) -> tuple[Operation, ...]:
    """List the operations that are not over and that nobody is at work on."""
    return tuple(one for one in store.operations(unfinished=True) if leases.is_dead(one.id))


def is_kept(store: Store, operation: Operation) -> bool:
    """Whether it is a create that failed, of which somebody wanted all to be left as it is."""
    if operation.saga != CREATE.name or operation.state is not OperationState.STUCK:
        return False
    last = f"{store.server(operation.server or '').attempt}/"
    mine = [one for one in store.journal_of(operation.id) if one.step.startswith(last)]
    return not any(one.mark in _BACK for one in mine)


_BACK = (Mark.UNDO_STARTED, Mark.UNDONE, Mark.UNDO_FAILED)


def resume(recovery: Recovery, operation: Operation) -> Recovered:
    """Go on with an operation: forward if nothing failed yet, else with undoing it.

    Raises Busy, naming who is at work on it, and Conflict where it is over.
    """
    return _recover(recovery, operation, back=False)


def unwind(recovery: Recovery, operation: Operation) -> Recovered:
    """Undo what an operation did; Conflict where there is no way back, as with a delete.

    One whose every step is done is merely finished.
    """
    return _recover(recovery, operation, back=True)


def recover_all(
    recovery: Recovery, operations: Iterable[Operation], *, back: bool = False
) -> dict[str, Recovered | Exception]:
    """Resume or unwind many side by side, and tell by id how each ended.

    Those of one server go one after the other: only one of them may be at work on it.
    """
    waiting: dict[str, list[_Job]] = {}
    for one in operations:
        waiting.setdefault(one.server or one.id, []).append(_Job(one.id, one))
    found: dict[str, Recovered | Exception] = {}
    for turn in zip_longest(*waiting.values()):
        jobs = [job for job in turn if job is not None]
        ended = fanout(lambda job: _unless_over(recovery, job.operation, back=back), jobs, AT_ONCE)
        found |= {
            name: one.value if isinstance(one, Ok) else one.error for name, one in ended.items()
        }
    return found


def _unless_over(recovery: Recovery, operation: Operation, *, back: bool) -> Recovered:
    """Recover one that another one of its server's may have ended since it was listed."""
    now = recovery.world.store.operation(operation.id)
    if now.state.over and not operation.state.over:
        return Recovered(operation=now, state=now.state)
    return _recover(recovery, now, back=back)


def pay_owed(recovery: Recovery, hosts: Collection[str]) -> tuple[Recovered, ...]:
    """Clean these hosts of what is owed to them; what is not proven gone stays owed.

    What somebody else is paying just now is left to them.
    """
    paid = []
    store = recovery.world.store
    for operation in store.operations(unfinished=True):
        if operation.server is None:
            continue
        owing = {one.host for one in owed_of(store, operation.server)}
        if operation.saga == SET.name:
            owing = {operation.host or ""} if operation.state is OperationState.OWED else set()
        # One whose debts another one of its server's has paid is only to be ended.
        spent = operation.state is OperationState.OWED and not owing
        if not (spent or owing.intersection(hosts)) or not _is_settled(
            operation, store.server(operation.server)
        ):
            continue
        try:
            paid.append(_recover(recovery, operation, back=False, hosts=hosts))
        except (Busy, Conflict):
            continue
    return tuple(paid)


def _recover(
    recovery: Recovery,
    operation: Operation,
    *,
    back: bool,
    hosts: Collection[str] | None = None,
) -> Recovered:
    for attempt in recovery.world.store.attempts(operation.server or ""):
        if attempt.claims:
            follow_host(recovery, attempt.host)
    with _adopted(recovery, operation, back=back) as case:
        if _is_settled(case.operation, case.server):
            if case.operation.saga == SET.name:
                return case.tell_host()
            if back and case.operation.saga == CLEANUP.name:
                return case.leave()
            return case.pay_only(hosts)
        if case.operation.saga == DELETE.name:
            return case.call_off() if back else case.delete()
        if case.operation.saga == CREATE.name:
            return case.create(back=back)
        return case.deed(back=back)


@contextmanager
def _adopted(recovery: Recovery, operation: Operation, *, back: bool) -> Iterator[Case]:
    """Have the lease of an operation and its token for the block."""
    store = recovery.world.store
    with ExitStack() as stack:
        try:
            lease = stack.enter_context(recovery.world.leases.hold(operation.id))
        except Busy as error:
            now = store.operation(operation.id)
            raise Busy(
                f"{now.owner} is at work on operation {now.id} ({now.kind})",
                hint=f"wait for it, or stop it there: vmctl operation show {now.id}",
            ) from error
        found = store.operation(operation.id)
        server = _recoverable(store, found, back=back)
        token = store.adopt(lease, recovery.owner)
        yield Case(recovery, token, found, server, "unwind" if back else "resume")


def _recoverable(store: Store, operation: Operation, *, back: bool) -> Server:
    """Find the server of an operation that can be recovered so; Conflict if it cannot be."""
    if operation.state.over:
        raise Conflict(f"operation {operation.id} is {operation.state} already")
    if operation.server is None or (operation.saga, operation.version) not in SAGAS:
        raise _unknown(operation)
    server = store.server(operation.server)
    begun = operation.saga == DELETE.name and store.journal_of(operation.id)
    if back and begun and not _is_settled(operation, server):
        raise Conflict(
            f"operation {operation.id} has begun to delete server {server.name}: there is no way"
            " back",
            hint=f"vmctl operation resume {operation.id}",
        )
    saga = SAGAS[operation.saga, operation.version]
    if back and not begun and no_way_back(store, operation, saga):
        raise Conflict(
            f"operation {operation.id} ({operation.kind} of server {server.name}) is past the point"
            " of no return",
            hint=f"vmctl operation resume {operation.id}",
        )
    return server


def _unknown(operation: Operation) -> Conflict:
    """Say of an operation that another vmctl began whose that must be to go on with it."""
    known = [version for name, version in SAGAS if name == operation.saga]
    there = f"version {', '.join(map(str, sorted(known)))}" if known else "none of that name"
    newer = operation.version > max(known, default=0)
    return Conflict(
        f"this vmctl does not know how to go on with operation {operation.id}, which"
        f" {operation.owner} began: it is a {operation.saga}, version {operation.version}, and this"
        f" vmctl knows {there}",
        hint="go on with it by the vmctl that began it"
        + (", or a newer one: an update of this one" if newer else ": an older one than this"),
    )


def _is_settled(operation: Operation, server: Server) -> bool:
    """Whether it is over for its server: all that may be left is to clean up."""
    if operation.saga == DELETE.name:
        return server.deleted is not None
    if operation.saga == SET.name:
        return bool(operation.params.get("alone"))
    if operation.saga == CLEANUP.name:
        return True
    return operation.saga == CREATE.name and server.state is not ServerState.BUILDING


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    operation: Operation


__all__ = [
    "Recovered",
    "Recovery",
    "is_kept",
    "orphans",
    "pay_owed",
    "recover_all",
    "resume",
    "unwind",
]
