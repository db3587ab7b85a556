"""What was seen of servers on their hosts, and what the record makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from vmctl.domain.record import Power, ServerState, shown_status

if TYPE_CHECKING:
    from vmctl.domain.machine import SeenAddress


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at a server on its host; None is what nobody asked for.

    Without a power its host did not say anything, and only what others said is told.
    """

    server: str
    host: str
    at: float
    power: Power | None = None
    saved: bool | None = None  # whether its memory was saved on its host
    rescued: bool | None = None  # whether another system boots in its place
    boot: str | None = None
    seen: tuple[SeenAddress, ...] | None = None
    also: tuple[str, ...] | None = None  # other hosts that it stands on
    lost: str | None = None  # how it is known that it stands nowhere any more


Aspect = Literal["state", "host", "host name", "name", "also on", "disk"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """Something of a server that turned out to be another than was on record."""

    server: str
    name: str
    before: str
    after: str
    what: Aspect = "state"
    host: str | None = None  # where it was seen
    why: str | None = None

    @property
    def detail(self) -> dict[str, object]:
        """What an event tells of it."""
        why = {} if self.why is None else {"fault": self.why}
        return {"what": self.what, "before": self.before, "after": self.after, **why}

    @property
    def words(self) -> str:
        """Say it in a line."""
        on = f"{self.name} on {self.host}"
        match self.what:
            case "state":
                before, after = (
                    shown_status(ServerState(one), None) for one in (self.before, self.after)
                )
                why = f": {self.why}" if self.why else ""
                return f"{on}: {before} -> {after}{why}"
            case "host":
                return f"{self.name}: it was moved, {self.before} -> {self.after}"
            case "host name":
                return f"{self.name}: its host {self.before} is called {self.after} now"
            case "name":
                return f"{on}: it was renamed, {self.before} -> {self.after}"
            case "disk":
                return f"{on}: it boots another disk than on record, {self.before} -> {self.after}"
            case "also on":
                return f"{on}: it stands also on {self.after} (before: {self.before})"


_BY_POWER = {
    Power.RUNNING: ServerState.ACTIVE,
    Power.PAUSED: ServerState.PAUSED,
    Power.SUSPENDED: ServerState.SUSPENDED,
    Power.SHUTDOWN: ServerState.STOPPED,
    Power.CRASHED: ServerState.STOPPED,
}
_FOLLOWS = frozenset(_BY_POWER.values())
"""The states that follow the power; all others are what an operation made of a server."""


def state_seen(
    state: ServerState,
    power: Power,
    *,
    saved: bool | None = None,
    rescued: bool | None = None,
) -> ServerState:
    """Say what a server in this state is, now that its power was seen, if nobody is at it.

    A suspended server is one whose memory was saved, and its domain is off for as long; of a
    rescued one the domain says so. None is what nobody asked for.
    """
    if state is ServerState.RESCUED and rescued is False:
        return _BY_POWER.get(power, state)
    if state not in _FOLLOWS:
        return state
    if rescued:
        return ServerState.RESCUED
    if power is Power.SHUTDOWN and (saved or (saved is None and state is ServerState.SUSPENDED)):
        return ServerState.SUSPENDED
    return _BY_POWER.get(power, state)
