"""``vmctl operation list|show``: what is under way, what is stuck, and what is owed to a host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.cells import Shown
from vmctl.cli.command import lister, shower
from vmctl.cli.event_words import steps_cell
from vmctl.cli.output import Column, Record, Table
from vmctl.cli.server_words import stamp, the_server
from vmctl.domain.action import step_runs
from vmctl.domain.operation import OperationState
from vmctl.errors import NotFound
from vmctl.sagas import CLEANUP

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.operation import Operation


@lister
@click.option("--all", "every", is_flag=True, help="those that are over, too")
@click.option("--server", metavar="SERVER", help="of this server, by name or id")
def operation_list(context: Context, *, every: bool, server: str | None) -> Table:
    """List the operations that are not over: at work, killed at it, stuck, or owed to a host."""
    store = context.app.store
    identity = the_server(context, server).id if server is not None else ""
    names = {one.id: one.name for one in store.servers(deleted=True)}
    return Table(
        columns=(
            "ID",
            "Kind",
            "Server",
            "Host",
            "State",
            "Owner",
            "Started",
            Column("Owner State", "long"),
            Column("Updated", "long"),
            Column("Finished", "long"),
            Column("Fault", "long"),
            Column("Server ID", "asked"),
        ),
        rows=[
            (
                one.id,
                one.kind,
                names.get(one.server or "", one.server),
                one.host,
                one.state.value,
                one.owner,
                stamp(one.started),
                _owner_state(context, one),
                stamp(one.updated),
                stamp(one.finished),
                one.fault,
                one.server,
            )
            for one in store.operations(unfinished=not every, server=identity)
        ],
    )


@shower
@click.argument("operation", metavar="OPERATION")
def operation_show(context: Context, *, operation: str) -> Record:
    """Show one operation with its steps, by its id or the beginning of it."""
    store = context.app.store
    found = store.operation(operation)
    return Record(
        fields={
            "fault": found.fault,
            "finished": stamp(found.finished),
            "host": found.host,
            "id": found.id,
            "kind": found.kind,
            "next": _next(context, found),
            "owner": found.owner,
            "owner_state": _owner_state(context, found),
            "saga": f"{found.saga} {found.version}",
            "server": _server_name(context, found),
            "server_id": found.server,
            "started": stamp(found.started),
            "state": found.state.value,
            "steps": steps_cell(step_runs(store.journal_of(found.id))),
            "updated": stamp(found.updated),
        }
    )


def _server_name(context: Context, found: Operation) -> str | None:
    if found.server is None:
        return None
    try:
        return context.app.store.server(found.server).name
    except NotFound:
        return found.server


def _owner_state(context: Context, found: Operation) -> Shown:
    """Say whether its owner is known to be gone; of one that is over nobody asks."""
    if found.state is not OperationState.RUNNING:
        return Shown(None, "-")
    word = "gone" if context.app.leases.is_dead(found.id) else "at work"
    return Shown(word, word)


def _next(context: Context, found: Operation) -> str | None:
    """Say what brings it to its end."""
    match found.state:
        case OperationState.RUNNING if not context.app.leases.is_dead(found.id):
            return "its owner is at work: wait for it"
        case OperationState.RUNNING | OperationState.STUCK:
            return f"vmctl operation resume {found.id}, or unwind {found.id}"
        case OperationState.OWED if found.saga == CLEANUP.name:
            return (
                f"vmctl operation resume {found.id} takes away what is left; to leave it as it is:"
                f" vmctl operation unwind {found.id}"
            )
        case OperationState.OWED:
            return f"vmctl operation resume {found.id}, once {found.host or 'its host'} answers"
    return None
