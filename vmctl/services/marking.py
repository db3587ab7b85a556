"""What operators say of servers by hand: no host is asked, and what is under way goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.domain.operation import Event

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.operation import Actor
    from vmctl.domain.record import Server, ServerState
    from vmctl.ports import Store


def lock(store: Store, server: Server, actor: Actor, reason: str | None) -> bool:
    """Keep everybody's hands off a server; one that is locked is locked for this reason now."""
    event = _event(server, actor, "server-lock", reason)
    return store.lock(server.id, reason or "", event=event)


def unlock(store: Store, server: Server, actor: Actor, reason: str | None) -> bool:
    """Let a server be acted upon again."""
    event = _event(server, actor, "server-unlock", reason)
    return store.lock(server.id, None, event=event)


def protect(store: Store, server: Server, actor: Actor, reason: str | None, *, on: bool) -> bool:
    """Have a server protected from being deleted, or not any more."""
    word = "server-protect" if on else "server-unprotect"
    return store.protect(server.id, on=on, event=_event(server, actor, word, reason))


def reset(
    store: Store, server: Server, actor: Actor, reason: str | None, state: ServerState
) -> bool:
    """Have a server be active or in error on record, whatever it is; the next look corrects it."""
    turned = {"before": server.state.value, "after": state.value}
    event = _event(server, actor, "server-reset-state", reason, turned)
    return store.reset(server.id, state, event=event)


def _event(
    server: Server,
    actor: Actor,
    action: str,
    reason: str | None,
    detail: Mapping[str, object] | None = None,
) -> Event:
    return Event(
        actor=actor,
        action=action,
        result="done",
        server=server.id,
        host=server.host,
        detail={**(detail or {}), **({"reason": reason} if reason else {})},
    )
