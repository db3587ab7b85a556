"""The columns of ``vmctl server list``, named as openstack names them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.cli.cells import Shown, addresses
from vmctl.cli.server_words import power_cell, stamp
from vmctl.domain.server_line import NEVER_ASKED, spec_text, status_of
from vmctl.services.finding import image_of, properties_of, tags_of, zone_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.domain.server_line import HostWord, ServerLine

    Cell = Callable[[ServerLine], object]
    Columns = list[tuple[str, str, Cell]]


def columns_of(
    hosts: Mapping[str, HostWord],
    zones: Mapping[str, str],
    *,
    flavors: Mapping[str, str],
    long: bool,
    as_ids: bool,
    projects: bool,
    more: bool,
) -> Columns:
    """Give name, occasion and cell of each column; without `more`, only those always shown.

    Flavors are ids by name, for whoever asks for them.
    """
    image = 0 if as_ids else 1
    columns: Columns = [
        ("ID", "always", lambda line: line.id),
        ("Name", "always", lambda line: line.name),
        ("Status", "always", lambda line: status_of(line, hosts)),
        ("Task State", "long", lambda line: line.task),
        ("Power State", "long", lambda line: power_cell(line.power)),
        ("Networks", "always", lambda line: addresses(line.networks, line.sources)),
        ("Image", "asked" if long else "always", lambda line: image_of(line)[image]),
        ("Image Name", "long", lambda line: image_of(line)[1]),
        ("Image ID", "long", lambda line: image_of(line)[0]),
        ("Flavor", "always", lambda line: spec_text(line.spec, "flavor", "name")),
        ("Flavor Name", "asked", lambda line: spec_text(line.spec, "flavor", "name")),
        ("Flavor ID", "asked", lambda line: _flavor_id(line, flavors)),
        ("Availability Zone", "long", lambda line: zone_of(line, zones)),
        (
            "Pinned Availability Zone",
            "long",
            lambda line: spec_text(line.spec, "availability_zone"),
        ),
        ("Host", "long", lambda line: line.host),
        ("Properties", "long", lambda line: dict(properties_of(line))),
        ("Host Status", "long", lambda line: _host_status(line, hosts)),
        ("Address Sources", "long", _sources),
        ("Project ID", "always" if projects else "asked", lambda line: line.project),
        *_ASKED,
    ]
    return [column for column in columns if more or column[1] == "always"]


def _host_status(line: ServerLine, hosts: Mapping[str, HostWord]) -> str:
    return "" if line.host is None else hosts.get(line.host, NEVER_ASKED).status


def _sources(line: ServerLine) -> Shown:
    """Say of each address by whom it was seen, or that it was planned and never seen."""
    shown = [one for each in line.networks.values() for one in each]
    found = {one: line.sources.get(one) or ["planned"] for one in (*shown, *line.sources)}
    return Shown(found, "; ".join(f"{one} {'+'.join(by)}" for one, by in found.items()))


def _flavor_id(line: ServerLine, flavors: Mapping[str, str]) -> str | None:
    """Give the id of the flavor that bears the name of the one it was made of."""
    return flavors.get(spec_text(line.spec, "flavor", "name") or "")


def _hints(line: ServerLine) -> dict[str, object]:
    """Give what was said to whoever placed it, its server group too."""
    held = line.spec.get("hints")
    group = spec_text(line.spec, "group")
    return {**(held if isinstance(held, dict) else {}), **({"group": group} if group else {})}


def _groups(line: ServerLine) -> list[str]:
    held = line.spec.get("security_groups")
    return [str(name) for name in held] if isinstance(held, list) else []


_ASKED: Columns = [
    ("User ID", "asked", lambda line: spec_text(line.spec, "created_by")),
    ("Created At", "asked", lambda line: stamp(line.created)),
    ("Updated At", "asked", lambda line: stamp(line.updated)),
    ("Launched At", "asked", lambda line: stamp(line.launched)),
    ("Terminated At", "asked", lambda line: stamp(line.deleted)),
    ("Last Seen", "asked", lambda line: stamp(line.seen_at)),
    ("Security Groups", "asked", _groups),
    ("Description", "asked", lambda line: spec_text(line.spec, "description")),
    ("Key Name", "asked", lambda line: spec_text(line.spec, "key_name")),
    ("Locked", "asked", lambda line: line.locked is not None),
    ("Reservation ID", "asked", lambda line: line.reservation),
    ("Tags", "asked", tags_of),
    ("Scheduler Hints", "asked", _hints),
]
