"""What a server that was moved by hand has left on its old host, taken away where that is safe.

Its filters and reservations there are nobody's any more. Its volumes may be the very ones that it
runs from, where both hosts have one storage, or the only ones: then somebody has to say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.record import AttemptState
from vmctl.errors import Conflict, OwnershipLost, StateError, VmctlError
from vmctl.sagas import presence
from vmctl.services.hosts import sample_of
from vmctl.services.running import pay

if TYPE_CHECKING:
    from vmctl.domain.record import Attempt, Server
    from vmctl.sagas.work import Work

_MADE_ANEW = frozenset({"seed", "log"})
"""Volumes that hold nothing which is not elsewhere."""


def is_left(attempt: Attempt, server: Server) -> bool:
    """Whether an attempt stands for what a move left: those come after the server's own."""
    return attempt.number > server.attempt


def clean_behind(work: Work, stands: Work) -> Exception | None:
    """Clean the old host of a server that stands on another; give what is in the way.

    What is in doubt stays owed, and the attempt says why.
    """
    try:
        doubt = _doubt(work, stands)
    except (OwnershipLost, StateError):
        raise
    except VmctlError as error:
        doubt = error
    if doubt is None:
        return pay(work)
    work.world.store.mark_attempt(work.token, work.build.number, AttemptState.OWED, str(doubt))
    return doubt


def leave_be(work: Work) -> Exception | None:
    """Give up what is left there: volumes stay as they are, for whoever they belong to."""
    try:
        machine = work.hypervisor.machine(work.build.server)
        if machine is None:
            presence.remove_network(work)
    except (OwnershipLost, StateError):
        raise
    except VmctlError as error:
        return error
    said = "what was left there was given up"
    stands, number = machine is not None, work.build.number
    work.world.store.mark_attempt(work.token, number, AttemptState.RELEASED, said, stands=stands)
    return None


def clean_last(work: Work) -> Exception | None:
    """Clean the old host of a server whose new one was retired; give what is in the way.

    What is left may be all that there is of it: only what holds nothing is taken away unasked.
    """
    name, held = work.spec.name, work.build.held
    try:
        there = set(work.hypervisor.volumes(work.build.pool)) if held else set()
    except (OwnershipLost, StateError):
        raise
    except VmctlError as error:
        return error
    left = [one.name for one in held if one.name in there and one.role not in _MADE_ANEW]
    if not left:
        return pay(work)
    doubt = Conflict(
        f"{work.host.name}: in the pool {work.build.pool} is still {', '.join(left)} of server"
        f" {name}, whose other host was retired: it may be the last copy",
        hint=f"if nobody needs it: virsh vol-delete --pool {work.build.pool} NAME there, then"
        f" vmctl operation resume {work.token.operation}; to leave it as it is: vmctl operation"
        f" unwind {work.token.operation}",
    )
    work.world.store.mark_attempt(work.token, work.build.number, AttemptState.OWED, str(doubt))
    return doubt


def _doubt(work: Work, stands: Work) -> VmctlError | None:
    """Take away what is surely nobody's, and say why the rest may be somebody's."""
    name, old, new = work.spec.name, work.host.name, stands.host.name
    if work.hypervisor.machine(work.build.server) is not None:
        return Conflict(
            f"server {name} is defined on {old} again: nothing is taken away there",
            hint=f"vmctl server refresh {name}",
        )
    presence.remove_network(work)
    held = work.build.held
    there = set(work.hypervisor.volumes(work.build.pool)) if held else set()
    left = [one for one in held if one.name in there]
    if not left:
        return None
    listed = set(stands.hypervisor.volumes(stands.build.pool))
    lone = [one.name for one in left if one.role not in _MADE_ANEW and one.name not in listed]
    names = ", ".join(one.name for one in left)
    if lone:
        why = f"{new}, where it is now, does not list {', '.join(lone)}"
    elif _is_own(work) and _is_own(stands):
        return None
    else:
        why = f"they may be the very ones that it has on {new}"
    return Conflict(
        f"{old}: in the pool {work.build.pool} is still {names} of server {name}, and {why}",
        hint=f"if it needs them no more: virsh vol-delete --pool {work.build.pool} NAME there, then"
        f" vmctl operation resume {work.token.operation}; to leave them as they are: vmctl"
        f" operation unwind {work.token.operation}",
    )


def _is_own(work: Work) -> bool:
    """Whether the pool there is surely that host's own, so that nobody else has these volumes."""
    host, name = work.host, work.build.pool
    if any(one.shared for one in host.pools if one.name == name):
        return False
    before = sample_of(work.world.store.host(host.name))
    sample = work.world.prober.look(host, depth="quick", before=before)
    return any(one.on_own_disk for one in sample.pools if one.name == name)
