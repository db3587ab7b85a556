"""What may be done to a server that stands: in which states, and what it is meanwhile and after."""

from __future__ import annotations

from dataclasses import dataclass

from vmctl.domain.record import Server, ServerState, shown_status
from vmctl.errors import Locked

_ACTIVE, _STOPPED = ServerState.ACTIVE, ServerState.STOPPED
_PAUSED, _SUSPENDED = ServerState.PAUSED, ServerState.SUSPENDED
_RESCUED, _ERROR = ServerState.RESCUED, ServerState.ERROR


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing to do to a server; `after` is what it is then, None where it stays what it was."""

    name: str
    verb: str  # what was not done to it: "cannot be stopped"
    states: frozenset[ServerState]
    task: str  # '' where its state says nothing of it
    after: ServerState | None = None
    answers: bool = True  # whether its host must answer before it is begun
    wary: bool = False  # whether another copy of it, elsewhere, would be harmed or left out

    @property
    def event(self) -> str:
        """What the events call it."""
        return f"server-{self.name}"


def _deed(
    name: str,
    verb: str,
    task: str,
    *states: ServerState,
    after: ServerState | None = None,
    wary: bool = False,
) -> Deed:
    return Deed(name=name, verb=verb, task=task, states=frozenset(states), after=after, wary=wary)


START = _deed("start", "started", "powering-on", _STOPPED, after=_ACTIVE, wary=True)
STOP = _deed("stop", "stopped", "powering-off", _ACTIVE, _ERROR, after=_STOPPED)
REBOOT = _deed("reboot", "rebooted", "rebooting", _ACTIVE, after=_ACTIVE)
REBOOT_HARD = _deed(
    "reboot",
    "rebooted",
    "rebooting_hard",
    *(_ACTIVE, _STOPPED, _PAUSED, _SUSPENDED, _ERROR),
    after=_ACTIVE,
    wary=True,
)
PAUSE = _deed("pause", "paused", "pausing", _ACTIVE, after=_PAUSED)
UNPAUSE = _deed("unpause", "unpaused", "unpausing", _PAUSED, after=_ACTIVE, wary=True)
SUSPEND = _deed("suspend", "suspended", "suspending", _ACTIVE, after=_SUSPENDED)
SET = _deed("set", "set", "", *(set(ServerState) - {ServerState.BUILDING, ServerState.DELETED}))
SET_PASSWORD = _deed("set-password", "given a password", "updating_password", _ACTIVE)
RESUME = _deed("resume", "resumed", "resuming", _SUSPENDED, after=_ACTIVE, wary=True)
RESCUE = _deed(
    "rescue", "rescued", "rescuing", _ACTIVE, _STOPPED, _ERROR, after=_RESCUED, wary=True
)
UNRESCUE = _deed("unrescue", "unrescued", "unrescuing", _RESCUED, after=_ACTIVE, wary=True)
REBUILD = _deed("rebuild", "rebuilt", "rebuilding", _ACTIVE, _STOPPED, _ERROR, wary=True)

STARTS_ANEW = frozenset(one.task for one in (START, REBOOT, REBOOT_HARD, RESCUE, UNRESCUE, REBUILD))
"""The tasks after which a machine that runs is another than ran before, seen by nobody yet."""

_WAYS_OUT = {
    _ACTIVE: "stop",
    _STOPPED: "start",
    _PAUSED: "unpause",
    _SUSPENDED: "resume",
    _RESCUED: "unrescue",
    _ERROR: "reboot --hard",
}
"""By state, what takes a server out of it."""


def refuse_locked(name: str, locked: str | None) -> None:
    """Raise Locked for a server that is not to be touched."""
    if locked is not None:
        why = f": {locked}" if locked else ""
        raise Locked(f"server {name} is locked{why}", hint=f"vmctl server unlock {name}")


def forbidden(deed: Deed, server: Server) -> str | None:
    """Say in one sentence why a server's state forbids a deed; None where it does not."""
    if server.deleted is not None:
        return f"server {server.name} cannot be {deed.verb}: it is deleted"
    if server.launched is None:
        return f"server {server.name} cannot be {deed.verb}: it never ran"
    if server.state in deed.states:
        return None
    allowed = sorted(shown_status(one, None) for one in deed.states)
    *rest, last = allowed
    words = f"{', '.join(rest)} or {last}" if rest else last
    status = shown_status(server.state, server.task)
    return f"server {server.name} cannot be {deed.verb} while it is {status}: it must be {words}"


def way_out(deed: Deed, server: Server) -> str | None:
    """Name the command that leads from a server's state towards one that permits the deed."""
    if server.deleted is not None:
        return None
    if server.launched is None:
        return f"vmctl server show {server.name} tells why; vmctl server delete {server.name}"
    if deed.after is server.state and deed.after not in deed.states:
        return None
    word = _WAYS_OUT.get(server.state)
    return f"vmctl server {word} {server.name}" if word else None
