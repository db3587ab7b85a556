"""What was seen of servers on their hosts, and what the record makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.record import Power, ServerState

if TYPE_CHECKING:
    from vmctl.domain.machine import SeenAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at a server on its host; addresses are None where nobody asked for them."""

    server: str
    host: str
    at: float
    power: Power
    saved: bool | None = None  # whether its memory was saved on its host
    boot: str | None = None
    seen: tuple[SeenAddress, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A server whose state on record turned out to be another one."""

    server: str
    name: str
    before: ServerState
    after: ServerState


_BY_POWER = {
    Power.RUNNING: ServerState.ACTIVE,
    Power.PAUSED: ServerState.PAUSED,
    Power.SUSPENDED: ServerState.SUSPENDED,
    Power.SHUTDOWN: ServerState.STOPPED,
    Power.CRASHED: ServerState.STOPPED,
}
_FOLLOWS = frozenset(_BY_POWER.values())
"""The states that follow the power; all others are what an operation made of a server."""


def state_seen(state: ServerState, power: Power, *, saved: bool | None = None) -> ServerState:
    """Say what a server in this state is, now that its power was seen, if nobody is at it.

    A suspended server is one whose memory was saved, and its domain is off for as long; `saved` is
    None where nobody asked for that.
    """
    if state not in _FOLLOWS:
        return state
    if power is Power.SHUTDOWN and (saved or (saved is None and state is ServerState.SUSPENDED)):
        return ServerState.SUSPENDED
    return _BY_POWER.get(power, state)
