"""``vmctl server set`` and ``unset``: what is said of servers, their password, their state."""

from __future__ import annotations

import getpass
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from vmctl.cli.acting import PER_HOST, meant, with_options
from vmctl.cli.command import action
from vmctl.cli.deadline import TIMEOUT, Deadline
from vmctl.cli.properties import pairs
from vmctl.cli.several import (
    ALL_PROJECTS,
    NAMED,
    ON_HOST,
    conclude,
    looking_together,
    side_by_side,
)
from vmctl.domain.edits import Edits
from vmctl.errors import UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.cli.context import Context
    from vmctl.cli.several import Chosen
    from vmctl.domain.record import Server
    from vmctl.services.recovery import Recovery
    from vmctl.services.setting import Edited, Plan

_WHICH = (NAMED, ON_HOST, ALL_PROJECTS)
_HOW = (
    click.option("--wait", is_flag=True, help="accepted: it always waits until it is done"),
    click.option("--dry-run", is_flag=True, help="say what would change, and change nothing"),
    click.option("--reason", metavar="TEXT", help="why, for the events"),
    TIMEOUT,
)
_PINNED = "--pinned-availability-zone"
_SURE = (
    "This ends nothing and starts nothing: it is only written down, and the next look at the host"
    " corrects it. Set the state of {count} server{s}? [y/n] "
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to be otherwise of each server that is meant."""

    edits: Edits
    password: str | None = None
    state: str | None = None
    protected: bool | None = None

    @property
    def empty(self) -> bool:
        """Whether nothing is."""
        others = (self.password, self.state, self.protected)
        return self.edits == Edits() and all(one is None for one in others)


@action
@with_options(_WHICH)
@click.option("--name", metavar="NAME", help="a new name; the domain follows when it is off")
@click.option("--description", metavar="TEXT", help="a description")
@click.option(
    "--property", "properties", metavar="KEY=VALUE", multiple=True, help="a property; repeatable"
)
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="one more tag; repeatable")
@click.option("--hostname", metavar="NAME", help="the guest's name, from its next seed on")
@click.option("--password", metavar="PASSWORD", help="by the guest's agent; - reads it from stdin")
@click.option("--root-password", is_flag=True, help="the same, asked for on the terminal")
@click.option("--no-password", is_flag=True, help="accepted: no password is kept anywhere")
@click.option("--autostart/--no-autostart", default=None, help="whether it starts with its host")
@click.option("--protected/--unprotected", default=None, help="whether it cannot be deleted")
@click.option("--state", type=click.Choice(("active", "error")), help="its state on record")
@click.option("--auto-approve", is_flag=True, help="do not ask whether --state is meant")
@click.option(_PINNED, "pinned", metavar="ZONE", hidden=True)
@with_options(_HOW)
def server_set(context: Context, **said: object) -> str | None:
    """Change what is said of servers, on record and in their domains' own record.

    Where a host does not answer, a name, a description, tags and properties change on record, and
    the host is told later: operation list. --state only writes it down, for a server that is stuck
    in a state that it is not in.
    """
    if said["pinned"] is not None:
        raise UsageError(
            f"{_PINNED}: a server stays on its host, whatever zone that is in",
            hint="vmctl server create --availability-zone ZONE chooses where one is made",
        )
    chosen = _chosen(context, said, "set")
    wish = Wish(
        edits=Edits(
            name=_text(said, "name"),
            description=_text(said, "description"),
            hostname=_text(said, "hostname"),
            autostart=_flag(said, "autostart"),
            properties=pairs(_texts(said, "properties")),
            tags=_texts(said, "tags"),
        ),
        password=_password(context, said),
        state=_text(said, "state"),
        protected=_flag(said, "protected"),
    )
    if wish.edits.of_one and chosen.asked > 1:
        raise UsageError("--name and --hostname are for one server")
    if wish.empty and not said["no_password"]:
        raise UsageError("nothing to set", hint="vmctl help server set")
    return _apply(context, chosen, wish, said, "set")


@action
@with_options(_WHICH)
@click.option("--property", "properties", metavar="KEY", multiple=True, help="drop this property")
@click.option("--all-properties", is_flag=True, help="drop all of them")
@click.option("--description", is_flag=True, help="drop the description")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="drop this tag")
@click.option("--all-tags", is_flag=True, help="drop all of them")
@click.option(_PINNED, "pinned", is_flag=True, help="forget which zone was asked for")
@with_options(_HOW)
def server_unset(context: Context, **said: object) -> str | None:
    """Drop what is said of servers; what is not there is no fault."""
    if said["properties"] and said["all_properties"]:
        raise UsageError("--property and --all-properties exclude each other")
    if said["tags"] and said["all_tags"]:
        raise UsageError("--tag and --all-tags exclude each other")
    edits = Edits(
        drop_description=bool(said["description"]),
        drop_properties=_texts(said, "properties"),
        drop_tags=_texts(said, "tags"),
        all_properties=bool(said["all_properties"]),
        all_tags=bool(said["all_tags"]),
        drop_zone=bool(said["pinned"]),
    )
    if edits == Edits():
        raise UsageError("nothing to drop", hint="vmctl help server unset")
    return _apply(context, _chosen(context, said, "unset"), Wish(edits=edits), said, "unset")


def _chosen(context: Context, said: Mapping[str, object], verb: str) -> Chosen:
    """Find the servers that are meant: here a tag is what they get or lose, and chooses nothing."""
    return meant(context, {**said, "tags": ()}, verb)


def _apply(
    context: Context, chosen: Chosen, wish: Wish, said: Mapping[str, object], verb: str
) -> str | None:
    """Have each server that is meant as it is wished; quiet when done."""
    from vmctl.cli.interrupts import interruptible
    from vmctl.services.site import Slots

    reason = str(said["reason"]) if said["reason"] else context.options.reason
    if said["dry_run"]:
        _tell(context, chosen, wish, verb)
        return None
    if wish.state and not _is_meant(context, chosen, approved=bool(said["auto_approve"])):
        return None
    slots = Slots(PER_HOST)
    with (
        looking_together(context, chosen, context.say) as recovery,
        interruptible("ending what was begun") as asked,
    ):
        world = recovery.world
        limit = Deadline(said["deadline"], store=world.store, clock=world.clock, asked=asked)

        def do(server: Server) -> None:
            with slots.at(server.host or ""):
                _change(context, recovery, server, wish, reason=reason, limit=limit)

        side_by_side(context, chosen, do, verb=verb, done=verb)
    return None


def _change(
    context: Context,
    recovery: Recovery,
    server: Server,
    wish: Wish,
    *,
    reason: str | None,
    limit: Deadline,
) -> None:
    """Change one server: first what its guest must agree to, then what the record alone knows."""
    from vmctl.domain.deed import SET, SET_PASSWORD
    from vmctl.domain.record import ServerState
    from vmctl.services import marking, setting

    app = context.app
    store, actor = app.store, app.actor
    with limit.over(server, SET.verb):
        limit.check()
    plan = setting.planned(store, server, wish.edits)
    if wish.password is not None:
        with limit.over(server, SET_PASSWORD.verb):
            setting.set_password(recovery, server, wish.password, reason=reason, check=limit.check)
    if wish.state is not None:
        marking.reset(store, server, actor, reason, ServerState(wish.state))
    if wish.protected is not None:
        marking.protect(store, server, actor, reason, on=wish.protected)
    if plan.differences:
        with limit.over(server, SET.verb):
            edited = setting.set_server(recovery, plan, reason=reason, check=limit.check)
        _say(context, plan, edited)


def _look(context: Context, server: Server, wish: Wish) -> Plan:
    """Look a change through; raises all that can be known to be in its way."""
    from vmctl.domain.deed import SET_PASSWORD
    from vmctl.services.acting import admitted
    from vmctl.services.setting import planned

    app = context.app
    plan = planned(app.store, server, wish.edits)
    if wish.password is not None:
        admitted(app.recovery(context.say), server, SET_PASSWORD)
    return plan


def _say(context: Context, plan: Plan, edited: Edited) -> None:
    name = plan.new.name
    if edited.owed is not None:
        context.say(
            f"{name} is changed on record; {edited.owed} could not be asked and is to be told:"
            " vmctl operation list"
        )
    if edited.domain is not None:
        context.say(f"{name}: its domain is called {edited.domain} until it is off")


def _tell(context: Context, chosen: Chosen, wish: Wish, verb: str) -> None:
    """Print what would change of which server, and what is in the way of the others."""
    from vmctl.domain.plain import to_plain

    failures: list[Exception] = list(chosen.errors)
    for server in chosen.servers:
        try:
            plan = _look(context, server, wish)
        except VmctlError as error:
            failures.append(error)
            continue
        words = [
            f"{name} {to_plain(was)!r} -> {to_plain(now)!r}"
            for name, (was, now) in plan.differences.items()
        ]
        words += [f"state {wish.state}"] if wish.state else []
        words += ["a password"] if wish.password is not None else []
        if wish.protected is not None:
            words.append("protected" if wish.protected else "not protected")
        about = f"{server.name} ({server.id}) on {server.host}"
        context.write(f"{about}: {'; '.join(words) or 'nothing'}\n")
    conclude(context, failures, chosen.asked, verb=verb, done=verb)


def _is_meant(context: Context, chosen: Chosen, *, approved: bool) -> bool:
    """Ask whether a state is to be set by hand, where somebody is there to be asked."""
    if approved or context.options.yes or context.options.no_input or not sys.stdin.isatty():
        return True
    count = len(chosen.servers)
    while True:
        sys.stderr.write(_SURE.format(count=count, s="" if count == 1 else "s"))
        sys.stderr.flush()
        answer = sys.stdin.readline()
        if answer.strip().casefold() in ("y", "yes"):
            return True
        if not answer or answer.strip().casefold() in ("n", "no"):
            context.say("nothing was set")
            return False


def _password(context: Context, said: Mapping[str, object]) -> str | None:
    """Read the new password from where it was said to be."""
    given = said["password"]
    asked = [given is not None, bool(said["root_password"]), bool(said["no_password"])]
    if sum(asked) > 1:
        raise UsageError("--password, --root-password and --no-password exclude each other")
    if not any(asked[:2]):
        return None
    if given is None:
        found = _asked_for()
    elif given != "-":
        context.say(
            "warning: a password on the command line is seen by everyone on this machine;"
            " --password - reads it from stdin"
        )
        found = str(given)
    elif "-" in _texts(said, "servers"):
        raise UsageError("the servers and --password cannot both come from stdin")
    else:
        found = sys.stdin.readline().rstrip("\n")
    if not found or "\n" in found or "\0" in found:
        raise UsageError("--password: it is empty or has a line break")
    return found


def _asked_for() -> str:
    if not sys.stdin.isatty():
        raise UsageError(
            "--root-password asks on a terminal, and there is none", hint="--password - reads stdin"
        )
    found = getpass.getpass("New password: ")
    if getpass.getpass("Retype new password: ") != found:
        raise UsageError("the passwords are not the same")
    return found


def _text(said: Mapping[str, object], name: str) -> str | None:
    value = said[name]
    return None if value is None else str(value)


def _texts(said: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = said[name]
    return tuple(map(str, value)) if isinstance(value, tuple) else ()


def _flag(said: Mapping[str, object], name: str) -> bool | None:
    value = said[name]
    return None if value is None else bool(value)
