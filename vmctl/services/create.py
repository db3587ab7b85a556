"""Servers made from an order that was placed: admitted, built, tried elsewhere, settled.

Servers of one order are made side by side and end independently of each other.
"""

from __future__ import annotations

import secrets
import uuid
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vmctl.domain.observation import Observation
from vmctl.domain.operation import Event, Mark, NewOperation
from vmctl.domain.plain import to_plain
from vmctl.domain.record import NewServer, Power
from vmctl.errors import (
    AddressTaken,
    ArbiterDown,
    ClaimLost,
    CpusTaken,
    HostError,
    NoValidHost,
    OwnershipLost,
    StateError,
    UsageError,
    VmctlError,
)
from vmctl.sagas.work import Work
from vmctl.services.fanout import Ok, fanout
from vmctl.services.hosts import sample_of
from vmctl.services.judging import apart
from vmctl.services.kept import create_params
from vmctl.services.planning import plan_build, spans_from, wanted_of
from vmctl.services.running import run_attempt
from vmctl.services.settling import settle_create
from vmctl.services.site import PER_HOST, Made, record_failed
from vmctl.services.waiting import Waiting, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vmctl.domain.build import Build
    from vmctl.domain.host import Host
    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.network import Network
    from vmctl.domain.operation import Token
    from vmctl.domain.placement import Choice
    from vmctl.domain.record import Claim, Company, Judge, Wanted
    from vmctl.domain.spec import ServerSpec
    from vmctl.ports import Lease
    from vmctl.services.order import Order
    from vmctl.services.site import Site
    from vmctl.services.waiting import Patience

AT_ONCE = 32
_ADDRESS_TRIES = 50
_MARKS = {
    Mark.STARTED: "{step}",
    Mark.FAILED: "{step} failed",
    Mark.UNDO_STARTED: "undo {step}",
    Mark.UNDO_FAILED: "undo {step} failed",
}


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    spec: ServerSpec
    choice: Choice


def make_all(
    site: Site, order: Order, choices: Sequence[Choice], traces: Mapping[str, Mapping[str, object]]
) -> tuple[Made, ...]:
    """Make the servers that found a host, so many at a time, and tell how each ended."""
    jobs = [_Job(spec.id, spec, choice) for spec, choice in zip(order.specs, choices, strict=False)]
    # The hosts take turns, so that none has all of the first ones.
    queues: dict[str, list[_Job]] = defaultdict(list)
    for job in jobs:
        queues[job.choice.host].append(job)
    width = min(AT_ONCE, PER_HOST * len(queues))
    turns = sorted(
        jobs,
        key=lambda job: (queues[job.choice.host].index(job), list(queues).index(job.choice.host)),
    )
    ended = fanout(lambda job: make_one(site, order, job.spec, job.choice, traces), turns, width)
    made = []
    for job in jobs:
        outcome = ended[job.name]
        if isinstance(outcome, Ok):
            made.append(outcome.value)
        else:
            made.append(Made(spec=job.spec, fault=outcome.error))
    return tuple(made)


def make_one(
    site: Site,
    order: Order,
    spec: ServerSpec,
    choice: Choice,
    traces: Mapping[str, Mapping[str, object]],
) -> Made:
    """Make one server on the host that was chosen for it, or on the next alternate."""
    maker = _Maker(site, order, spec, traces.get(spec.id))
    return maker.make([choice.host, *choice.alternates])


class _Maker:
    """One server on its way: what the record is told, and which hosts are still to be tried."""

    def __init__(
        self, site: Site, order: Order, spec: ServerSpec, trace: Mapping[str, object] | None
    ) -> None:
        self._site = site
        self._order = order
        self._spec = spec
        self._trace = trace
        # One for each server: whoever sees one screen is not to see the others.
        self._secrets = replace(order.secrets, console_password=secrets.token_urlsafe(6))
        self._tried: list[str] = []
        self._placed_again = False

    def make(self, hosts: list[str]) -> Made:
        """Try the hosts in their order until one of them has the server."""
        site, spec = self._site, self._spec
        # Of a batch that is stopped, what was not begun is not put on record either.
        site.check()
        operation = str(uuid.uuid4())
        with site.world.leases.hold(operation) as lease:
            try:
                token, host, build = self._admit(lease, hosts)
            except (ClaimLost, AddressTaken, HostError) as error:
                return self._refused(error)
            number = 1
            while True:
                work = self._work(token, host, build)
                with site.slots.at(host.name):
                    ended = run_attempt(
                        work,
                        check=site.check,
                        tell=self._tell(host),
                        keep=site.keep,
                        saga=site.saga,
                    )
                if not ended.may_go_elsewhere or number >= site.max_attempts:
                    break
                if not self._helps_to_move(ended.fault):
                    break
                following = self._readmit(token, number + 1, hosts)
                if following is None:
                    break
                site.note(
                    f"{spec.name}: {host.name} failed ({ended.fault}); trying {following[0].name}"
                )
                host, build = following
                number += 1
            settle_create(work, ended, site.actor)
        fault = ended.fault
        if isinstance(fault, ClaimLost | AddressTaken) and self._helps_to_move(fault):
            # Refused under the host's lease or before it: for whoever asked it is the same.
            fault = self._nobody(fault)
        if fault is None and site.patience is not None:
            fault = self._wait(site.patience, host, work.build)
        return Made(
            spec=spec,
            host=host.name,
            fault=fault,
            up=ended.fault is None,
            kept=ended.kept,
            unenforced=work.build.unenforced if ended.fault is None else (),
        )

    def _helps_to_move(self, fault: Exception | None) -> bool:
        """Whether another host may do better: not where all of them depend on what failed."""
        if isinstance(fault, AddressTaken):
            host = self._site.inventory.host(self._tried[-1])
            sample = sample_of(self._site.world.store.host(host.name))
            return not any(
                card.fixed and spans_from(self._networks()[card.network], host, sample)
                for card in self._spec.cards
            )
        if isinstance(fault, HostError) and fault.reason == "no-bytes":
            return False
        return not isinstance(fault, ArbiterDown | UsageError)

    def _wait(self, patience: Patience, host: Host, build: Build) -> VmctlError | None:
        """Wait for what was asked, and keep what was seen of it on record."""
        site = self._site
        waiting = Waiting(
            world=site.world,
            neighbours=patience.neighbours,
            host=host,
            build=build,
            check=site.check,
            tell=lambda words: self._say(host.name, words.removeprefix(f"{host.name}: ")),
        )
        try:
            seen = wait_for(waiting, patience.what, patience.seconds)
            store = site.world.store
            one = Observation(
                server=build.server,
                host=host.name,
                at=site.world.clock(),
                power=Power.RUNNING,
                boot=store.host(host.name).boot,
                seen=seen,
            )
            store.observe([one])
        except VmctlError as error:
            return error
        return None

    def _work(self, token: Token, host: Host, build: Build) -> Work:
        site = self._site
        return Work(
            world=site.world,
            token=token,
            host=host,
            spec=self._spec,
            build=build,
            claim=site.claims.claim,
            secrets=self._secrets,
            networks=site.inventory.networks,
            groups=self._order.groups,
            peers=tuple(one for one in site.inventory.hosts.values() if one.name != host.name),
            check=site.check,
            tell=lambda words: self._go_on(host.name, words.removeprefix(f"{host.name}: ")),
        )

    def _go_on(self, host: str, words: str) -> None:
        """Say how far a step is, unless all is to be undone: some take long."""
        self._site.check()
        self._say(host, words)

    def _networks(self) -> dict[str, Network]:
        known = self._site.inventory.networks
        return {card.network: known[card.network] for card in self._spec.cards}

    def _admit(self, lease: Lease, hosts: list[str]) -> tuple[Token, Host, Build]:
        """Hold a place on the first host that still has one; what is tried goes off the list."""
        site, spec = self._site, self._spec
        new = NewOperation(
            kind="create",
            saga=site.saga.name,
            version=site.saga.version,
            owner=site.owner,
            server=spec.id,
            params=create_params(self._networks(), self._order.groups),
        )
        server = NewServer(
            id=spec.id,
            name=spec.name,
            project=spec.project,
            spec=to_plain(spec),
            group=spec.group,
            secrets=to_plain(self._secrets),
            trace=self._trace,
            reservation=spec.reservation,
            key=site.key,
        )
        event = Event(
            actor=site.actor,
            action="server-create",
            result="started",
            server=spec.id,
            detail={"reason": site.reason} if site.reason else {},
        )

        def admit(host: Host, wanted: Wanted) -> Token:
            return site.world.store.admit(
                lease,
                new,
                server,
                wanted,
                self._judge(host),
                company=self._company(host),
                event=replace(event, host=host.name),
            )

        return self._first(hosts, 1, admit)

    def _readmit(self, token: Token, number: int, hosts: list[str]) -> tuple[Host, Build] | None:
        def admit(host: Host, wanted: Wanted) -> Token:
            self._site.world.store.readmit(
                token, wanted, self._judge(host), company=self._company(host)
            )
            return token

        try:
            _, host, build = self._first(hosts, number, admit)
        except (OwnershipLost, StateError):
            raise
        except VmctlError:
            # What the last attempt failed with says more than why there is no next one.
            return None
        return host, build

    def _first(
        self, hosts: list[str], number: int, admit: Callable[[Host, Wanted], Token]
    ) -> tuple[Token, Host, Build]:
        last: VmctlError = ClaimLost("no host is left to try")
        while hosts or self._place_again(hosts):
            host = self._site.inventory.host(hosts.pop(0))
            self._tried.append(host.name)
            for _ in range(_ADDRESS_TRIES):
                try:
                    build = self._plan(number, host)
                    return admit(host, wanted_of(build, host)), host, build
                except AddressTaken as error:
                    # Another took it between the look and the transaction: the next free one.
                    last = error
                    if any(card.fixed for card in self._spec.cards):
                        break
                except CpusTaken as error:
                    last = error  # likewise
                except (ClaimLost, HostError) as error:
                    last = error
                    break
            self._site.note(f"{self._spec.name}: {last}")
        raise last

    def _place_again(self, hosts: list[str]) -> bool:
        """Ask once for other hosts, when none of those that were chosen is left."""
        if self._placed_again:
            return False
        self._placed_again = True
        hosts += self._site.again(self._spec, tuple(self._tried))
        return bool(hosts)

    def _plan(self, number: int, host: Host) -> Build:
        store = self._site.world.store
        return plan_build(
            self._spec,
            number,
            host,
            self._site.inventory.networks,
            groups=self._order.groups,
            sample=sample_of(store.host(host.name)),
            taken=store.addresses,
            held={cpu for one in store.claims(host.name) for cpu in one.cpus}
            if host.dedicated_cpus
            else (),
        )

    def _judge(self, host: Host) -> Judge:
        claims, spec = self._site.claims, self._spec

        def judge(record: HostRecord, held: tuple[Claim, ...]) -> str | None:
            return claims.judge.misfit(spec, host, record, held)

        return judge

    def _company(self, host: Host) -> Company | None:
        found = (one for one in self._site.claims.groups() if one.id == self._spec.group)
        group = next(found, None)
        return None if group is None else lambda held: apart(group, host.name, held)

    def _refused(self, error: VmctlError) -> Made:
        """Keep a server that no host took on record, with the reason, as Nova does."""
        fault = self._nobody(error) if self._helps_to_move(error) else error
        record_failed(self._site, self._spec, fault, self._trace)
        return Made(spec=self._spec, fault=fault)

    def _nobody(self, error: VmctlError) -> NoValidHost:
        """Say that no host took the server, by what the last one said."""
        name = self._spec.name
        return NoValidHost(
            f"no host took the server {name}: {error.message}",
            hint=error.hint or f"vmctl placement explain {name} tells what each host said",
        )

    def _tell(self, host: Host) -> Callable[[str, Mark], None]:
        def tell(step: str, mark: Mark) -> None:
            if mark is not Mark.DONE and mark is not Mark.UNDONE:
                self._say(host.name, _MARKS[mark].format(step=step))

        return tell

    def _say(self, host: str, words: str) -> None:
        self._site.tell(self._spec.name, host, words)
