"""``vmctl server lock`` and ``unlock``: what nobody is to touch, and may again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.cli.acting import ACTING, meant, tell_chosen, with_options
from vmctl.cli.command import action
from vmctl.cli.several import conclude, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.cli.context import Context
    from vmctl.domain.operation import Actor
    from vmctl.domain.record import Server
    from vmctl.ports import Store

    Mark = Callable[[Store, Server, Actor, str | None], bool]


@action
@with_options(ACTING)
def server_lock(context: Context, **said: object) -> str | None:
    """Lock servers: nothing is done to them until they are unlocked, by nobody.

    Whatever they are and whether their hosts answer or not. --reason is told to whoever tries;
    for one that is locked already it is the reason from now on.
    """
    from vmctl.services.marking import lock

    return _mark(context, lock, "lock", said)


@action
@with_options(ACTING)
def server_unlock(context: Context, **said: object) -> str | None:
    """Unlock servers; one that is not locked stays as it is."""
    from vmctl.services.marking import unlock

    return _mark(context, unlock, "unlock", said)


def _mark(context: Context, mark: Mark, verb: str, said: dict[str, object]) -> str | None:
    """Mark each server that is meant; quiet when done."""
    chosen = meant(context, said, verb)
    if said["dry_run"]:
        tell_chosen(context, chosen.servers)
        conclude(context, list(chosen.errors), chosen.asked, verb=verb, done=f"{verb}ed")
        return None
    store, actor = context.app.store, context.app.actor
    reason = str(said["reason"]) if said["reason"] else context.options.reason

    def do(server: Server) -> None:
        mark(store, server, actor, reason)

    side_by_side(context, chosen, do, verb=verb, done=f"{verb}ed")
    return None
