"""Domains of servers that were deleted and are there all the same, taken away for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.operation import Event, Token
from vmctl.errors import Conflict
from vmctl.sagas.presence import PATIENCE, clear, is_ours
from vmctl.sagas.work import Work
from vmctl.services.standing import Standing, read

if TYPE_CHECKING:
    from vmctl.domain.sight import Sight
    from vmctl.services.recovery import Recovery


def reap(recovery: Recovery, sight: Sight) -> None:
    """Take away a domain with all that its record says was made for it, under its host's lease.

    The domain goes last: whoever dies at it leaves what the next one finds again. Raises Conflict
    where it is not what it was taken for.
    """
    world, host = recovery.world, recovery.hosts[sight.host]
    one = read(Standing(host=host, machine=sight.machine))
    if one.record is None:
        raise Conflict(f"{host.name}: the domain {sight.machine.name}: {one.flaw}")
    work = Work(
        world=world,
        token=Token(operation="", number=0),  # nothing is journalled of it
        host=host,
        spec=one.record.spec,
        build=one.record.build,
        claim=_never,
    )
    with world.host_leases.hold(host, wait=PATIENCE):
        machine = work.hypervisor.machine(sight.machine.uuid)
        if machine is None:
            return
        server = world.store.server(work.spec.id)
        if server.deleted is None or not is_ours(work, machine):
            raise Conflict(f"{host.name}: {machine.name} is not what it was any more")
        clear(work)
    world.store.record(
        Event(
            actor=recovery.actor,
            action="server-reap",
            result="done",
            server=work.spec.id,
            host=host.name,
            detail={"attempt": work.build.number, "name": machine.name},
        )
    )


def _never(work: Work) -> None:
    raise AssertionError(f"nothing is to be defined for {work.build.name}")
