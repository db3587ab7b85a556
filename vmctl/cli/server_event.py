"""``vmctl server event …``: what was done to a server, by whom, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.cells import Shown
from vmctl.cli.command import lister, shower
from vmctl.cli.event_words import fault_in, message, message_in, reason_in, steps_cell, who
from vmctl.cli.output import Column, Record, Table
from vmctl.cli.server_words import moment, stamp, the_server
from vmctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.action import Action
    from vmctl.domain.operation import Event


@lister
@click.argument("server", metavar="SERVER")
@click.option("--changes-since", metavar="TIME", help="those that went on since then")
@click.option("--changes-before", metavar="TIME", help="those that went no further after that")
@click.option("--marker", metavar="REQUEST", help="only those that stand after this one")
@click.option("--max-items", metavar="N", type=click.IntRange(min=0), help="at most N")
def server_event_list(
    context: Context,
    *,
    server: str,
    changes_since: str | None,
    changes_before: str | None,
    marker: str | None,
    max_items: int | None,
) -> Table:
    """List what was done to a server, the newest first; of a deleted one, by its id."""
    found = the_server(context, server)
    actions = list(reversed(context.app.store.actions(found.id)))
    if changes_since is not None:
        since = moment(changes_since, "changes-since")
        actions = [one for one in actions if one.updated >= since]
    if changes_before is not None:
        before = moment(changes_before, "changes-before")
        actions = [one for one in actions if one.updated <= before]
    if marker is not None:
        actions = actions[actions.index(_meant(actions, marker, found.name)) + 1 :]
    return Table(
        columns=(
            "Request ID",
            "Server ID",
            "Action",
            "Start Time",
            Column("Message", "long"),
            Column("Project ID", "long"),
            Column("User ID", "long"),
            Column("Client", "long"),
            Column("Host", "long"),
            Column("Result", "long"),
            Column("Updated At", "asked"),
        ),
        rows=[
            (
                _request(one),
                found.id,
                _name(one),
                stamp(one.started),
                _message(one),
                found.project,
                who(one.actor),
                one.actor.client if one.actor else None,
                _host(one),
                _result(one),
                stamp(one.updated),
            )
            for one in actions[:max_items]
        ],
    )


@shower
@click.argument("server", metavar="SERVER")
@click.argument("request", metavar="REQUEST")
def server_event_show(context: Context, *, server: str, request: str) -> Record:
    """Show one thing that was done to a server, step by step."""
    found = the_server(context, server)
    one = _meant(list(context.app.store.actions(found.id)), request, found.name)
    said = [
        {
            "at": stamp(event.at),
            "who": who(event.actor),
            "client": event.actor.client,
            "action": event.action,
            "result": event.result,
            "detail": dict(event.detail),
        }
        for event in one.events
    ]
    return Record(
        fields={
            "action": _name(one),
            "events": steps_cell(one.steps),
            "message": _message(one),
            "project_id": found.project,
            "request_id": _request(one),
            "server_id": found.id,
            "start_time": stamp(one.started),
            "updated_at": stamp(one.updated),
            "user_id": who(one.actor),
            "vmctl:client": one.actor.client if one.actor else None,
            "vmctl:host": _host(one),
            "vmctl:result": _result(one),
            "vmctl:said": Shown(said, "\n".join(map(_said, one.events))),
        }
    )


def _meant(actions: list[Action], word: str, server: str) -> Action:
    """Find what a request id means, or the beginning of just one."""
    found = [one for one in actions if _request(one) == word]
    found = found or [one for one in actions if _request(one).startswith(word)]
    if not found:
        raise NotFound(
            f"No event with request ID '{word}' found for server {server}",
            hint=f"vmctl server event list {server}",
        )
    if len(found) > 1:
        raise Conflict(f"{len(found)} events begin with {word}", hint="give more of it")
    return found[0]


def _request(one: Action) -> str:
    """Give the word that it is asked for by; an event that stands alone is called by its own id."""
    return one.request or f"event-{one.events[0].id}"


def _name(one: Action) -> str:
    """Call it as Nova does, where Nova has it."""
    return one.action.removeprefix("server-")


def _host(one: Action) -> str | None:
    return next((event.host for event in reversed(one.events) if event.host), None)


def _result(one: Action) -> str | None:
    """Say how it ended, or where it stands."""
    if one.state is not None and not one.state.over:
        return one.state.value
    return one.events[-1].result if one.events else one.state.value if one.state else None


def _message(one: Action) -> str | None:
    """Say what went wrong, as the operation has it or its last event, and what it was for."""
    fault = one.fault or (fault_in(one.events[-1]) if one.events else None)
    return message(fault, next(filter(None, map(reason_in, one.events)), None))


def _said(event: Event) -> str:
    """Say in a line who did what, when, how it ended, and what there is to tell of it."""
    line = f"{stamp(event.at)} {who(event.actor)}: {event.result}"
    told = message_in(event)
    return f"{line}: {told}" if told else line
