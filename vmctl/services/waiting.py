"""Waiting until a server is as far as someone wants it: has an address, lets ssh in, is set up."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.record import Power
from vmctl.errors import HostError, Interrupted, TimedOut

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.domain.build import Build
    from vmctl.domain.host import Host
    from vmctl.domain.machine import SeenAddress
    from vmctl.ports import Neighbours
    from vmctl.sagas.work import World

_PAUSE = 1.0
_LOG_END = 64 * 1024
_SET_UP = re.compile(
    rb"cloud-init v\..{0,200}finished at|cloud-init:? .{0,40}status: done", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """What servers are waited for, and how long."""

    neighbours: Neighbours
    what: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One server to be waited for, on its host, until a moment."""

    world: World
    neighbours: Neighbours
    host: Host
    build: Build
    check: Callable[[], None] = lambda: None
    tell: Callable[[str], None] = lambda _: None


def wait_for(waiting: Waiting, what: str, seconds: float) -> tuple[SeenAddress, ...]:
    """Wait until the server is so far, and give the addresses that it was seen to have.

    Raises TimedOut, which says what was tried and what was seen last.
    """
    if what == "active":
        return ()
    clock, until = waiting.world.clock, waiting.world.clock() + seconds
    waiting.tell(f"waiting for {what}")
    last = "nothing was seen of it"
    while True:
        try:
            waiting.check()
        except Interrupted:
            raise Interrupted(
                f"server {waiting.build.name} on {waiting.host.name}: nobody waits for {what} any"
                f" more: {last}",
                hint="it runs and is kept",
            ) from None
        try:
            found, last = look_for(waiting, what)
        except HostError as error:
            found, last = None, error.message
        if found is not None:
            return found
        if clock() >= until:
            raise TimedOut(
                f"server {waiting.build.name} on {waiting.host.name}: no {what} within"
                f" {seconds:g} s: {last}",
                hint=f"it runs and is kept; vmctl console log show {waiting.build.name} tells how"
                " far it came",
            )
        waiting.world.sleep(min(_PAUSE, max(until - clock(), 0)))


def look_for(waiting: Waiting, what: str) -> tuple[tuple[SeenAddress, ...] | None, str]:
    """Look once whether the server is so far: its addresses if it is, else None and what lacks."""
    seen = _addresses(waiting)
    reached, last = _reached(waiting, what, seen)
    return (seen if reached else None), last


def _addresses(waiting: Waiting) -> tuple[SeenAddress, ...]:
    hypervisor = waiting.world.hypervisors.on(waiting.host)
    seen = hypervisor.seen_addresses(waiting.build.server)
    if seen:
        return seen
    for card in waiting.build.cards:
        if card.wire is not None and card.addresses:
            # A host that has no business with the guest has not heard of it: asking makes it.
            waiting.neighbours.who_answers(waiting.host, card.wire, card.addresses)
    return hypervisor.seen_addresses(waiting.build.server)


def _reached(waiting: Waiting, what: str, seen: tuple[SeenAddress, ...]) -> tuple[bool, str]:
    machine = waiting.world.hypervisors.on(waiting.host).machine(waiting.build.server)
    if machine is None or machine.power is not Power.RUNNING:
        state = "gone" if machine is None else machine.power.value
        return False, f"the machine is {state}"
    if what == "cloud-init":
        log = waiting.build.volume("log")
        if log is None:
            return False, "it has no console log"
        hypervisor = waiting.world.hypervisors.on(waiting.host)
        found = hypervisor.volume(waiting.build.pool, log.name)
        size = found.size if found else 0
        end = hypervisor.read_volume(waiting.build.pool, log.name, offset=max(size - _LOG_END, 0))
        done = _SET_UP.search(end) is not None
        return done, "its console log has no end of cloud-init"
    if not seen:
        tried = "no DHCP lease, no word of a guest agent, no neighbour with its MAC"
        return False, tried
    if what == "ip":
        return True, ""
    bridged = {card.mac for card in waiting.build.cards if card.spans}
    for one in seen:
        if not one.address.startswith("fe80:") and waiting.neighbours.ssh_answers(
            waiting.host, one.address, bridged=one.mac in bridged
        ):
            return True, ""
    addresses = ", ".join(dict.fromkeys(one.address for one in seen))
    return False, f"it has {addresses}, and no ssh answers there"
