"""One pass of all that has to be looked after from time to time, whoever is asked to make it.

What only has the record follow the hosts is done, and what was owed is paid. What would go on with
another's work or take something away is only told, unless it is asked to be fixed.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from vmctl.domain.cached import OLD
from vmctl.domain.operation import Event, OperationState
from vmctl.errors import AtWork, Busy, VmctlError
from vmctl.sagas import SET
from vmctl.services.believing import seen_by
from vmctl.services.fanout import Ok, fanout
from vmctl.services.hosts import sample_of
from vmctl.services.observing import Watch
from vmctl.services.reaping import reap
from vmctl.services.recovery import is_kept, orphans, pay_owed, recover_all
from vmctl.services.seeking import Eyes
from vmctl.services.straying import Kind, strays

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vmctl.domain.cached import Cached
    from vmctl.domain.host import Host
    from vmctl.domain.kept import Debt
    from vmctl.domain.observation import Turn
    from vmctl.domain.operation import Operation
    from vmctl.domain.server_line import ServerLine
    from vmctl.ports import BaseCache
    from vmctl.services.observing import Outlook
    from vmctl.services.recovery import Recovery
    from vmctl.services.straying import Stray

HUNG = 3600.0
"""Seconds for which an owner may be at one operation before somebody should look after it."""

LEASE = "sync"
"""What a pass holds: there is one at a time for each database."""

Task = Literal["hosts", "servers", "owed", "operations", "domains", "images"]
Result = Literal["done", "left", "failed", "told"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found: what was made of it, and in words what it is.

    What is `left` is to be looked into, or fixed; `failed` could not be done; what is only `told`
    is nobody's fault.
    """

    task: Task
    result: Result
    words: str
    host: str | None = None
    server: str | None = None
    turn: Turn | None = None  # instead of words, of what has changed on record


@dataclass(slots=True, kw_only=True)
class Sync:
    """A pass: over which servers, whether to fix what it may, and how old an image must be.

    `hung` is for how long somebody who lives may be at an operation without being told of.
    """

    recovery: Recovery
    cache: BaseCache
    lines: Callable[[], Iterable[ServerLine]]
    fix: bool = False
    older: float = OLD
    hung: float = HUNG
    found: list[Finding] = field(default_factory=list)

    def run(self) -> list[Finding]:
        """Make the pass, and give what was found; AtWork while someone else makes one."""
        leases, owner = self.recovery.world.leases, self.recovery.owner
        with ExitStack() as stack:
            try:
                stack.enter_context(leases.hold(LEASE, owner=owner))
            except Busy as error:
                who = leases.holder(LEASE) or "somebody"
                raise AtWork(
                    f"{who} is at it just now: nothing was done",
                    hint="it ends by itself; what it finds is on record",
                ) from error
            self._all()
        return self.found

    def _all(self) -> None:
        seen = self._look()
        heard = sorted(seen.heard)
        # What is owed is no stray; once it is paid, what was seen does not say so any more.
        astray = strays(seen.sights, self.recovery.world.store)
        self._grown(heard)
        self._owed(heard)
        self._operations()
        self._long()
        self._domains(astray)
        self._images([self.recovery.hosts[name] for name in heard])
        done = [one for one in self.found if one.result in ("done", "failed")]
        if done:
            self._record(done)

    def _look(self) -> Outlook:
        recovery = self.recovery
        eyes = Eyes.of(recovery.world)
        watch = Watch(hosts=recovery.hosts, eyes=eyes, event=seen_by(recovery.actor))
        seen = watch.observe(self.lines(), addresses=True, everywhere=True)
        for name, failure in seen.failures.items():
            self._add("hosts", "failed", failure.message, host=name)
        for turn in seen.turns:
            one = Finding(
                task="servers",
                result="done",
                words="",
                host=turn.host,
                server=turn.name,
                turn=turn,
            )
            self.found.append(one)
        for note in seen.notes:
            self._add("servers", "left", note)
        return seen

    def _grown(self, heard: list[str]) -> None:
        """Tell of servers that were given more by hand than their claims hold."""
        store = self.recovery.world.store
        ours = {(one.host, one.id): one for one in store.servers()}
        for host in heard:
            sample = sample_of(store.host(host))
            guests = {one.uuid: one for one in sample.guests} if sample else {}
            for more in sample.grown if sample else ():
                server, guest = ours.get((host, more.uuid)), guests.get(more.uuid)
                if server is None or guest is None:
                    continue
                had = f"{guest.vcpus - more.vcpus} and {guest.memory - more.memory}"
                words = (
                    f"it has {guest.vcpus} vCPUs and {guest.memory} MiB of memory, and was made"
                    f" with {had}: counted as it is; vmctl server reboot --hard {server.name}"
                    " defines it as it was made"
                )
                self._add("servers", "left", words, host=host, server=server.name)

    def _owed(self, heard: list[str]) -> None:
        """Pay what is owed to hosts that answer; the others are owed it still."""
        store = self.recovery.world.store
        before, news = store.owed(), self._news()
        if not before and not news:
            return
        pay_owed(self.recovery, heard)
        untold = {one.id for one in self._news()}
        for one in news:
            if one.id in untold:
                words = f"it is owed the news still: vmctl operation resume {one.id}"
                self._operation(one, "left", words, task="owed")
            else:
                self._operation(one, "done", "its host was told", task="owed")
        left = {_mark(one): one.attempt.fault for one in store.owed()}
        for debt in before:
            attempt = debt.attempt
            name, host = store.server(attempt.server).name, attempt.host
            what = f"what attempt {attempt.number} at it left there"
            if _mark(debt) not in left:
                self._add("owed", "done", f"{what} is taken away", host=host, server=name)
                continue
            why = "the host did not answer" if host not in heard else left[_mark(debt)]
            if host not in self.recovery.hosts:
                why = f"the host is not in the inventory: vmctl host retire {host}"
            words = f"{what} is owed still: {why or 'see vmctl operation list'}"
            self._add("owed", "left", words, host=host, server=name)

    def _news(self) -> list[Operation]:
        """List the changes that their hosts, which did not answer then, are yet to be told."""
        unfinished = self.recovery.world.store.operations(unfinished=True)
        owed = OperationState.OWED
        return [one for one in unfinished if one.state is owed and one.saga == SET.name]

    def _operations(self) -> None:
        """Tell of operations whose owner is dead, or go on with them."""
        world = self.recovery.world
        dead = [
            one
            for one in orphans(world.store, world.leases)
            if one.state is not OperationState.OWED
        ]
        kept = [one for one in dead if is_kept(world.store, one)]
        for one in kept:
            words = f"what it made is kept to be looked at: vmctl operation unwind {one.id}"
            self._operation(one, "left", words)
        rest = [one for one in dead if one not in kept]
        if not self.fix:
            for one in rest:
                words = f"its owner {one.owner} is gone: vmctl operation resume {one.id}"
                self._operation(one, "left", words)
            return
        for one in rest:
            ended = recover_all(self.recovery, [one])[one.id]
            if isinstance(ended, Busy):
                continue
            if isinstance(ended, VmctlError):
                self._operation(one, "failed", ended.message)
            elif isinstance(ended, Exception):
                raise ended
            elif ended.state.over:
                self._operation(one, "done", f"its owner {one.owner} was gone; it is {ended.state}")
            else:
                why = f": {ended.fault}" if ended.fault else ""
                self._operation(one, "failed", f"it is {ended.state}{why}")

    def _long(self) -> None:
        """Tell of owners that live and are too long at one operation: they may hang."""
        world = self.recovery.world
        for one in world.store.operations(unfinished=True):
            seconds = world.clock() - one.started
            if one.state is not OperationState.RUNNING or seconds < self.hung:
                continue
            if not world.leases.is_dead(one.id):
                words = (
                    f"{one.owner} has been at it for {_told(seconds)}: if it hangs, end it there;"
                    f" then: vmctl operation resume {one.id}"
                )
                self._operation(one, "left", words)

    def _operation(
        self, one: Operation, result: Result, words: str, *, task: Task = "operations"
    ) -> None:
        name = None
        if one.server is not None:
            name = self.recovery.world.store.server(one.server).name
        said = f"{one.kind} {one.id}: {words}"
        self._add(task, result, said, host=one.host, server=name)

    def _domains(self, astray: Iterable[Stray]) -> None:
        """Tell of domains with records that are no servers on record; reap what was deleted."""
        for stray in astray:
            host = None if stray.kind is Kind.ANOTHERS else stray.sight.host
            name = None if stray.kind is Kind.ANOTHERS else stray.sight.machine.name
            result: Result = "told" if stray.kind is Kind.ANOTHERS else "left"
            words = stray.words
            if self.fix and stray.kind is Kind.DELETED:
                result, words = self._reap(stray)
            self._add("domains", result, words, host=host, server=name)

    def _reap(self, stray: Stray) -> tuple[Result, str]:
        try:
            reap(self.recovery, stray.sight)
        except VmctlError as error:
            return "failed", error.message
        return "done", "it was deleted, and is taken away now"

    def _images(self, hosts: list[Host]) -> None:
        """Tell of base images that nothing has needed for long, or take them away."""
        world = self.recovery.world
        before = world.clock() - self.older
        left = world.store.bases_left(before)

        def ask(host: Host) -> tuple[Cached, ...]:
            def spare(one: Cached) -> bool:
                return not one.is_spent(host.name, before, left)

            spent = tuple(one for one in self.cache.look(host) if not spare(one))
            return self.cache.prune(host, spare=spare) if self.fix and spent else spent

        for name, ended in fanout(ask, hosts).items():
            if isinstance(ended, Ok):
                for one in ended.value:
                    words = f"the base image {one.digest} in the pool {one.pool}"
                    said = "is taken away" if self.fix else "is needed by nothing: --fix"
                    result: Result = "done" if self.fix else "left"
                    self._add("images", result, f"{words} {said}", host=name)
            elif isinstance(ended.error, VmctlError):
                self._add("images", "failed", ended.error.message, host=name)
            else:
                raise ended.error

    def _record(self, done: list[Finding]) -> None:
        counts: dict[str, int] = {}
        for one in done:
            counts[f"{one.task} {one.result}"] = counts.get(f"{one.task} {one.result}", 0) + 1
        result = "failed" if any(one.result == "failed" for one in done) else "done"
        event = Event(actor=self.recovery.actor, action="sync", result=result, detail=counts)
        self.recovery.world.store.record(event)

    def _add(
        self,
        task: Task,
        result: Result,
        words: str,
        *,
        host: str | None = None,
        server: str | None = None,
    ) -> None:
        one = Finding(task=task, result=result, words=words, host=host, server=server)
        self.found.append(one)


def _told(seconds: float) -> str:
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _mark(debt: Debt) -> tuple[str, int]:
    return debt.attempt.server, debt.attempt.number
