"""Servers by the thousand from an SQLite database, as lists tell of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from vmctl.collecting import no_collecting
from vmctl.domain.server_line import HostWord, ServerLine, networks_of, sources_of

if TYPE_CHECKING:
    import sqlite3

    from vmctl.domain.server_line import Seen

_SERVERS = """
    SELECT id, name, project, host, attempt, state, task, power, {spec}, created, updated,
        launched, deleted, locked, seen_at, boot, reservation, seen, also
    FROM servers WHERE deleted IS NULL OR :deleted ORDER BY name, created, id"""
_WHOLE = _SERVERS.format(spec="spec, NULL, NULL")
# To read all of every spec would cost as much as all else together.
_BRIEF = _SERVERS.format(
    spec="json_extract(spec, '$.flavor.name'), json_extract(spec, '$.image.id'),"
    " json_extract(spec, '$.image.name')"
)
_CARDS = """
    SELECT nics.server, nics.number, nics.position, nics.network, nics.mac, addresses.address
    FROM nics LEFT JOIN addresses USING (server, number, position)
    ORDER BY nics.server, nics.number, nics.position, addresses.place"""
# What a sample does not say is not in it, so the word alone tells; quotes inside of other words
# are escaped there, so nothing else can look like it.
_HOSTS = """
    SELECT name, boot, seen, failed, enabled, instr(sample, '"libvirt_error":') AS error
    FROM hosts"""

_NONE: list[Seen] = []
_NOBODY: dict[str, list[str]] = {}
_Cards = dict[tuple[str, int], list[tuple[str, str, list[str]]]]


def lines(db: sqlite3.Connection, *, deleted: bool, whole: bool) -> list[ServerLine]:
    """List servers by name, those that were deleted only on request.

    Unless the `whole` is asked for, a spec holds the names of flavor and image, and no more.
    """
    with no_collecting():
        cards = _cards(db)
        # Plain tuples: to ask a row for each of its columns by name takes twice as long.
        rows = _plain(db, _WHOLE if whole else _BRIEF, deleted=deleted)
        return [_line(row, cards, whole=whole) for row in rows]


def _line(row: tuple[Any, ...], cards: _Cards, *, whole: bool) -> ServerLine:
    one, name, project, host, attempt, state, task, power, *rest = row
    text, image_id, image, *rest, seen, also = rest
    spec: dict[str, object]
    if whole:
        spec = json.loads(text)
    else:
        spec = {"flavor": {"name": text}, "image": {"id": image_id, "name": image}}
    there = _seen(seen) if seen != "[]" else _NONE
    networks = networks_of(cards.get((one, attempt), ()), there)
    others = tuple(json.loads(also)) if also != "[]" else ()
    sources = sources_of(there) if there else _NOBODY
    plain = (one, name, project, host, state, task, power, spec, *rest, networks, others, sources)
    return ServerLine._make(plain)


def host_words(db: sqlite3.Connection) -> dict[str, HostWord]:
    """Say of every host on record whether its servers can be vouched for."""
    found = {}
    for name, boot, seen, failed, enabled, error in _plain(db, _HOSTS):
        answered = seen is not None and (failed is None or failed <= seen)
        found[name] = HostWord(
            boot=boot,
            down=bool(error) if answered else failed is not None,
            enabled=bool(enabled),
            asked=seen is not None or failed is not None,
        )
    return found


def _cards(db: sqlite3.Connection) -> _Cards:
    found: _Cards = {}
    last = None
    for server, number, position, network, mac, address in _plain(db, _CARDS):
        at = (server, number, position)
        if at != last:
            held: list[str] = []
            found.setdefault((server, number), []).append((network, mac, held))
            last = at
        if address is not None:
            held.append(address)
    return found


def _seen(text: str) -> list[Seen]:
    return [(one["mac"], one["address"], one["source"]) for one in json.loads(text)]


def _plain(db: sqlite3.Connection, query: str, **values: object) -> sqlite3.Cursor:
    cursor = db.cursor()
    cursor.row_factory = None
    return cursor.execute(query, values)
