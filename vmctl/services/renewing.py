"""What a server's own domain tells of it that its record does not know yet.

So it is where the database was put back from a backup: another system may have taken the first
one's place since. Whoever wrote the old plan over the domain would lose the disks that it has.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from vmctl.domain.build import Build
from vmctl.domain.exchange import supersedes
from vmctl.domain.plain import from_plain, to_plain
from vmctl.domain.server_record import Maker, from_xml, is_of_first, made_by
from vmctl.domain.spec import ServerSpec
from vmctl.sagas import SET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.machine import Machine
    from vmctl.domain.record import Attempt, Server
    from vmctl.ports import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Newer:
    """What a record is to say: the plan, and fields of the spec in their plain form."""

    plan: Mapping[str, object]
    fields: Mapping[str, object]


def newer(
    store: Store, server: Server, attempt: Attempt, machine: Machine, at: float
) -> Newer | None:
    """Give what a domain, seen at that time, tells of a system that its record is from before."""
    record = machine.record or ""
    if is_of_first(record) or attempt.updated > at:
        return None
    build = from_plain(Build, attempt.plan)
    if made_by(record) != Maker(store.uuid(), server.id, attempt.number):
        return None
    try:
        found = from_xml(record)
    except ValueError:
        return None
    told = found.build
    own = all(one.name.startswith(f"{server.id}-") for one in told.held)
    if not supersedes(told, build) or not own or told.pool != build.pool:
        return None
    plan = replace(
        build,
        base=told.base,
        volumes=told.volumes,
        spare=told.spare,
        generation=told.generation,
    )
    return Newer(plan=to_plain(plan), fields=_fields(store, server, found.spec))


def _fields(store: Store, server: Server, told: ServerSpec) -> Mapping[str, object]:
    """Give what the spec is to say: the name follows the domain's, and what is owed it stays."""
    before = from_plain(ServerSpec, server.spec)
    if told.image.url is None and told.image.digest == before.image.digest:
        told = replace(told, image=replace(told.image, url=before.image.url))
    kept = {"name", *_said_since(store, server)}
    plain = to_plain(told)
    return {
        one.name: plain[one.name]
        for one in fields(ServerSpec)
        if one.name not in kept and getattr(told, one.name) != getattr(before, one.name)
    }


def _said_since(store: Store, server: Server) -> set[str]:
    """Name what was said of a server that its host is yet to hear of."""
    found: set[str] = set()
    for one in store.operations(unfinished=True, server=server.id):
        before, after = one.params.get("before"), one.params.get("spec")
        if one.saga == SET.name and isinstance(before, dict) and isinstance(after, dict):
            found |= {name for name, value in after.items() if before.get(name) != value}
    return found
