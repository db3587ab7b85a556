"""What a server is just now, seen on its host: what every deed goes by, and never a belief."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.operation import Event, OperationState
from vmctl.domain.record import Power
from vmctl.domain.server_line import word_of
from vmctl.domain.server_record import made_by
from vmctl.errors import Conflict, HostUnreachable, NotFound
from vmctl.services.following import Following, may_stand
from vmctl.services.hosts import look
from vmctl.services.seeking import Eyes, Seen, seek

if TYPE_CHECKING:
    from vmctl.domain.host import Host
    from vmctl.domain.operation import Actor
    from vmctl.domain.record import Server
    from vmctl.services.following import Followed
    from vmctl.services.recovery import Recovery


def now(recovery: Recovery, server: Server) -> Server:
    """Look at a server on its host, have the record say what was seen, and give it.

    Only where it is not there are the other hosts asked, all at once: one that was moved is on its
    new host from then on, and one that is nowhere is in ERROR. One that never stood anywhere, or
    that somebody is at work on, is given as it is on record.

    Raises Conflict where it stands on two hosts, or its domain says that it is another's, and
    HostError where a host that would have to say so does not answer.
    """
    store, world = recovery.world.store, recovery.world
    server = store.server(server.id)
    if not may_stand(server) or _has_company(recovery, server):
        return server
    own = _host_of(recovery, server)
    eyes = Eyes.of(world)
    _refuse_down(own, eyes)
    wary = [recovery.hosts[name] for name in server.also if name in recovery.hosts]
    seen = seek([own, *wary], eyes, [server.id])
    if own.name in seen.failures:
        raise seen.failures[own.name]
    owner = store.uuid()
    following = Following(store, owner, recovery.hosts, seen_by(recovery.actor))
    if following.where(server, seen).gone:
        seen.add(seek(_others(recovery, own), eyes, [server.id]))
    done = following.follow([server], seen, world.clock())
    for note in done.notes:
        recovery.tell(note)
    return _trusted(store.server(server.id), seen, done, owner)


def seen_by(actor: Actor) -> Event:
    """Give the event that tells what was seen; what turned, and of whom, is filled in."""
    return Event(actor=actor, action="server-refresh", result="done")


def refuse_doubled(server: Server) -> None:
    """Raise Conflict for a server that was last seen on several hosts."""
    if not server.also:
        return
    own = [server.host] if server.host and server.power is not Power.NOSTATE else []
    places = " and on ".join([*own, *server.also])
    raise Conflict(
        f"server {server.name} stands on {places}: nothing is done to it until it stands on one"
        " only",
        hint=f"choose one, and on the other: virsh destroy {server.id}; virsh undefine {server.id}"
        f" --nvram; then: vmctl server show {server.name} --refresh",
    )


def _trusted(server: Server, seen: Seen, done: Followed, owner: str) -> Server:
    """Give a server that can be acted on by what was seen of it."""
    refuse_doubled(server)
    stranger = done.strangers.get(server.id)
    if stranger is not None:
        raise Conflict(
            f"server {server.name} is not on {server.host}, and the domain with its id on"
            f" {stranger.host} does not say that it is this server",
            hint=f"look at it, on {stranger.host}: virsh dumpxml {server.id}",
        )
    where = done.missing.get(server.id)
    if where is not None and where.unheard:
        silent = where.unheard[0]
        failure = seen.failures.get(silent)
        why = f": {failure.message}" if failure is not None else ""
        raise HostUnreachable(
            silent,
            f"server {server.name} is not on {server.host}, and may be on"
            f" {', '.join(where.unheard)}, of which nobody can say it{why}",
            hint=f"vmctl host check {silent}; if it will never come back: vmctl host retire"
            f" {silent}, and take it out of the inventory",
            reason="unheard",
        )
    for sight in seen.sights.get(server.id, ()):
        maker = made_by(sight.machine.record or "")
        if sight.host == server.host and maker is not None and maker.owner != owner:
            raise Conflict(
                f"server {server.name} is another database's: its domain on {server.host} names"
                f" {maker.owner}",
                hint=f"vmctl db rebuild --adopt-owner {maker.owner} takes that one's servers over",
            )
    return server


def _has_company(recovery: Recovery, server: Server) -> bool:
    """Whether an operation is at a server, which alone knows what it is just now."""
    unfinished = recovery.world.store.operations(unfinished=True, server=server.id)
    return any(one.state is not OperationState.OWED for one in unfinished)


def _host_of(recovery: Recovery, server: Server) -> Host:
    host: Host | None = recovery.hosts.get(server.host or "")
    if host is None:
        raise NotFound(
            f"server {server.name} stands on {server.host}, which is not in the inventory",
            hint="put the host back into the inventory; if it will never come back:"
            f" vmctl host retire {server.host}",
        )
    return host


def _others(recovery: Recovery, own: Host) -> list[Host]:
    return [host for host in recovery.hosts.values() if host.name != own.name]


def _refuse_down(host: Host, eyes: Eyes) -> None:
    """Ask a host that was down when it was last asked whether it is up, and have that on record."""
    record = eyes.store.host(host.name)
    if word_of(record).down:
        failures = look([host], eyes.prober, {host.name: record}, lambda: eyes.store, eyes.clock)
        if failures:
            raise failures[host.name]
