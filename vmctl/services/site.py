"""Where servers are made, what becomes of each, and those that are kept without ever being made."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.operation import Event
from vmctl.domain.plain import to_plain
from vmctl.domain.record import NewServer
from vmctl.sagas import CREATE

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from vmctl.domain.inventory import Inventory
    from vmctl.domain.operation import Actor
    from vmctl.domain.spec import ServerSpec
    from vmctl.errors import VmctlError
    from vmctl.sagas.saga import Saga
    from vmctl.sagas.work import Work, World
    from vmctl.services.claiming import Claims
    from vmctl.services.waiting import Patience


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What became of one server of an order."""

    spec: ServerSpec
    host: str | None = None
    fault: Exception | None = None
    up: bool = False  # it runs, whether or not it was waited for in vain
    kept: bool = False  # what was made of it before it failed is still there
    unenforced: tuple[str, ...] = ()  # networks on which its host filters nothing


class Slots:
    """So many servers at a time on each host, whatever threads there are."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._lock = threading.Lock()
        self._hosts: dict[str, threading.BoundedSemaphore] = {}

    def at(self, host: str) -> threading.BoundedSemaphore:
        """Give the slots of a host, to be in one of them for a block."""
        with self._lock:
            return self._hosts.setdefault(host, threading.BoundedSemaphore(self._each))


PER_HOST = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where servers are made: the ports, the inventory, who asks, and how it is told."""

    world: World
    inventory: Inventory
    claims: Claims
    actor: Actor
    owner: str
    max_attempts: int
    saga: Saga[Work] = CREATE
    keep: bool = False
    key: tuple[str, str] | None = None
    reason: str | None = None
    patience: Patience | None = None
    slots: Slots = field(default_factory=lambda: Slots(PER_HOST))
    check: Callable[[], None] = lambda: None
    tell: Callable[[str, str | None, str], None] = lambda _server, _host, _step: None
    note: Callable[[str], None] = lambda _words: None
    """Told what must not go by unseen, as steps may."""

    again: Callable[[ServerSpec, Collection[str]], Sequence[str]] = lambda _spec, _tried: ()
    """Places a server once more, elsewhere than on the hosts that were tried in vain."""


def record_failed(
    site: Site, spec: ServerSpec, fault: VmctlError, trace: Mapping[str, object] | None
) -> None:
    """Put a server on record that found no host: in ERROR, with its fault."""
    site.world.store.admit_failed(
        NewServer(
            id=spec.id,
            name=spec.name,
            project=spec.project,
            spec=to_plain(spec),
            trace=trace,
            reservation=spec.reservation,
            key=site.key,
        ),
        fault.message,
        event=Event(
            actor=site.actor,
            action="server-create",
            result="failed",
            server=spec.id,
            detail={"fault": fault.message},
        ),
    )
