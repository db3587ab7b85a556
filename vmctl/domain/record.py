"""What is on record about servers and hosts: plain values, read and written whole.

Times are seconds since the epoch, in UTC. Memory and disk are MiB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

from vmctl.domain.host_record import HostRecord

if TYPE_CHECKING:
    from vmctl.domain.machine import SeenAddress


class ServerState(StrEnum):
    """What a server is when nothing is being done to it."""

    BUILDING = "building"
    ACTIVE = "active"
    PAUSED = "paused"
    SUSPENDED = "suspended"
    STOPPED = "stopped"
    RESCUED = "rescued"
    RESIZED = "resized"
    SOFT_DELETED = "soft-delete"
    DELETED = "deleted"
    ERROR = "error"
    SHELVED = "shelved"
    SHELVED_OFFLOADED = "shelved_offloaded"


class Power(StrEnum):
    """The hypervisor's own view of a server, as last seen."""

    UNKNOWN = "unknown"
    NOSTATE = "nostate"
    RUNNING = "running"
    PAUSED = "paused"
    SHUTDOWN = "shutdown"
    CRASHED = "crashed"
    SUSPENDED = "suspended"


class AttemptState(StrEnum):
    """How far one try on a host went; all but the last hold room, addresses and MACs."""

    HELD = "held"  # admitted: nothing was started yet
    BEGUN = "begun"  # its start was begun: never to be retried elsewhere
    OWED = "owed"  # given up; what it may have left behind is not proven gone
    RELEASED = "released"  # nothing of it is left on the host


RETIRED = "its host was retired"
"""The fault of an attempt that was written off with its host: nobody saw it gone."""

UNSEEN = ""
"""Stands for that boot where nobody saw what became of a server that something was done to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """One network card of an attempt, with the addresses that are held for it."""

    network: str
    scope: str  # where an address must be unique: see address_scope
    mac: str
    addresses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The room that one attempt holds on its host, memory and disk in MiB."""

    server: str
    number: int
    host: str
    vcpus: int
    memory: int
    disk: int
    pool: str = ""  # "" is the host's default pool
    cpus: tuple[int, ...] = ()  # the host's CPUs that are the server's own
    created: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a server's next attempt asks of one host, memory and disk in MiB."""

    host: str
    vcpus: int
    memory: int
    disk: int
    pool: str = ""
    cpus: tuple[int, ...] = ()  # the host's CPUs that are to be its own
    nics: tuple[Nic, ...] = ()
    plan: Mapping[str, object] = field(default_factory=dict)  # see `build`


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to have a server on a host; its number is also in the domain's own record.

    The plan is all that undoing it needs: a `Build` in its plain form.
    """

    server: str
    number: int
    host: str
    state: AttemptState
    fault: str | None
    created: float
    updated: float
    claims: tuple[Claim, ...] = ()
    nics: tuple[Nic, ...] = ()
    plan: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server as the operators' record has it; the domain on the host is the truth."""

    id: str
    name: str
    project: str
    host: str | None
    attempt: int
    state: ServerState
    task: str | None
    power: Power
    spec: Mapping[str, object]
    fault: str | None
    created: float
    updated: float
    launched: float | None
    deleted: float | None
    nics: tuple[Nic, ...] = ()
    locked: str | None = None  # why, which may be ''; None: it is not
    protected: bool = False
    seen: tuple[SeenAddress, ...] = ()
    seen_at: float | None = None
    boot: str | None = None  # of its host when its power was last seen, or UNSEEN
    reservation: str | None = None  # what all servers of one create have in common
    also: tuple[str, ...] = ()  # other hosts that a domain with its id was seen on

    @property
    def holds_name(self) -> bool:
        """Whether nobody else may bear its name: a server that failed before it ran does not."""
        failed = self.state is ServerState.ERROR and self.launched is None
        return self.deleted is None and not failed


@dataclass(frozen=True, slots=True, kw_only=True)
class NewServer:
    """A server that is about to be admitted, every id minted and every name resolved.

    Its secrets are wiped when the operation that admits it ends.
    """

    id: str
    name: str
    project: str = ""
    spec: Mapping[str, object] = field(default_factory=dict)
    group: str | None = None  # the id of the server group that it joins
    secrets: Mapping[str, object] | None = field(default=None, repr=False)
    trace: Mapping[str, object] | None = None  # why its host was chosen
    reservation: str | None = None
    key: tuple[str, str] | None = None  # an idempotency key, and the digest of the request


Clearable = Literal["fault", "host", "locked", "boot"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What becomes of a server; None leaves a thing as it is, and no task outlives a change.

    What is to be nothing afterwards is named in `clear`; `launched` and `deleted` set a time that
    was not set before.
    """

    name: str | None = None
    domain: str | None = None  # what its domain is called: kept in its attempt's plan
    state: ServerState | None = None
    task: str | None = None
    power: Power | None = None
    host: str | None = None
    fault: str | None = None
    spec: Mapping[str, object] | None = None
    locked: str | None = None
    protected: bool | None = None
    seen: tuple[SeenAddress, ...] | None = None
    boot: str | None = None
    launched: bool = False
    deleted: bool = False
    clear: tuple[Clearable, ...] = ()


Judge = Callable[[HostRecord, tuple[Claim, ...]], str | None]
"""Says why a host cannot take what is wanted, given its record and all its live claims."""

Company = Callable[[Mapping[str, int]], str | None]
"""Says why a server cannot join its group, given how many other members hold room on which host."""


def address_scope(network: str, host: str | None = None) -> str:
    """Say where an address must be unique: on the whole network, or on one host's own NAT."""
    return network if host is None else f"{network}@{host}"


_REBUILD = dict.fromkeys(
    ("rebuilding", "rebuild_block_device_mapping", "rebuild_spawning"), "REBUILD"
)
_RESIZE = dict.fromkeys(
    ("resize_prep", "resize_migrating", "resize_migrated", "resize_finish"), "RESIZE"
)
_REBOOT = dict.fromkeys(("rebooting", "reboot_pending", "reboot_started"), "REBOOT")
_HARD_REBOOT = dict.fromkeys(
    ("rebooting_hard", "reboot_pending_hard", "reboot_started_hard"), "HARD_REBOOT"
)
_RESCUE = {"rescuing": "RESCUE"}
_BY_TASK = {
    ServerState.ACTIVE: {
        **_RESCUE,
        **_REBOOT,
        **_HARD_REBOOT,
        **_REBUILD,
        **_RESIZE,
        "updating_password": "PASSWORD",
        "migrating": "MIGRATING",
    },
    ServerState.STOPPED: {**_REBUILD, **_RESCUE, **_RESIZE},
    ServerState.RESIZED: {"resize_reverting": "REVERT_RESIZE"},
    ServerState.ERROR: {**_REBUILD, **_RESCUE},
}
_IDLE = {
    ServerState.BUILDING: "BUILD",
    ServerState.STOPPED: "SHUTOFF",
    ServerState.RESIZED: "VERIFY_RESIZE",
    ServerState.RESCUED: "RESCUE",
    ServerState.SOFT_DELETED: "SOFT_DELETED",
}


def shown_status(state: ServerState, task: str | None) -> str:
    """Say the one word that operators know a server's state and task by."""
    by_task = _BY_TASK.get(state, {}).get(task or "")
    return by_task or _IDLE.get(state) or state.value.upper()
