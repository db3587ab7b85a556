"""What a create finds there already: by the names that it would give, or by its idempotency key."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.cli.create_result import shown
from vmctl.errors import NameTaken, Partial, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from vmctl.cli.context import Context
    from vmctl.cli.create_options import Words
    from vmctl.cli.output import Record, Table
    from vmctl.domain.record import Server
    from vmctl.services.order import Order
    from vmctl.services.site import Made
    from vmctl.services.wish import Wish

TIMEOUT = 600.0
Key = tuple[str, str]
"""An idempotency key, and the digest of what was asked for with it."""


def key_of(words: Words, wish: Wish, order: Order) -> Key | None:
    """Give the idempotency key, if there is one."""
    from vmctl.services.request_digest import digest_of

    word = words["idempotency_key"]
    if word is None:
        return None
    if not 0 < len(word) <= 64 or not word.isascii() or not word.isprintable():
        raise UsageError("--idempotency-key: 1 to 64 printable ASCII characters")
    return word, digest_of(wish, order, word)


def by_name(context: Context, wish: Wish, words: Words) -> tuple[Server, ...]:
    """Give the live servers that bear one of the names already, and say so."""
    from vmctl.domain.names import numbered

    names = numbered(wish.name, wish.count)

    def found() -> tuple[Server, ...]:
        live = {one.name: one for one in context.app.store.servers() if one.holds_name}
        return tuple(live[name] for name in names if name in live)

    return _settled(context, found, words, "there already")


def by_key(context: Context, key: Key, words: Words) -> tuple[Server, ...]:
    """Give what was made with this key before; what failed with it may be tried again."""

    def found() -> tuple[Server, ...]:
        use = context.app.store.idempotent(key[0])
        alive = tuple(one for one in use.servers if one.holds_name) if use else ()
        if use is not None and alive and use.request != key[1]:
            raise UsageError(
                f"--idempotency-key: {key[0]} was used for another request",
                hint="the same key means the same request; choose another one",
            )
        return alive

    return _settled(context, found, words, "made with this key already")


def _settled(
    context: Context, found: Callable[[], tuple[Server, ...]], words: Words, what: str
) -> tuple[Server, ...]:
    from vmctl.cli.interrupts import interruptible
    from vmctl.services.already import settled

    seconds = words["timeout"] or TIMEOUT
    with interruptible("waiting no longer") as check:
        there = settled(context.app.world, found, seconds=seconds, check=check, tell=context.say)
    if there:
        context.say(f"{', '.join(one.name for one in there)}: {what}")
    return there


def as_one(order: Order, there: Sequence[Server]) -> Order:
    """Have what is still to be made belong to the same create as what is there with its key."""
    reservation = next((one.reservation for one in there if one.reservation), None)
    if reservation is None:
        return order
    specs = tuple(replace(one, reservation=reservation) for one in order.specs)
    return replace(order, specs=specs)


def as_they_are(context: Context, there: Sequence[Server], words: Words) -> Record | Table:
    """Show servers that are all there, once they are as far as was asked."""
    from vmctl.cli.server_wait import conclude

    conclude(context, _late(context, there, words), len(there), words["wait_for"])
    return shown(context, there)


def with_those_there(
    context: Context, made: Record | Table, there: Sequence[Server], words: Words
) -> Record | Table:
    """Wait for what was there before as for what was made; less than all is a part of it."""
    from vmctl.cli.output import Table

    failures = _late(context, there, words)
    for failure in failures:
        context.say(str(failure))
    if failures and isinstance(made, Table) and not made.exit_code:
        return replace(made, exit_code=Partial.exit_code)
    return made


def _late(context: Context, there: Sequence[Server], words: Words) -> list[Exception]:
    """Wait for servers that are there, and give what is in the way of some."""
    from vmctl.cli.server_wait import goal_of, wait_side_by_side

    if words["wait_for"] == "active" or not there:
        return []
    seconds = words["timeout"] or TIMEOUT
    return wait_side_by_side(context, there, goal_of(words["wait_for"]), seconds)


def with_those_taken(
    context: Context, made: Sequence[Made], words: Words
) -> tuple[tuple[Made, ...], tuple[Server, ...]]:
    """Take servers that someone else was quicker to make for those that were asked for.

    They are waited for until they stand; one that then does not stays refused.
    """
    names = {one.spec.name for one in made if isinstance(one.fault, NameTaken)}
    if not names:
        return tuple(made), ()

    def found() -> tuple[Server, ...]:
        servers = context.app.store.servers()
        return tuple(one for one in servers if one.name in names and one.holds_name)

    taken = {one.name: one for one in _settled(context, found, words, "there already")}
    ended = []
    for one in made:
        other = taken.get(one.spec.name) if one.spec.name in names else None
        if other is None:
            ended.append(one)  # a machine on the host may bear the name, and is not ours
            continue
        spec = replace(one.spec, id=other.id)
        ended.append(replace(one, spec=spec, fault=None, up=True))
    return tuple(ended), tuple(taken.values())
