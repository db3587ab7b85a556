"""Waiting for servers that are on record already, several side by side, each to its own end."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.domain.build import Build
from vmctl.domain.observation import Observation
from vmctl.domain.plain import from_plain
from vmctl.domain.record import Power, ServerState
from vmctl.domain.server_line import STANDS, line_of, status_of, word_of
from vmctl.errors import Conflict, HostError, Interrupted, NotFound, TimedOut
from vmctl.services import observing
from vmctl.services.seeking import Eyes
from vmctl.services.waiting import Waiting, look_for

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.machine import SeenAddress
    from vmctl.domain.operation import Event
    from vmctl.domain.record import Server
    from vmctl.errors import VmctlError
    from vmctl.ports import Neighbours
    from vmctl.sagas.work import World

_PAUSE = 1.0
DELETED = "deleted"
_AWAKE = (ServerState.ACTIVE, ServerState.RESCUED, ServerState.RESIZED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """What is waited for: a status, that it is deleted, or what the guest has to do for it."""

    word: str  # as it was said
    status: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What waiting needs of the outside."""

    world: World
    neighbours: Neighbours
    hosts: Mapping[str, Host]
    event: Event  # what is told of that turned meanwhile
    check: Callable[[], None] = lambda: None
    tell: Callable[[str, str | None, str], None] = lambda _server, _host, _words: None


class Vigil:
    """The wait for some servers; their hosts are asked once for all of them, not for each."""

    def __init__(self, watch: Watch, servers: Collection[str], goal: Goal, seconds: float) -> None:
        self._watch = watch
        self._goal = goal
        self._seconds = seconds
        self._until = watch.world.clock() + seconds
        self._looks = _Looks(watch, frozenset(servers))

    def wait(self, server: Server) -> None:
        """Wait for one server; TimedOut where that is in vain, Conflict where it always will be."""
        world, what = self._watch.world, self._goal.word
        told = ""
        while True:
            reached, host, last = self._look(server)
            words = f"is {what}" if reached and self._goal.status else f"{what} is there"
            if (now := words if reached else last) != told:
                self._watch.tell(server.name, host, now)
                told = now
            if reached:
                return
            try:
                self._watch.check()
            except Interrupted:
                raise Interrupted(
                    f"server {server.name}: nobody waits for {what} any more: {last}"
                ) from None
            left = self._until - world.clock()
            if left <= 0:
                raise TimedOut(
                    f"server {server.name}: no {what} within {self._seconds:g} s: {last}",
                    hint=f"vmctl server show {server.name} --refresh",
                )
            world.sleep(min(_PAUSE, left))

    def _look(self, known: Server) -> tuple[bool, str | None, str]:
        """Look once: whether it is so far, where it is, and how it is."""
        store = self._watch.world.store
        goal = self._goal
        try:
            server = store.server(known.id)
        except NotFound:
            if goal.word == DELETED:
                return True, None, ""
            raise
        if goal.word == DELETED:
            return server.deleted is not None, server.host, f"it is {self._status(server)}"
        if server.deleted is not None:
            raise Conflict(f"server {server.name} is deleted: it will never be there")
        failure: VmctlError | None = None
        if server.state.value in STANDS and server.host in self._watch.hosts:
            failure = self._looks.look(str(server.host))
            server = store.server(known.id)
        status = self._status(server)
        if status == "ERROR" and goal.status != "ERROR":
            raise Conflict(
                f"server {server.name} is in ERROR: {server.fault}",
                hint=f"vmctl server event list {server.name}",
            )
        last = f"it is {status}" if failure is None else failure.message
        if server.power is Power.NOSTATE:
            return False, server.host, f"its domain is gone from {server.host}"
        if goal.status is not None:
            return status == goal.status and server.task is None, server.host, last
        host = self._watch.hosts.get(server.host or "")
        reached = False
        if failure is None and server.state in _AWAKE and host is not None:
            reached, last = self._guest(server, host)
        return reached, server.host, last

    def _guest(self, server: Server, host: Host) -> tuple[bool, str]:
        """Look once how far the guest is, and keep what was seen of it."""
        world = self._watch.world
        waiting = Waiting(
            world=world,
            neighbours=self._watch.neighbours,
            host=host,
            build=_build(world, server),
        )
        try:
            seen, last = look_for(waiting, self._goal.word)
        except HostError as error:
            return False, error.message
        if seen is None:
            return False, last
        self._keep(server, host, seen)
        return True, last

    def _keep(self, server: Server, host: Host, seen: tuple[SeenAddress, ...]) -> None:
        world = self._watch.world
        one = Observation(
            server=server.id,
            host=host.name,
            at=world.clock(),
            power=Power.RUNNING,
            boot=world.store.host(host.name).boot,
            seen=seen,
        )
        world.store.observe([one])

    def _status(self, server: Server) -> str:
        host = server.host
        if host is None:
            return status_of(line_of(server), {})
        word = word_of(self._watch.world.store.host(host), known=host in self._watch.hosts)
        return status_of(line_of(server), {host: word})


class _Looks:
    """Looks at hosts for everybody who waits: each at most once in so many seconds."""

    def __init__(self, watch: Watch, servers: frozenset[str]) -> None:
        self._watch = watch
        self._servers = servers
        self._lock = threading.Lock()
        self._hosts: dict[str, threading.Lock] = {}
        self._last: dict[str, tuple[float, VmctlError | None]] = {}

    def look(self, host: str) -> VmctlError | None:
        """Have a look at a host that is not older than a pause, and give what went wrong."""
        world = self._watch.world
        asked = world.clock()
        with self._lock:
            turn = self._hosts.setdefault(host, threading.Lock())
        with turn:
            at, failure = self._last.get(host, (asked - 2 * _PAUSE, None))
            if asked - at < _PAUSE / 2:
                return failure
            at = world.clock()
            eyes = Eyes.of(world)
            lines = [line_of(one) for one in world.store.servers() if one.id in self._servers]
            there = [line for line in lines if line.host == host]
            looking = observing.Watch(hosts=self._watch.hosts, eyes=eyes, event=self._watch.event)
            seen = looking.observe(there)
            failure = seen.failures.get(host)
            self._last[host] = at, failure
            return failure


def _build(world: World, server: Server) -> Build:
    """Give the plan of the attempt that the server stands by."""
    for attempt in world.store.attempts(server.id):
        if attempt.number == server.attempt and attempt.plan:
            return from_plain(Build, attempt.plan)
    raise NotFound(f"server {server.name} was never made on a host")
