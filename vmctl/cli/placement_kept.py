"""``vmctl placement explain SERVER``: why it stands where it does, as it was decided then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.cli.placement import tell, whole, write_json
from vmctl.cli.server_words import stamp, the_server, zones_of_hosts
from vmctl.errors import NotFound, StateError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.cli.context import Context
    from vmctl.domain.placement import Placement


def explain_server(context: Context, word: str) -> int:
    """Tell a server's placement from the trace that was kept of it."""
    from vmctl.cli.placement_words import verdict_table
    from vmctl.scheduler.kept_answer import placement_from

    server = the_server(context, word)
    kept = context.app.store.placement_of(server.id)
    if kept is None:
        raise NotFound(
            f"nothing is on record of why {server.name} stands where it does",
            hint="it was not placed by a create, or by an older vmctl",
        )
    if whole(context):
        write_json(context, {"server": server.id, "at": stamp(kept.at), **kept.trace})
        return 0
    try:
        placement = placement_from(kept.trace)
    except ValueError as error:
        raise StateError(
            f"the trace of {server.name} cannot be read: {error}",
            hint="-f json shows it as it is",
        ) from error
    table = verdict_table(placement, placement.verdicts, zones_of_hosts(context), ())
    words = _words(placement, server.name, server.host, stamp(kept.at))
    tell(context, table, words)
    return 0


def _words(placement: Placement, name: str, host: str | None, at: str | None) -> Iterator[str]:
    if placement.failed is not None:
        yield f"{at}: {placement.failed}"
        return
    chosen = placement.choices[0].host if placement.choices else "?"
    spare = ", ".join(placement.choices[0].alternates) if placement.choices else ""
    yield f"{name} was placed on {chosen} at {at}" + (f"; next would be {spare}" if spare else "")
    if host is not None and host != chosen:
        yield f"it is on {host} now: its attempts tell why (vmctl server show {name})"
