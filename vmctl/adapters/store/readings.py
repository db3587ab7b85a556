"""All that is read of the record; each method sees one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.adapters.store import actions, debts, events, hosts, kept, operations, servers
from vmctl.adapters.store.database import Database

if TYPE_CHECKING:
    from vmctl.domain.action import Action
    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.kept import Debt, KeyUse, PlacementTrace
    from vmctl.domain.operation import Event, JournalEntry, Operation
    from vmctl.domain.record import Attempt, Claim, Server


class Readings(Database):
    """A database as those see it who only look."""

    def operation(self, word: str) -> Operation:
        """Find the operation with this id, or with the only id that begins so."""
        with self.reading() as tx:
            return operations.find(tx, word)

    def operations(self, *, unfinished: bool = False, server: str = "") -> tuple[Operation, ...]:
        """List operations by when they started."""
        with self.reading() as tx:
            return operations.listing(tx, unfinished=unfinished, server=server)

    def journal_of(self, operation: str) -> tuple[JournalEntry, ...]:
        """Read an operation's journal in order."""
        with self.reading() as tx:
            return operations.journal_of(tx, operation)

    def server(self, word: str) -> Server:
        """Find a server by id or name; one that holds the name comes before one that failed."""
        with self.reading() as tx:
            return servers.find(tx, word)

    def servers(self, *, deleted: bool = False) -> tuple[Server, ...]:
        """List servers by name."""
        with self.reading() as tx:
            return servers.listing(tx, deleted=deleted)

    def attempts(self, server: str) -> tuple[Attempt, ...]:
        """List every try to have this server on a host, in order."""
        with self.reading() as tx:
            return servers.attempts_at(tx, server)

    def claims(self, host: str = "") -> tuple[Claim, ...]:
        """List all live claims, or one host's."""
        with self.reading() as tx:
            return servers.claims_on(tx, host)

    def owed(self, host: str = "") -> tuple[Debt, ...]:
        """List the attempts whose cleanup is owed, to one host or to all."""
        with self.reading() as tx:
            return debts.owed(tx, host)

    def bases_left(self, since: float) -> frozenset[tuple[str, str]]:
        """Give the hosts and base images that attempts were released from since then."""
        with self.reading() as tx:
            return debts.bases_left(tx, since)

    def placement_of(self, server: str) -> PlacementTrace | None:
        """Read why a server was placed where it is."""
        with self.reading() as tx:
            return kept.placement_of(tx, server)

    def idempotent(self, key: str) -> KeyUse | None:
        """Say what an idempotency key was used for."""
        with self.reading() as tx:
            return kept.key_use(tx, key)

    def addresses(self, scope: str) -> frozenset[str]:
        """Say which addresses are held within a scope."""
        with self.reading() as tx:
            return servers.addresses_in(tx, scope)

    def hosts(self) -> tuple[HostRecord, ...]:
        """List the hosts on record by name."""
        with self.reading() as tx:
            return hosts.listing(tx)

    def host(self, name: str) -> HostRecord:
        """Read a host's record; one never heard of has an empty one."""
        with self.reading() as tx:
            return hosts.host_at(tx, name)

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
        with self.reading() as tx:
            return events.listing(
                tx, server=server, host=host, operation=operation, after=after, limit=limit
            )

    def actions(self, server: str) -> tuple[Action, ...]:
        """List what was done to a server, by its id, oldest first, with steps and events."""
        with self.reading() as tx:
            return actions.actions(tx, server)
