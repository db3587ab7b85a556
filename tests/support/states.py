"""What may be done to a server in each state, and what it is then: one table for every ground.

A state is what `server list` says, and for ERROR also how the server came to it.
"""

from __future__ import annotations

BY_HAND, LOST, NEVER_RAN = "ERROR by hand", "ERROR for it is gone", "ERROR for it never ran"
GONE = "gone"
STANDS = ("ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", "RESCUE", BY_HAND)
STATES = (*STANDS, LOST, NEVER_RAN)

_STAYS = {state: state for state in STATES}
_DEFINED_ANEW = ("ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", BY_HAND, LOST)

LEADS: dict[str, dict[str, str]] = {
    "start": {"SHUTOFF": "ACTIVE"},
    "stop": {"ACTIVE": "SHUTOFF", BY_HAND: "SHUTOFF"},
    "stop --force": {"ACTIVE": "SHUTOFF", BY_HAND: "SHUTOFF"},
    "reboot": {"ACTIVE": "ACTIVE"},
    "reboot --hard": dict.fromkeys(_DEFINED_ANEW, "ACTIVE"),
    "pause": {"ACTIVE": "PAUSED"},
    "unpause": {"PAUSED": "ACTIVE"},
    "suspend": {"ACTIVE": "SUSPENDED"},
    "resume": {"SUSPENDED": "ACTIVE"},
    "rescue": dict.fromkeys(("ACTIVE", "SHUTOFF", BY_HAND), "RESCUE"),
    "unrescue": {"RESCUE": "ACTIVE"},
    "rebuild": {"ACTIVE": "ACTIVE", "SHUTOFF": "SHUTOFF", BY_HAND: "ACTIVE", LOST: "ACTIVE"},
    "set --password": {"ACTIVE": "ACTIVE"},
    "set": _STAYS,
    "lock": _STAYS,
    "unlock": _STAYS,
    "delete": dict.fromkeys(STATES, GONE),
}
"""From which state each deed leads to which; from all others it is refused."""

UNLOCKED = frozenset(("lock", "unlock"))
"""What is done to a server though it is locked."""

WAYS_BACK = {"SHUTOFF": "start", "PAUSED": "unpause", "SUSPENDED": "resume", "RESCUE": "unrescue"}
"""What leads from each state to ACTIVE."""

EVENTS = {"set --password": "server-set-password"}


def status(state: str) -> str:
    """Give what the list says of a server in this state."""
    return state.split(maxsplit=1)[0]


def why_not(state: str) -> str:
    """Give the words by which a deed is refused in this state."""
    if state == NEVER_RAN:
        return "it never ran"
    if state == LOST:
        return r"while it is ERROR: it must be|it is not there"
    return f"while it is {status(state)}: it must be"


def event(deed: str) -> str:
    """Give what the events call a deed."""
    return EVENTS.get(deed, f"server-{deed.split(maxsplit=1)[0]}")


def way_to(state: str) -> str | None:
    """Give the deed that leads from ACTIVE to a state, if it takes one."""
    ways = (deed for deed, leads in LEADS.items() if leads.get("ACTIVE") == state)
    return None if state == "ACTIVE" else next(ways, None)
