"""Commands run in a guest by its agent: no network, no login and no shell are needed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from vmctl.domain.agent import (
    AGENT_REFUSED,
    AGENT_SILENT,
    NO_AGENT,
    TOO_MUCH,
    end_of,
    number_of,
    to_run,
)
from vmctl.errors import Conflict, Interrupted, RemoteFailed, TimedOut, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vmctl.domain.agent import Ran
    from vmctl.ports import Clock, Hypervisor

T = TypeVar("T")

_PAUSES = (0.05, 0.1, 0.2, 0.4)
_PAUSE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A server whose agent is asked, and by whom."""

    server: str
    name: str
    hypervisor: Hypervisor
    clock: Clock
    sleep: Callable[[float], None]
    check: Callable[[], None] = lambda: None


def run_in(
    guest: Guest, words: Sequence[str], *, given: bytes = b"", timeout: float | None = None
) -> Ran:
    """Run a command in a guest to its end; TimedOut where that takes longer.

    Whoever is stopped, or waits no longer, leaves the command to run on there, and is told how to
    end it.
    """
    number = _read(guest, number_of, ask(guest, "guest-exec", to_run(words, given)))
    until = None if timeout is None else guest.clock() + timeout
    on = f"the command runs on in server {guest.name} as process {number}"
    end = f"vmctl server exec {guest.name} -- kill {number}"
    pauses = iter(_PAUSES)
    while True:
        try:
            ran = _read(guest, end_of, ask(guest, "guest-exec-status", {"pid": number}))
            if ran is not None:
                return ran
            guest.check()
        except Interrupted:
            raise Interrupted(f"interrupted: {on}", hint=end) from None
        left = None if until is None else until - guest.clock()
        if left is not None and left <= 0:
            raise TimedOut(f"no end within {timeout:g} s: {on}", hint=end)
        pause = next(pauses, _PAUSE)
        guest.sleep(pause if left is None else min(pause, left))


def _read(guest: Guest, reader: Callable[[object], T], answer: object) -> T:
    """Read what an agent said: whoever rules the guest may have it say anything."""
    try:
        return reader(answer)
    except ValueError as error:
        raise Conflict(f"server {guest.name}: its guest agent talks nonsense: {error}") from error


def ask(guest: Guest, command: str, told: Mapping[str, object]) -> object:
    """Ask the agent of a guest; what goes wrong is said of the server that is meant."""
    try:
        return guest.hypervisor.agent(guest.server, command, told)
    except RemoteFailed as error:
        raise agent_error(guest.name, error) from error


def agent_error(name: str, error: RemoteFailed) -> VmctlError:
    """Say of a server why its agent was asked in vain; the agent's own words stay as they are."""
    if error.reason == NO_AGENT:
        return Conflict(
            f"server {name} has no guest agent to ask: {error.message}", hint=error.hint
        )
    if error.reason == AGENT_SILENT:
        return TimedOut(f"server {name}: {error.message}", hint=error.hint)
    if error.reason == TOO_MUCH:
        return Conflict(
            f"server {name}: {error.message}",
            hint="what goes this way is at most some 2 MiB: have it written into a file there",
        )
    if error.reason == AGENT_REFUSED:
        return Conflict(f"server {name}: {error.message}", hint=error.hint)
    if error.reason == "refused":
        return Conflict(
            f"server {name} does not run: there is no one to ask",
            hint=f"vmctl server show {name} --refresh",
        )
    return error
