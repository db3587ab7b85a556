"""The operators' record, and who is at work on what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from vmctl.domain.action import Action
    from vmctl.domain.catalog import Flavor, Image, Keypair, SecurityGroup, ServerGroup
    from vmctl.domain.host_record import HostRecord, KvmCheck, Sighting
    from vmctl.domain.kept import Debt, FoundServer, KeyUse, PlacementTrace
    from vmctl.domain.observation import Observation, Turn
    from vmctl.domain.operation import (
        Actor,
        Event,
        JournalEntry,
        Mark,
        NewOperation,
        Operation,
        OperationState,
        Token,
    )
    from vmctl.domain.record import (
        Attempt,
        AttemptState,
        Change,
        Claim,
        Company,
        Judge,
        NewServer,
        Nic,
        Server,
        ServerState,
        Wanted,
    )


class Lease(Protocol):
    """Proof that an operation's owner lives: the kernel or the database takes it back at death."""

    @property
    def operation(self) -> str:
        """The operation that it is about."""

    def check(self) -> None:
        """Raise OwnershipLost unless it is still held."""


class Leases(Protocol):
    """Who is at work on what, as the kernel or the database knows it."""

    def hold(self, operation: str, *, owner: str = "") -> AbstractContextManager[Lease]:
        """Hold the lease of an operation, before its row exists or in order to adopt it.

        What is no operation may be held, too, and its owner named. Raises Busy while someone else
        holds it.
        """

    def holder(self, operation: str) -> str | None:
        """Name the owner who holds a lease, if anybody does and said who it is."""

    def is_dead(self, operation: str) -> bool:
        """Whether it is known for certain that nobody is at work on it."""


class Store(Protocol):
    """The operators' record; every write is one transaction that owns its time."""

    def uuid(self) -> str:
        """Name this database apart from all others: the owner that domains carry."""

    def version(self) -> int:
        """Say which numbered migration the database stands at."""

    def upgrade(self) -> tuple[int, int]:
        """Apply what migrations are missing and say from and to which version."""

    def backup(self, file: Path, *, replace: bool = False) -> None:
        """Write a whole, consistent copy while others go on working."""

    # Admission, and everything that takes a token

    def admit(
        self,
        lease: Lease,
        new: NewOperation,
        server: NewServer,
        wanted: Wanted,
        judge: Judge,
        *,
        company: Company | None = None,
        event: Event | None = None,
    ) -> Token:
        """Write a server, its first attempt with claim and addresses, and its operation.

        Judges the host's live claims, the company in its group and its project's quota once more
        in the same transaction. Raises ClaimLost, or CpusTaken where other CPUs of that host may
        do, NameTaken, AddressTaken, KeyTaken or QuotaExceeded, and then nothing was written.
        """

    def admit_failed(self, server: NewServer, fault: str, *, event: Event | None = None) -> None:
        """Write a server that no host was found for: in ERROR, without attempt or operation."""

    def readmit(
        self, token: Token, wanted: Wanted, judge: Judge, *, company: Company | None = None
    ) -> int:
        """Give the attempt up for the next one, and return that one's number.

        Its cleanup is owed from then on, unless it was released before.
        """

    def readdress(
        self, token: Token, number: int, nics: Sequence[Nic], plan: Mapping[str, object]
    ) -> None:
        """Give an attempt other addresses for those it holds, and the plan that goes with them.

        Raises AddressTaken, and then it holds what it held.
        """

    def repin(
        self, token: Token, number: int, cpus: Sequence[int], plan: Mapping[str, object]
    ) -> None:
        """Give an attempt other CPUs for those it holds, and the plan that goes with them.

        Raises CpusTaken, and then it holds what it held.
        """

    def replan(
        self,
        token: Token,
        number: int,
        plan: Mapping[str, object],
        fields: Mapping[str, object],
    ) -> None:
        """Give an attempt another plan, and fields of its server's spec other values, at once.

        Another name is the server's from then on; NameTaken if another one has it, and then
        nothing was written.
        """

    def secrets_of(self, token: Token) -> Mapping[str, Any]:
        """Read what the operation must know and nobody may read after its end."""

    def amend(self, token: Token, params: Mapping[str, object]) -> None:
        """Write the operation's parameters anew."""

    def begin(
        self,
        lease: Lease,
        new: NewOperation,
        *,
        expect: Collection[ServerState] = (),
        task: str | None = None,
        despite: bool = False,
        event: Event | None = None,
        instead: Sequence[tuple[Token, Event]] = (),
    ) -> Token:
        """Put an operation on record, if its server is in an expected state, idle and unlocked.

        Raises Conflict for the state, Busy for an operation in the way, and Locked, unless it is
        to be done despite a lock. What it takes the place of, each adopted before, is given up in
        the same transaction, its event saying so.
        """

    def adopt(self, lease: Lease, owner: str) -> Token:
        """Take an unfinished operation over from an owner who is dead, as the lease proves.

        Raises Conflict when it is over: whoever had the lease before has finished it.
        """

    def journal(self, token: Token, step: str, mark: Mark, detail: str = "") -> JournalEntry:
        """Commit a mark on a step; raises OwnershipLost when the token is void."""

    def change(self, token: Token, change: Change) -> None:
        """Change what the record says of the operation's server."""

    def mark_attempt(
        self,
        token: Token,
        number: int,
        state: AttemptState,
        fault: str | None = None,
        *,
        boot: str | None = None,
        stands: bool = False,
    ) -> None:
        """Say how far an attempt went; to release one is to free its claim and addresses.

        `boot` is its host's, from which on nobody knows what the server is once it is another. Of
        one that is released and `stands` all the same, its host's last sample still counts.
        """

    def finish(
        self,
        token: Token,
        state: OperationState,
        *,
        change: Change | None = None,
        release: Collection[int] = (),
        fault: str | None = None,
        event: Event | None = None,
    ) -> None:
        """End an operation, or leave it stuck or owed; release the attempts proven gone.

        Its secrets are wiped, except while it is stuck.
        """

    def save_placement(self, server: str, trace: Mapping[str, object]) -> None:
        """Keep why a server was placed where it is, instead of what was kept before."""

    # What is said of a server by hand; each says whether that is news, and only then is told

    def lock(self, server: str, reason: str | None, *, event: Event) -> bool:
        """Lock a server for a reason, which may be '', or with None unlock it.

        Whatever is being done to it goes on.
        """

    def protect(self, server: str, *, on: bool, event: Event) -> bool:
        """Have a server protected from being deleted, or not."""

    def reset(self, server: str, state: ServerState, *, event: Event) -> bool:
        """Have a server be active or in error, with nothing being done to it.

        Raises Busy for an operation in the way, Conflict where it cannot be.
        """

    # What was found on hosts

    def observe(
        self, observations: Iterable[Observation], *, event: Event | None = None
    ) -> tuple[Turn, ...]:
        """Keep what was seen of servers that no operation is at, and say what turned.

        All in one transaction, with an event of each turn; what is older than the record changes
        nothing. One that stands nowhere any more is in ERROR until it is seen again.
        """

    def move(
        self, server: Server, wanted: Wanted, *, operation: str, owed: NewOperation, event: Event
    ) -> Turn | None:
        """Have a server's attempt, claim, cards and addresses be on the host it was moved to.

        What it may have left on its old host is owed to that, by an operation of this id.

        None where an operation is at it, or it is not as it was read. Raises AddressTaken, and
        then nothing was written.
        """

    def rename_host(
        self, before: str, after: str, at_rest: Collection[str], *, event: Event
    ) -> tuple[Turn, ...] | None:
        """Have all that is on record of a host, but what is over, be of its new name; say of whom.

        None where an operation runs at any of it, apart from those that nobody is at work on.
        Raises AddressTaken, and then nothing was written.
        """

    def rename(
        self, server: Server, name: str, plan: Mapping[str, object], *, event: Event
    ) -> Turn | None:
        """Have a server be called what its domain is called, its plan being what says that.

        None where nothing but the plan is new, or as for `move`. Raises NameTaken.
        """

    def renew(
        self,
        server: Server,
        plan: Mapping[str, object],
        fields: Mapping[str, object],
        *,
        event: Event,
    ) -> Turn | None:
        """Have a record say of a later system that boots there: its plan, and fields of the spec.

        None where an operation is at it, or it is not as it was read.
        """

    def import_server(self, found: FoundServer, *, event: Event | None = None) -> bool:
        """Bring a server that stands on a host back on record; False if it is there as found.

        Raises Conflict that says all that is in the way.
        """

    def is_on_record(self, found: FoundServer) -> bool:
        """Whether a server is there as found; raises Conflict as importing it would."""

    def assume(self, uuid: str) -> None:
        """Be the database that domains name as their owner; Conflict once there are servers."""

    # Reading

    def operation(self, word: str) -> Operation:
        """Find the operation with this id, or with the only id that begins so."""

    def operations(self, *, unfinished: bool = False, server: str = "") -> tuple[Operation, ...]:
        """List operations by when they started."""

    def journal_of(self, operation: str) -> tuple[JournalEntry, ...]:
        """Read an operation's journal in order."""

    def server(self, word: str) -> Server:
        """Find a server by id or name; one that holds the name comes before one that failed."""

    def servers(self, *, deleted: bool = False) -> tuple[Server, ...]:
        """List servers by name."""

    def attempts(self, server: str) -> tuple[Attempt, ...]:
        """List every try to have this server on a host, in order."""

    def claims(self, host: str = "") -> tuple[Claim, ...]:
        """List all live claims, or one host's."""

    def owed(self, host: str = "") -> tuple[Debt, ...]:
        """List the attempts whose cleanup is owed, to one host or to all."""

    def bases_left(self, since: float) -> frozenset[tuple[str, str]]:
        """Give the hosts and base images that attempts were released from since then."""

    def placement_of(self, server: str) -> PlacementTrace | None:
        """Read why a server was placed where it is, by its id."""

    def idempotent(self, key: str) -> KeyUse | None:
        """Say what an idempotency key was used for, if it was."""

    def addresses(self, scope: str) -> frozenset[str]:
        """Say which addresses are held within a scope."""

    # Hosts and events

    def hosts(self) -> tuple[HostRecord, ...]:
        """List the hosts on record by name."""

    def host(self, name: str) -> HostRecord:
        """Read a host's record; one never heard of has an empty one."""

    def save_samples(self, sightings: Iterable[Sighting]) -> None:
        """Keep what a round of probes saw, in one transaction; an older look changes nothing."""

    def save_kvm(self, host: str, check: KvmCheck) -> None:
        """Keep whether KVM works on a host in its present boot."""

    def enable(self, host: str, *, actor: Actor) -> None:
        """Let servers be placed on a host again."""

    def disable(self, host: str, reason: str, *, actor: Actor) -> None:
        """Keep new servers off a host and say why."""

    def record(self, event: Event) -> int:
        """Write an event and return its id."""

    def events(
        self,
        *,
        server: str = "",
        host: str = "",
        operation: str = "",
        after: int = 0,
        limit: int = 0,
    ) -> tuple[Event, ...]:
        """Read events, oldest first; a limit keeps the newest ones.

        A server is its id, or a name: then of all servers that ever bore it.
        """

    def actions(self, server: str) -> tuple[Action, ...]:
        """List what was done to a server, by its id, oldest first, with steps and events."""


class Catalog(Protocol):
    """What servers are made from, each found by name or id; NotFound names near ones."""

    def flavor(self, word: str) -> Flavor:
        """Find a flavor."""

    def image(self, word: str) -> Image:
        """Find an image."""

    def images(self) -> tuple[Image, ...]:
        """List the images by name."""

    def keypair(self, word: str) -> Keypair:
        """Find a keypair."""

    def group(self, word: str) -> ServerGroup:
        """Find a server group."""

    def security_group(self, word: str) -> SecurityGroup:
        """Find a security group with its rules."""
