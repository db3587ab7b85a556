"""What of an attempt is on its host, and taking it away: never anything that is another's.

Volumes and filters bear the server's id alone. Where the domain of that id is another attempt's,
they are that one's, too, and stay.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.server_record import Maker, from_xml, made_by

if TYPE_CHECKING:
    from vmctl.domain.build import Build, Volume
    from vmctl.domain.machine import Machine
    from vmctl.sagas.work import Work

PATIENCE = 150.0
"""Seconds to wait for the lease on a host: several batches may be at work there."""

SETTLING = 2.0
"""Seconds after which a call that was in flight when its client died has landed, or never will."""


def is_ours(work: Work, machine: Machine) -> bool:
    """Whether a domain with the server's uuid was made by this attempt."""
    maker = made_by(machine.record or "")
    return maker == Maker(work.world.store.uuid(), work.build.server, work.build.number)


def is_anothers(work: Work) -> bool:
    """Whether the domain that bears the server's uuid there was not made by this attempt."""
    machine = work.hypervisor.machine(work.build.server)
    return machine is not None and not is_ours(work, machine)


def stop_autostart(work: Work) -> None:
    """Have the host not start the domain by itself."""
    if not is_anothers(work):
        work.hypervisor.ensure_autostart(work.build.server, on=False)


def power_off(work: Work) -> None:
    """Have the domain off."""
    if not is_anothers(work):
        work.hypervisor.ensure_off(work.build.server)


def remove_seed(work: Work) -> None:
    """Have no seed in the pool."""
    _remove_volumes(work, {"seed"})


def remove_disks(work: Work) -> None:
    """Have none of the volumes but the seed in the pool."""
    _remove_volumes(work, {one.role for one in work.build.volumes} - {"seed"})


def remove_volumes(work: Work) -> None:
    """Have none of the volumes in the pool, nor those that only the domain's own record names.

    That may know more than a database that was put back from a backup.
    """
    machine = work.hypervisor.machine(work.build.server)
    if machine is not None and not is_ours(work, machine):
        return
    _take(work, (*work.build.held, *_told_by(machine, work.build)))


def _told_by(machine: Machine | None, build: Build) -> tuple[Volume, ...]:
    """Give the volumes of a server that its domain's record names, and its plan does not."""
    try:
        told = from_xml(machine.record or "").build if machine is not None else build
    except ValueError:
        return ()
    known = {one.name for one in build.held}
    return tuple(
        one
        for one in told.held
        if told.pool == build.pool
        and one.name not in known
        and one.name.startswith(f"{build.server}-")
    )


def _remove_volumes(work: Work, roles: set[str]) -> None:
    remove_all(work, tuple(one for one in work.build.held if one.role in roles))


def remove_all(work: Work, doomed: tuple[Volume, ...]) -> None:
    """Have none of these in the pool."""
    if doomed and not is_anothers(work):
        _take(work, doomed)


def _take(work: Work, doomed: tuple[Volume, ...]) -> None:
    for volume in reversed(doomed):
        work.hypervisor.remove_volume(work.build.pool, volume.name)


def remove_network(work: Work) -> None:
    """Have no reservation of its MACs, and none of its filters."""
    another = any(card.filter for card in work.build.cards) and is_anothers(work)
    for card in work.build.cards:
        if card.reserved:
            work.hypervisor.remove_reservation(card.source, card.mac)
        if card.filter and not another:
            work.hypervisor.remove_filter(card.filter)


def remove_domain(work: Work) -> None:
    """Have the domain not defined; only under the lease of its host."""
    if not is_anothers(work):
        work.hypervisor.ensure_undefined(work.build.server)


def undefine(work: Work) -> None:
    """Take the lease of the host and have the domain not defined: the claim is given back."""
    with work.world.host_leases.hold(work.host, wait=PATIENCE):
        remove_domain(work)


def clear(work: Work) -> None:
    """Have nothing of the attempt there; only under the lease of its host."""
    stop_autostart(work)
    power_off(work)
    remove_volumes(work)
    remove_network(work)
    remove_domain(work)


def remains(work: Work) -> tuple[str, ...]:
    """Name what of the attempt is there still, as far as it can be seen."""
    machine = work.hypervisor.machine(work.build.server)
    if machine is not None and not is_ours(work, machine):
        return ()
    held = work.build.held
    there = set(work.hypervisor.volumes(work.build.pool)) if held else set()
    left = [one.name for one in held if one.name in there]
    return (*([] if machine is None else [machine.name]), *left)
