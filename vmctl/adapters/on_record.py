"""Reading the record the quick way where there is one, and else as the store does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.adapters import fastread
from vmctl.adapters.location import SqliteFile
from vmctl.errors import StateError

if TYPE_CHECKING:
    from collections.abc import Callable

    from vmctl.adapters.location import Location
    from vmctl.adapters.store import SqlStore
    from vmctl.domain.host_record import HostRecord
    from vmctl.domain.server_line import HostWord, ServerLine

    OpenStore = Callable[[], SqlStore]


def hosts(
    location: Location, store: OpenStore
) -> tuple[dict[str, HostRecord], dict[str, set[str]]]:
    """Read the record of every host, and which servers hold claims on it."""
    if isinstance(location, SqliteFile):
        if not location.path.exists():
            return {}, {}
        try:
            with fastread.reading(location.path) as db:
                records, claimed = fastread.overview(db)
            return {one.name: one for one in records}, claimed
        except StateError:
            pass  # the store tells what is wrong, or mends it
    claimed = {}
    for claim in store().claims():
        claimed.setdefault(claim.host, set()).add(claim.server)
    return {one.name: one for one in store().hosts()}, claimed


def servers(
    location: Location,
    store: OpenStore,
    *,
    known: frozenset[str] | None,
    deleted: bool,
    whole: bool,
) -> tuple[list[ServerLine], dict[str, HostWord]]:
    """Read every server as lists tell of it, and what can be said of every host.

    `known` are the hosts that the inventory has, if there is one: nobody can ask the others.
    """
    from vmctl.domain.server_line import NEVER_ASKED

    lines, words = _servers(location, store, deleted=deleted, whole=whole)
    if known is not None:
        for host in {line.host for line in lines}.difference(known, (None,)):
            words[str(host)] = words.get(str(host), NEVER_ASKED)._replace(known=False)
    return lines, words


def _servers(
    location: Location, store: OpenStore, *, deleted: bool, whole: bool
) -> tuple[list[ServerLine], dict[str, HostWord]]:
    from vmctl.domain.server_line import line_of, word_of

    if isinstance(location, SqliteFile):
        if not location.path.exists():
            return [], {}
        from vmctl.adapters import server_lines

        try:
            with fastread.reading(location.path) as db:
                found = server_lines.lines(db, deleted=deleted, whole=whole)
                return found, server_lines.host_words(db)
        except StateError:
            pass  # likewise
    words = {record.name: word_of(record) for record in store().hosts()}
    return [line_of(server) for server in store().servers(deleted=deleted)], words
