"""The record made anew from the hosts: what stands there brought back, what conflicts told."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from enum import StrEnum
from ipaddress import ip_address
from typing import TYPE_CHECKING

from vmctl.domain.operation import Event
from vmctl.domain.record import ServerState
from vmctl.domain.server_record import Maker, made_by, to_xml
from vmctl.errors import Conflict, HostError, NotFound, VmctlError
from vmctl.services.fanout import Failed, fanout
from vmctl.services.standing import missing_words, standing_on, to_import

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from vmctl.domain.host import Host
    from vmctl.domain.kept import FoundServer
    from vmctl.domain.operation import Actor
    from vmctl.domain.server_record import ServerRecord
    from vmctl.sagas.work import World
    from vmctl.services.standing import Standing

AT_ONCE = 32


class Fate(StrEnum):
    """What became of a server that stands on a host."""

    BACK = "brought back"
    THERE = "on record"
    ANOTHERS = "another's"
    CONFLICT = "conflict"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One domain with a record: what became of it, and why."""

    standing: Standing
    fate: Fate
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What came of it: every domain with a record, hosts that failed, and whose record this is.

    `assumed` is the uuid that the database goes by from now on, where it took one over.
    """

    told: tuple[Told, ...]
    failures: Mapping[str, VmctlError]
    owner: str
    assumed: bool = False

    @property
    def whole(self) -> bool:
        """Whether all hosts answered, and nothing is left to be settled."""
        bad = (Fate.CONFLICT, Fate.UNREADABLE)
        return not self.failures and not any(one.fate in bad for one in self.told)


def rebuild(
    hosts: Sequence[Host],
    world: World,
    *,
    actor: Actor,
    adopt: Sequence[str] = (),
    dry_run: bool = False,
) -> Rebuilt:
    """Bring the servers that stand on these hosts back on record, those of this database.

    A database without a server becomes the one that the domains name, if all name the same. The
    servers of others are only brought over on request, and their domains then name this one.
    """
    standing, failures = standing_on(hosts, world)
    owners = Counter(one.record.owner for one in standing if one.record)
    known = {one.id for one in world.store.servers(deleted=True)}
    before = world.store.uuid()
    owner = before if known else _heir(before, owners, adopt, dry_run=dry_run)
    if owner != before and not dry_run:
        world.store.assume(owner)
        detail = {"owner": owner, "before": before}
        world.store.record(Event(actor=actor, action="db-rebuild", result="done", detail=detail))
    run = _Run(world, actor, owner, frozenset((owner, *adopt)), dry_run=dry_run)
    run.settle(standing, known)
    return Rebuilt(
        told=tuple(run.told.values()),
        failures=failures,
        owner=owner,
        assumed=owner != before,
    )


def _heir(before: str, owners: Mapping[str, int], adopt: Sequence[str], *, dry_run: bool) -> str:
    """Choose whose place a database without servers takes: one's that all name, or that is said."""
    if before in owners or not owners:
        return before
    if adopt:
        if adopt[0] not in owners:
            raise NotFound(
                f"no server on these hosts names the database {adopt[0]} as its owner",
                hint="vmctl db rebuild --dry-run --long tells whom they name",
            )
        return adopt[0]
    if len(owners) == 1:
        return next(iter(owners))
    if dry_run:
        return before
    several = ", ".join(f"{owner} ({count})" for owner, count in sorted(owners.items()))
    raise Conflict(
        f"the servers on these hosts name {len(owners)} databases as their owners: {several}",
        hint="say which one was yours: vmctl db rebuild --adopt-owner UUID",
    )


@dataclass(slots=True)
class _Run:
    world: World
    actor: Actor
    owner: str
    ours: frozenset[str]  # the owners whose servers are brought back
    dry_run: bool = field(kw_only=True)
    told: dict[int, Told] = field(default_factory=dict)

    def settle(self, standing: Iterable[Standing], known: Collection[str]) -> None:
        """Decide on each, and write what is decided."""
        twice = _everywhere(standing)
        mine: list[tuple[Standing, ServerRecord]] = []
        for one in standing:
            record, uuid = one.record, one.machine.uuid
            if record is None:
                self._tell(one, Fate.UNREADABLE, one.flaw)
            elif record.owner not in self.ours:
                fate = Fate.CONFLICT if uuid in known else Fate.ANOTHERS
                self._tell(one, fate, f"its domain names the database {record.owner}")
            elif uuid in twice and uuid not in known:
                self._tell(one, Fate.CONFLICT, f"it stands on {' and on '.join(twice[uuid])}")
            else:
                mine.append((one, record))
        found = {id(one): to_import(one, record) for one, record in mine}
        new = [found[id(one)] for one, _ in mine if one.machine.uuid not in known]
        clashes = _clashes(new)
        taken: list[tuple[Standing, ServerRecord]] = []
        for one, record in mine:
            clash = clashes.get(one.machine.uuid)
            if clash:
                self._tell(one, Fate.CONFLICT, "; ".join(clash))
            elif self._bring(one, record, found[id(one)]) and record.owner != self.owner:
                taken.append((one, record))
        if not self.dry_run:
            self._take_over(taken)

    def _bring(self, one: Standing, record: ServerRecord, found: FoundServer) -> bool:
        """Have one on record, and say whether it is; what is in the way is told."""
        store = self.world.store
        event = Event(
            actor=self.actor,
            action="db-rebuild",
            result="done",
            server=found.server.id,
            host=one.host.name,
            detail={"attempt": found.number, "owner": record.owner},
        )
        try:
            if self.dry_run:
                new = not store.is_on_record(found)
            else:
                new = store.import_server(found, event=event)
        except Conflict as error:
            self._tell(one, Fate.CONFLICT, error.message.partition(": ")[2] or error.message)
            return False
        self._tell(one, Fate.BACK if new else Fate.THERE, missing_words(one))
        return True

    def _take_over(self, taken: Iterable[tuple[Standing, ServerRecord]]) -> None:
        """Have domains name this database as their owner, each host's under its lease."""
        by_host: dict[str, list[tuple[Standing, ServerRecord]]] = defaultdict(list)
        for one, record in taken:
            by_host[one.host.name].append((one, record))
        jobs = [_Job(name, each) for name, each in by_host.items()]
        for name, outcome in fanout(self._write, jobs, AT_ONCE).items():
            if not isinstance(outcome, Failed):
                continue
            if not isinstance(outcome.error, VmctlError):
                raise outcome.error
            # Which of them were written does not matter: the next run goes through all again.
            for one, record in by_host[name]:
                why = f"its domain may name {record.owner} still: {outcome.error.message}"
                self._tell(one, Fate.CONFLICT, why)

    def _write(self, job: _Job) -> None:
        host = job.of[0][0].host
        hypervisor = self.world.hypervisors.on(host)
        with self.world.host_leases.hold(host) as lease:
            for one, record in job.of:
                machine = hypervisor.machine(one.machine.uuid)
                maker = Maker(record.owner, record.spec.id, record.build.number)
                if machine is None or made_by(machine.record or "") != maker:
                    raise HostError(host.name, f"{one.machine.name} is not what it was any more")
                lease.check()
                anew = to_xml(replace(record, owner=self.owner))
                hypervisor.ensure_record(one.machine.uuid, anew)

    def _tell(self, one: Standing, fate: Fate, reason: str | None) -> None:
        self.told[id(one)] = Told(standing=one, fate=fate, reason=reason)


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    of: list[tuple[Standing, ServerRecord]]


def _everywhere(standing: Iterable[Standing]) -> dict[str, list[str]]:
    """Find the servers that stand on several hosts, and say where."""
    places: dict[str, list[str]] = defaultdict(list)
    for one in standing:
        places[one.machine.uuid].append(one.where)
    return {uuid: where for uuid, where in places.items() if len(where) > 1}


def _clashes(found: Iterable[FoundServer]) -> dict[str, list[str]]:
    """Say by server what it has in common with another, and only one can have."""
    holders: dict[str, list[FoundServer]] = defaultdict(list)
    for one in found:
        if one.state is not ServerState.ERROR:
            holders[f"its name {one.server.name}"].append(one)
        for nic in one.wanted.nics:
            holders[f"the MAC {nic.mac.lower()}"].append(one)
            for address in nic.addresses:
                holders[f"the address {ip_address(address)} on {nic.scope}"].append(one)
    clashes: dict[str, list[str]] = defaultdict(list)
    for what, several in holders.items():
        if len({one.server.id for one in several}) == 1:
            continue
        for one in several:
            others = [
                f"{each.server.name} ({each.server.id}) on {each.wanted.host}"
                for each in several
                if each is not one
            ]
            clashes[one.server.id].append(f"{what} is that of {', '.join(others)}, too")
    return clashes
