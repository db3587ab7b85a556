"""Commands on several servers at once: which are meant, each to its own end, and one verdict."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import click

from vmctl.cli.similar import closest
from vmctl.errors import HostError, Interrupted, NotFound, TimedOut, UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from vmctl.cli.context import Context
    from vmctl.domain.record import Server
    from vmctl.services.recovery import Recovery

F = TypeVar("F", bound="Callable[..., object]")

AT_ONCE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What was meant: the servers that are there, each once, and what is not."""

    servers: list[Server]
    errors: list[VmctlError]

    @property
    def asked(self) -> int:
        """How many were meant."""
        return len(self.servers) + len(self.errors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """Those to whom something was done, as they are then, and what to raise of the others."""

    servers: list[Server]
    fault: Exception | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One server to be acted upon."""

    name: str
    server: Server


NAMED = click.argument("servers", metavar="SERVER…", nargs=-1)
ON_HOST = click.option(
    "--host", "hosts", metavar="HOST", multiple=True, help="and those on this host; repeatable"
)
ALL_PROJECTS = click.option(
    "--all-projects", is_flag=True, help="whatever project they are in, not of the chosen one only"
)
LIKE = (
    click.option("--tag", "tags", metavar="TAG", multiple=True,
                 help="and those with this tag; repeatable: with all of them"),
    click.option("--host", "hosts", metavar="HOST", multiple=True,
                 help="and those on this host, of those with the tags if there are any;"
                 " repeatable: on any of them"),
    ALL_PROJECTS,
)  # fmt: skip
CHOOSING = (NAMED, *LIKE)


def with_options(options: Sequence[Callable[[F], F]]) -> Callable[[F], F]:
    """Give a decorator that adds these options in their order."""

    def add(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return add


def choose(
    context: Context,
    words: Iterable[str],
    *,
    verb: str,
    tags: Sequence[str] = (),
    hosts: Sequence[str] = (),
    reservation: str | None = None,
    all_projects: bool = False,
    ignore_missing: bool = False,
) -> Chosen:
    """Find the servers that are meant; a word that means none is an error among the others.

    Those that are named, whatever they are, and those of the chosen project that are like all that
    is said by tag, host and reservation. That there are none is said, and no error.
    """
    store = context.app.store
    said = read_words(words)
    if not said and not tags and not hosts and reservation is None:
        other = "--reservation-id" if verb == "delete" else "--host"
        raise UsageError(f"which server? give names or ids, --tag or {other}")
    found: dict[str, Server] = {}
    errors: list[VmctlError] = []
    for word in said:
        try:
            server = store.server(word)
            if server.deleted is not None:
                raise NotFound(f"No Server found for {word}: it is deleted already")
        except VmctlError as error:
            if not ignore_missing:
                errors.append(
                    type(error)(
                        f"Failed to {verb} server with name or ID '{word}': {error.message}",
                        hint=error.hint,
                    )
                )
            continue
        found[server.id] = server
    project = None if all_projects else context.config.project
    if tags or hosts or reservation is not None:
        servers = store.servers()
        _refuse_unknown(context, hosts, servers)
        found |= {
            server.id: server
            for server in servers
            if set(tags) <= _tags_of(server)
            and (not hosts or server.host in hosts)
            and reservation in (None, server.reservation)
            and project in (None, server.project)
        }
    if not found and not errors and not ignore_missing:
        where = "" if project is None else f" in project {project}"
        context.say(f"no server is like that{where}: nothing was done")
    return Chosen(servers=list(found.values()), errors=errors)


def _tags_of(server: Server) -> set[object]:
    held = server.spec.get("tags")
    return set(held) if isinstance(held, list) else set()


def _refuse_unknown(context: Context, hosts: Sequence[str], servers: Iterable[Server]) -> None:
    """Raise NotFound for a host that is neither written down, nor on record, nor has servers."""
    unknown = set(hosts) - {server.host for server in servers}
    if not unknown:
        return
    known = {one.name for one in context.app.store.hosts()}
    if context.config.inventory is not None:
        known |= context.app.host_names()
    for name in hosts:
        if name in unknown and name not in known:
            close = closest(name, known)
            meant = " or ".join(repr(one) for one in close)
            hint = f"Did you mean {meant}?" if close else "vmctl host list"
            raise NotFound(f"No Host found for {name}", hint=hint)


def read_words(words: Iterable[str]) -> list[str]:
    """Give each word once; - stands for those on stdin."""
    found: list[str] = []
    for word in words:
        if word == "-":
            found += sys.stdin.read().split()
        else:
            found.append(word)
    return list(dict.fromkeys(found))


@contextmanager
def looking_together(
    context: Context, chosen: Chosen, tell: Callable[[str], None] = lambda _: None
) -> Iterator[Recovery]:
    """Give what deeds take, for the block; other hosts are asked once for all these servers."""
    from vmctl.services.believing import together

    recovery = together(context.app.recovery(tell), chosen.servers)
    try:
        yield recovery
    finally:
        if recovery.survey is not None:
            say_silent(context, recovery.survey.silent)


def look_at_each(
    context: Context,
    chosen: Chosen,
    look: Callable[[Recovery, Server], Server],
    *,
    verb: str,
    done: str,
) -> Ended:
    """Find those to which it would be done, as they are now; what is in the way is an error."""
    with looking_together(context, chosen, context.say) as recovery:
        return on_all(context, chosen, lambda one: look(recovery, one), verb=verb, done=done)


def tell_chosen(context: Context, servers: Iterable[Server]) -> None:
    """Print of which servers it was that something would be done to them."""
    context.write("".join(f"{one.name} ({one.id}) on {one.host}\n" for one in servers))


def say_silent(context: Context, silent: Mapping[str, VmctlError]) -> None:
    """Tell who wants to know it of hosts where servers were looked for in vain, to be safe."""
    if not context.options.verbose:
        return
    for host, why in sorted(silent.items()):
        words = why.message if isinstance(why, HostError) else f"{host}: {why.message}"
        context.say(f"{words}: whether anything of these servers is there is not known")


def on_all(
    context: Context, chosen: Chosen, act: Callable[[Server], Server], *, verb: str, done: str
) -> Ended:
    """Act on each server, and give those with whom it went well beside the verdict."""
    ended: dict[str, Server] = {}
    fault = None

    def one(server: Server) -> None:
        ended[server.id] = act(server)

    try:
        side_by_side(context, chosen, one, verb=verb, done=done)
    except Exception as error:  # noqa: BLE001 - it is raised once the others were told of
        fault = error
    return Ended(servers=[ended[it.id] for it in chosen.servers if it.id in ended], fault=fault)


def side_by_side(
    context: Context, chosen: Chosen, act: Callable[[Server], object], *, verb: str, done: str
) -> None:
    """Act on each server, and raise one verdict where some were not to be."""
    from vmctl.services.fanout import Failed, fanout

    ended = fanout(
        lambda job: act(job.server), [Job(one.id, one) for one in chosen.servers], AT_ONCE
    )
    failures: list[Exception] = list(chosen.errors)
    failures += [one.error for one in ended.values() if isinstance(one, Failed)]
    conclude(context, failures, chosen.asked, verb=verb, done=done)


def conclude(
    context: Context, failures: list[Exception], asked: int, *, verb: str, done: str
) -> None:
    """Raise the only failure there is, or say each and raise how many there were."""
    how_many = f"{len(failures)} of {asked} servers"
    conclude_as(
        context,
        failures,
        asked,
        {
            Interrupted: f"{how_many} were not {done}.",
            TimedOut: f"{how_many} were not {done} in time.",
            VmctlError: f"{how_many} failed to {verb}.",
        },
    )


def conclude_as(
    context: Context,
    failures: list[Exception],
    asked: int,
    verdicts: Mapping[type[VmctlError], str],
) -> None:
    """Raise the only failure there is, or say each and raise the verdict on all of them."""
    if not failures:
        return
    bug = next((one for one in failures if not isinstance(one, VmctlError)), None)
    if bug is not None:
        raise bug
    if asked == 1:
        raise failures[0]
    for failure in failures:
        context.say(str(failure))
    kind: type[VmctlError] = VmctlError
    if any(isinstance(one, Interrupted) for one in failures):
        kind = Interrupted
    elif all(isinstance(one, TimedOut) for one in failures):
        kind = TimedOut
    raise kind(verdicts[kind])
