"""Going on with work whose owner is gone, and paying what is owed to hosts that answer again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from vmctl.domain.host import Host
    from vmctl.domain.operation import Actor, Operation, OperationState
    from vmctl.ports import Store
    from vmctl.ports.state import Leases
    from vmctl.sagas.work import Work, World


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovery:
    """What recovering takes beside the record: the ports, who does it, and the hosts as they are.

    The hosts are the inventory's, by name; `claim` is what a create's own work has.
    """

    world: World
    actor: Actor
    owner: str
    hosts: Mapping[str, Host]
    claim: Callable[[Work], None]
    tell: Callable[[str], None] = lambda _: None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """How recovering one operation ended; a fault says what is still in the way."""

    operation: Operation
    state: OperationState
    fault: Exception | None = None


def orphans(store: Store, leases: Leases) -> tuple[Operation, ...]:
    """List the operations that are not over and that nobody is at work on."""
    raise NotImplementedError


def resume(recovery: Recovery, operation: Operation) -> Recovered:
    """Go on with an operation: forward if nothing failed yet, else with undoing it.

    Raises Busy, naming who is at work on it, and Conflict where it is over.
    """
    raise NotImplementedError


def unwind(recovery: Recovery, operation: Operation) -> Recovered:
    """Undo what an operation did; Conflict where there is no way back, as with a delete."""
    raise NotImplementedError


def pay_owed(recovery: Recovery, hosts: Collection[str]) -> tuple[Recovered, ...]:
    """Clean these hosts of what is owed to them; those that do not answer stay owed."""
    raise NotImplementedError
