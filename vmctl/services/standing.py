"""The servers that stand on the hosts, as their own records there say."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING

from vmctl.domain.kept import FoundServer
from vmctl.domain.names import name_problem
from vmctl.domain.observation import state_seen
from vmctl.domain.plain import to_plain
from vmctl.domain.record import NewServer, Power, ServerState, address_scope
from vmctl.domain.server_record import from_xml
from vmctl.errors import RemoteFailed, RemoteTimedOut, VmctlError
from vmctl.services.fanout import Ok, fanout
from vmctl.services.hosts import AT_ONCE, look
from vmctl.services.pinning import as_pinned
from vmctl.services.planning import wanted_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from vmctl.domain.build import Build
    from vmctl.domain.host import Host
    from vmctl.domain.machine import Machine, SeenAddress
    from vmctl.domain.server_record import ServerRecord
    from vmctl.ports import Hypervisor
    from vmctl.sagas.work import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A domain that has a record of ours, on the host where it was found."""

    host: Host
    machine: Machine
    boot: str | None = None  # of its host, when it was found
    record: ServerRecord | None = None
    flaw: str | None = None  # why there is none to go by
    missing: tuple[str, ...] = ()  # volumes that its pool does not have
    seen: tuple[SeenAddress, ...] = ()

    @property
    def where(self) -> str:
        """Say where it stands, and which attempt it is, to tell it apart from its like."""
        number = f"attempt {self.record.build.number}, " if self.record else ""
        return f"{self.host.name} ({number}{self.machine.power.value})"


def standing_on(
    hosts: Sequence[Host], world: World
) -> tuple[list[Standing], dict[str, VmctlError]]:
    """Ask all hosts at once what stands there; with it, what went wrong by host."""
    store = world.store
    before = {record.name: record for record in store.hosts()}
    # First whether the host is up, and in which boot: what is seen after that is of this one.
    failures = look(hosts, world.prober, before, lambda: store, world.clock)
    boots = {record.name: record.boot for record in store.hosts()}

    def ask(host: Host) -> list[Standing]:
        return _ask(host, world.hypervisors.on(host), boots.get(host.name))

    found: list[Standing] = []
    answering = [host for host in hosts if host.name not in failures]
    for name, outcome in fanout(ask, answering, AT_ONCE).items():
        if isinstance(outcome, Ok):
            found += outcome.value
        elif isinstance(outcome.error, VmctlError):
            failures[name] = outcome.error
        else:
            raise outcome.error
    return found, failures


def _ask(host: Host, hypervisor: Hypervisor, boot: str | None) -> list[Standing]:
    pools: dict[str, frozenset[str] | None] = {}
    found = []
    for machine in hypervisor.machines():
        if machine.record is None:
            continue
        one = read(Standing(host=host, machine=machine, boot=boot))
        if one.record is not None:
            build = one.record.build
            if machine.power is Power.RUNNING:
                if not any(card.addresses for card in build.cards):
                    one = replace(one, seen=hypervisor.seen_addresses(machine.uuid))
            else:
                if build.pool not in pools:
                    pools[build.pool] = _volumes(hypervisor, build.pool)
                one = replace(one, missing=_missing(build, pools[build.pool]))
        found.append(one)
    return found


def _volumes(hypervisor: Hypervisor, pool: str) -> frozenset[str] | None:
    try:
        return frozenset(hypervisor.volumes(pool))
    except RemoteTimedOut:
        raise
    except RemoteFailed:
        return None  # a pool that is stopped or gone tells nothing of what is in it


def _missing(build: Build, there: frozenset[str] | None) -> tuple[str, ...]:
    if there is None:
        return ()
    return tuple(one.name for one in build.volumes if one.name not in there)


def read(one: Standing) -> Standing:
    """Read the record of a domain, or say what is wrong with it."""
    try:
        record = from_xml(one.machine.record or "")
        for card in record.build.cards:
            for address in card.addresses:
                ip_address(address)
    except ValueError as error:
        return replace(one, flaw=str(error))
    uuid = one.machine.uuid
    if record.spec.id != uuid:
        return replace(one, flaw=f"the domain {uuid} has the record of server {record.spec.id}")
    if problem := name_problem(record.spec.name):
        return replace(one, flaw=problem)
    record = replace(record, build=as_pinned(record.build, one.machine))
    return replace(one, record=_as_found(record, one.host, one.machine.name))


def _as_found(record: ServerRecord, host: Host, called: str) -> ServerRecord:
    """Give a record with the present names of host and domain, which may have been others then.

    One that its domain is yet to follow stands in the spec alone.
    """
    spec = record.spec
    if called not in (spec.name, record.build.name) and name_problem(called) is None:
        spec = replace(spec, name=called)
    cards = tuple(
        card if card.spans else replace(card, scope=address_scope(card.network, host.name))
        for card in record.build.cards
    )
    name = record.build.name if spec is record.spec else called
    build = replace(record.build, name=name, host=host.name, cards=cards)
    return replace(record, spec=spec, build=build)


def to_import(one: Standing, record: ServerRecord) -> FoundServer:
    """Say what goes on record of a server that stands there, its state by its power.

    One that is off and has no root disk never ran, or never will: it is in ERROR.
    """
    spec, build, machine = record.spec, record.build, one.machine
    root = build.volume("root")
    lost = root is not None and root.name in one.missing
    state = ServerState.ERROR if lost else _state(machine, rescued=build.rescued)
    return FoundServer(
        server=NewServer(
            id=spec.id,
            name=spec.name,
            project=spec.project,
            spec=to_plain(spec),
            group=spec.group,
            reservation=spec.reservation,
        ),
        wanted=wanted_of(build, one.host),
        number=build.number,
        state=state,
        power=machine.power,
        boot=one.boot,
        seen=one.seen,
        fault=missing_words(one) if lost else None,
    )


def missing_words(one: Standing) -> str | None:
    """Say which volumes of a server its host does not have, if any."""
    if not one.missing:
        return None
    return f"not in its pool on {one.host.name}: {', '.join(one.missing)}"


def _state(machine: Machine, *, rescued: bool) -> ServerState:
    if rescued:
        return ServerState.RESCUED
    if machine.power is Power.SHUTDOWN and machine.managed_save:
        return ServerState.SUSPENDED
    return state_seen(ServerState.STOPPED, machine.power)
