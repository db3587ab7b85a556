"""What a server is just now, seen on its host: what every deed goes by, and never a belief."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.domain.observation import state_seen
from vmctl.domain.operation import Event, OperationState
from vmctl.domain.record import Power
from vmctl.domain.server_line import word_of
from vmctl.domain.server_record import is_rescued, made_by
from vmctl.errors import Conflict, HostUnreachable, NotFound
from vmctl.services.following import Following, may_stand
from vmctl.services.hosts import look
from vmctl.services.renaming import follow_names
from vmctl.services.seeking import Eyes, Seen, Survey, seek

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vmctl.domain.host import Host
    from vmctl.domain.operation import Actor
    from vmctl.domain.record import Server
    from vmctl.domain.sight import Sight
    from vmctl.services.following import Followed
    from vmctl.services.recovery import Recovery


def now(
    recovery: Recovery, server: Server, *, wary: Callable[[Server], bool] = lambda _: False
) -> Server:
    """Look at a server on its host, have the record say what was seen, and give it.

    The other hosts are asked, all at once, where it is not there or not as it is on record: one
    that was moved is on its new host from then on, and one that is nowhere is in ERROR. `wary`
    says of the server, as its host shows it, that they are asked in any case. One that never stood
    anywhere, or that somebody is at work on, is given as it is on record.

    Raises Conflict where it stands on two hosts, or its domain says that it is another's, and
    HostError where a host that would have to say so does not answer.
    """
    store, world = recovery.world.store, recovery.world
    server = store.server(server.id)
    if not may_stand(server) or _has_company(recovery, server):
        return server
    eyes = Eyes.of(world)
    if server.host not in recovery.hosts:
        # Whoever does something to another server of that host may be the one who follows it.
        follow_host(recovery, server.host)
        server = store.server(server.id)
    own = _host_of(recovery, server)
    _refuse_down(own, eyes)
    also = [recovery.hosts[name] for name in server.also if name in recovery.hosts]
    seen = seek([own, *also], eyes, [server.id])
    if own.name in seen.failures:
        raise seen.failures[own.name]
    where = _following(recovery).where(server, seen)
    if where.own is None:
        seen = _with_others(recovery, server, seen, patiently=True)
    elif not where.others and _needs_others(server, where.own, wary):
        seen = _with_others(recovery, server, seen)
    done = _follow(recovery, server, seen)
    return _trusted(store.server(server.id), seen, done, store.uuid())


def elsewhere(recovery: Recovery, server: Server) -> Server:
    """Look for a server on all hosts but its own, which says nothing of it, and give it.

    Raises Conflict where another has it.
    """
    if may_stand(server) and not _has_company(recovery, server):
        _follow(recovery, server, _with_others(recovery, server, Seen()))
    found = recovery.world.store.server(server.id)
    refuse_doubled(found)
    return found


def together(recovery: Recovery, servers: Sequence[Server]) -> Recovery:
    """Have these servers share the look at other hosts."""
    survey = Survey(recovery.hosts, Eyes.of(recovery.world), servers)
    return replace(recovery, survey=survey)


def follow_host(recovery: Recovery, host: str | None) -> bool:
    """Whether a host that is not in the inventory was found there by another name."""
    if host is None or host in recovery.hosts:
        return False
    eyes, event = Eyes.of(recovery.world), seen_by(recovery.actor)
    renamed = follow_names(eyes, recovery.hosts, [host], event)
    for one in renamed:
        recovery.tell(one.words)
    return bool(renamed)


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


def _needs_others(server: Server, sight: Sight, wary: Callable[[Server], bool]) -> bool:
    """Whether what its own host shows of a server is not enough to go by."""
    machine = sight.machine
    rescued = is_rescued(machine.record or "")
    state = state_seen(server.state, machine.power, saved=machine.managed_save, rescued=rescued)
    if (state, machine.power) != (server.state, server.power):
        # It may be off here because it runs elsewhere.
        return True
    return wary(server)


def _with_others(
    recovery: Recovery, server: Server, seen: Seen, *, patiently: bool = False
) -> Seen:
    """Give what was seen of a server together with what the other hosts say."""
    survey = recovery.survey or Survey(recovery.hosts, Eyes.of(recovery.world), [server])
    told = survey.look(patiently=patiently)
    told.add(seen)
    return told


def _follow(recovery: Recovery, server: Server, seen: Seen) -> Followed:
    done = _following(recovery).follow([server], seen, recovery.world.clock())
    for note in (*(turn.words for turn in done.turns if turn.what == "disk"), *done.notes):
        recovery.tell(note)
    return done


def _following(recovery: Recovery) -> Following:
    store = recovery.world.store
    return Following(store, store.uuid(), recovery.hosts, seen_by(recovery.actor))


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
        raise lost(server, server.host)
    return host


def lost(server: Server, host: str | None, *, instead: str = "") -> NotFound:
    """Return the error for a server whose host is not in the inventory."""
    return NotFound(
        f"server {server.name} stands on {host}, which is not in the inventory",
        hint="put the host back into the inventory; if it is there by another name: vmctl host list"
        f" --refresh; if it will never come back: vmctl host retire {host}{instead}",
    )


def _refuse_down(host: Host, eyes: Eyes) -> None:
    """Ask a host that was down when it was last asked whether it is up, and have that on record."""
    record = eyes.store.host(host.name)
    if word_of(record).down:
        failures = look([host], eyes.prober, {host.name: record}, lambda: eyes.store, eyes.clock)
        if failures:
            raise failures[host.name]
