"""What the record keeps beside servers and operations: placements, keys, debts, finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.machine import SeenAddress
    from vmctl.domain.record import Attempt, NewServer, Power, Server, ServerState, Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementTrace:
    """Why a server stands where it does, as it was decided then."""

    server: str
    trace: Mapping[str, object]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyUse:
    """What an idempotency key was used for: a request, by its digest, and the servers it made."""

    key: str
    request: str
    at: float
    servers: tuple[Server, ...]

    @property
    def spent(self) -> bool:
        """Whether the key is not to be used again: some server that it made has not failed."""
        return any(server.holds_name for server in self.servers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """An attempt that may have left something on its host, and who may pay for it.

    The operations are those of its server that are owed, the oldest first. There is none while
    another one is at work on the attempt or stuck with it.
    """

    attempt: Attempt
    operations: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundServer:
    """A server as its domain on a host says it is, to be brought back on record."""

    server: NewServer
    wanted: Wanted
    number: int  # of its attempt
    state: ServerState
    power: Power
    created: float | None = None  # None: nobody knows
    fault: str | None = None  # what is wrong with it, where its state is ERROR
    boot: str | None = None
    seen: tuple[SeenAddress, ...] = ()
