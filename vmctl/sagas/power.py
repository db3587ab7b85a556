"""What is done to the power of a server that stands: tables whose every step only wants a state.

Where one fails, or is given up, nothing is undone by force but what the server was on its way
back to: what it is then is seen on its host, and that goes on record.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.cpus import read_cpus
from vmctl.domain.record import Power
from vmctl.errors import (
    AddressTaken,
    Conflict,
    Interrupted,
    NameTaken,
    RemoteFailed,
    RemoteTimedOut,
)
from vmctl.sagas.create import ensure_filter, ensure_reservation
from vmctl.sagas.presence import is_ours
from vmctl.sagas.saga import Saga, Step

if TYPE_CHECKING:
    from vmctl.domain.machine import Machine
    from vmctl.sagas.work import Work

_PAUSE = 0.5
_AGAIN = 10.0
"""Seconds after which a power button that had no effect is pressed once more."""


def own_machine(work: Work) -> Machine:
    """Find the server's domain; Conflict where there is none, or it says that it is another's."""
    machine = work.hypervisor.machine(work.build.server)
    if machine is not None and is_ours(work, machine):
        return machine
    what = "it is not there" if machine is None else "the one there says that it is another's"
    raise Conflict(
        f"{work.host.name}: the domain of server {work.spec.name}: {what}",
        hint=f"vmctl server show {work.spec.name} --refresh",
    )


def ask(work: Work) -> None:
    """Press the power button, and give the guest its time to obey."""
    seconds = work.number("patience")
    if not seconds:
        return
    world, hypervisor = work.world, work.hypervisor
    until = world.clock() + seconds
    while own_machine(work).power is Power.RUNNING and world.clock() < until:
        work.check()
        if not work.pressed or world.clock() >= work.pressed + _AGAIN:
            work.pressed = world.clock()
            hypervisor.ask_to_shut_down(work.build.server)
        world.sleep(_PAUSE)


def ask_for_good(work: Work) -> None:
    """Do the same where it is to stay off; a guest that was asked once is not asked to forget."""
    try:
        ask(work)
    except Interrupted as error:
        if not work.pressed:
            raise
        raise Interrupted(
            f"{error.message}: the guest of {work.spec.name} was asked to shut down, and may still"
            " do so",
            hint=f"vmctl server refresh {work.spec.name} tells what it is then",
        ) from error


def off(work: Work) -> None:
    """Have it off, and what was saved of its memory forgotten."""
    own_machine(work)
    work.hypervisor.ensure_off(work.build.server)
    work.hypervisor.forget_saved(work.build.server)


def run(work: Work) -> None:
    """Have it running."""
    own_machine(work)
    if work.params.get("anew"):
        _settle_in(work)
    work.hypervisor.ensure_running(work.build.server)


def _settle_in(work: Work) -> None:
    """Have beside its domain what only a create makes: somebody may have brought it here by hand.

    Rules that are not on record cannot be made; whether it starts without is its host's to say.
    """
    for card in work.build.cards:
        if all(name in work.groups for name in card.groups):
            ensure_filter(work, card)
        try:
            ensure_reservation(work, card)
        except AddressTaken as error:
            work.tell(f"it may get another address on {card.network}: {error.message}")
    start_with_host(work)


def start_with_host(work: Work) -> None:
    """Have it start with its host if it is to, and is there: before it runs, never after.

    A domain that only runs, as a migration by hand may leave it, cannot be told so.
    """
    if not work.spec.autostart:
        return
    machine = work.hypervisor.machine(work.build.server)
    if machine is not None and machine.persistent and is_ours(work, machine):
        work.hypervisor.ensure_autostart(work.build.server, on=True)


def run_again(work: Work) -> None:
    """Have it running if it was; where its host refuses, what it is then will be seen.

    A guest that was asked to shut down is waited for: it would obey when nobody looks any more.
    """
    if work.params.get("anew"):
        start_with_host(work)
    if not work.ran:
        return
    try:
        _let_obey(work)
        run(work)
        work.pressed = 0.0
    except RemoteTimedOut:
        raise
    except (Conflict, RemoteFailed) as error:
        work.tell(f"it does not run again: {error.message}")


def _let_obey(work: Work) -> None:
    """Give a guest that was asked to shut down the time that it was to be given."""
    world, until = work.world, work.obeys_until
    if world.clock() >= until or own_machine(work).power is not Power.RUNNING:
        return
    work.tell("it was asked to shut down: it is started again as soon as it is off")
    while world.clock() < until and own_machine(work).power is Power.RUNNING:
        world.sleep(_PAUSE)


def wake(work: Work) -> None:
    """Have it running if it was, and its memory no longer being saved."""
    if not work.ran:
        return
    work.hypervisor.stop_saving(work.build.server)
    run_again(work)


def follow(work: Work) -> None:
    """Have the domain bear the server's name, which may have changed while it ran.

    Where its host will not have it so, it keeps its own: no server stays off for that.
    """
    machine = own_machine(work)
    if machine.name == work.spec.name or machine.managed_save:
        return
    try:
        work.hypervisor.ensure_named(work.build.server, work.spec.name)
    except (NameTaken, RemoteFailed) as error:
        if isinstance(error, RemoteTimedOut):
            raise
        work.tell(f"its domain is called {machine.name} still: {error.message}")


def define(work: Work) -> None:
    """Have the domain defined anew from the record; where it is gone, claimed anew."""
    if work.hypervisor.machine(work.build.server) is None:
        work.build = replace(work.build, name=work.spec.name)
        work.claim(work)
        start_with_host(work)
        return
    machine = own_machine(work)
    with work.settled(work):
        define_there(work, machine.name)


def define_there(work: Work, name: str) -> None:
    """Have the domain that stands defined by the record, under this name."""
    hypervisor = work.hypervisor
    xml = work.world.renderer.domain(
        work.spec,
        replace(work.build, name=name),
        owner=work.world.store.uuid(),
        offers=hypervisor.offers(),
        place=hypervisor.pool(work.build.pool),
        console_password=work.secrets.console_password,
        shared=work.shared_cpus,
    )
    hypervisor.ensure_defined(work.build.server, xml)


def bind_back(work: Work) -> None:
    """Have the domain that stands bound to the CPUs of its own that it has on record."""
    machine = work.hypervisor.machine(work.build.server)
    if not work.build.cpus or machine is None or not is_ours(work, machine):
        return
    if set(work.build.cpus) != (set(machine.cpus) or read_cpus(machine.pins)):
        define_there(work, machine.name)


def power_off(work: Work) -> None:
    """Have it off, if it is there at all."""
    if work.hypervisor.machine(work.build.server) is not None:
        off(work)


def rename(work: Work) -> None:
    """Have the domain bear the server's name, if it is there at all."""
    if work.hypervisor.machine(work.build.server) is not None:
        follow(work)


def pause(work: Work) -> None:
    """Have it stand still, in memory."""
    own_machine(work)
    work.hypervisor.ensure_paused(work.build.server)


def save(work: Work) -> None:
    """Have its memory on its host's disk, and it off."""
    own_machine(work)
    work.hypervisor.ensure_saved(work.build.server, work.check)


_OFF: Step[Work] = Step(name="off", do=off)
_RUN: Step[Work] = Step(name="run", do=run)
_FOLLOW: Step[Work] = Step(name="follow", do=follow)

START: Saga[Work] = Saga(name="server-start", version=1, steps=(_FOLLOW, _RUN))

STOP: Saga[Work] = Saga(
    name="server-stop", version=1, steps=(Step(name="ask", do=ask_for_good), _OFF, _FOLLOW)
)

REBOOT: Saga[Work] = Saga(
    name="server-reboot",
    version=1,
    steps=(Step(name="ask", do=ask, undo=run_again), Step(name="off", do=off), _FOLLOW, _RUN),
)

REBOOT_HARD: Saga[Work] = Saga(
    name="server-reboot-hard",
    version=2,
    steps=(
        Step(name="off", do=power_off, undo=run_again),
        Step(name="follow", do=rename),
        Step(name="define", do=define, undo=bind_back),
        _RUN,
    ),
)

PAUSE: Saga[Work] = Saga(
    name="server-pause", version=1, steps=(Step(name="pause", do=pause, undo=run_again),)
)
UNPAUSE: Saga[Work] = Saga(name="server-unpause", version=1, steps=(_RUN,))
SUSPEND: Saga[Work] = Saga(
    name="server-suspend", version=1, steps=(Step(name="save", do=save, undo=wake),)
)
RESUME: Saga[Work] = Saga(name="server-resume", version=1, steps=(_RUN,))

POWER = (START, STOP, REBOOT, REBOOT_HARD, PAUSE, UNPAUSE, SUSPEND, RESUME)
OLDER_POWER = (
    replace(
        REBOOT_HARD,
        version=1,
        steps=tuple(
            replace(one, undo=None) if one.name == "define" else one for one in REBOOT_HARD.steps
        ),
    ),
)
"""The hard reboot as it was when a server's CPUs were bound by the record alone."""
