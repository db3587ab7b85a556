"""``vmctl flavor …``: the sizes that servers come in."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action, lister, shower
from vmctl.cli.output import Column, Record, Table
from vmctl.cli.properties import for_each, pairs, without

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.catalog import Flavor

_SIZE = click.IntRange(min=0)
_GIB = 1024


@shower
@click.argument("name", metavar="NAME")
@click.option("--id", "identity", metavar="ID", default="auto", help="a unique id (auto: a uuid)")
@click.option("--ram", metavar="MB", type=click.IntRange(min=1), default=256, help="memory (256)")
@click.option("--disk", metavar="GB", type=_SIZE, default=0, help="root disk (0: as the image)")
@click.option("--ephemeral", metavar="GB", type=_SIZE, default=0, help="a second disk (0)")
@click.option("--swap", metavar="MB", type=_SIZE, default=0, help="a disk for swap (0)")
@click.option("--vcpus", metavar="N", type=click.IntRange(min=1), default=1, help="vCPUs (1)")
@click.option("--rxtx-factor", type=float, hidden=True)
@click.option("--public/--private", "public", default=True, help="whether lists show it (public)")
@click.option(
    "--property", "properties", metavar="KEY=VALUE", multiple=True, help="an extra spec; repeatable"
)
@click.option("--description", metavar="TEXT", help="words for people")
def flavor_create(
    context: Context,
    *,
    name: str,
    identity: str,
    ram: int,
    disk: int,
    ephemeral: int,
    swap: int,
    vcpus: int,
    public: bool,
    properties: tuple[str, ...],
    description: str | None,
    **_others: object,
) -> Record:
    """Make a flavor."""
    from vmctl.domain.catalog import Flavor

    flavor = Flavor(
        id=str(uuid.uuid4()) if identity == "auto" else identity,
        name=name,
        vcpus=vcpus,
        memory=ram,
        disk=disk * _GIB,
        ephemeral=ephemeral * _GIB,
        swap=swap,
        public=public,
        description=description,
        properties=pairs(properties),
    )
    context.app.catalog.add_flavor(flavor)
    return _shown(flavor)


@lister
@click.option("--public", "which", flag_value="public", default=True, help="public ones (default)")
@click.option("--private", "which", flag_value="private", help="private ones")
@click.option("--all", "which", flag_value="all", help="both")
@click.option("--min-disk", metavar="GB", type=_SIZE, default=0, help="with at least this disk")
@click.option("--min-ram", metavar="MB", type=_SIZE, default=0, help="with at least this memory")
def flavor_list(context: Context, *, which: str, min_disk: int, min_ram: int) -> Table:
    """List the flavors, the smallest first."""
    found = [
        flavor
        for flavor in context.app.catalog.flavors()
        if (which == "all" or flavor.public == (which != "private"))
        and flavor.memory >= min_ram
        and flavor.disk >= min_disk * _GIB
    ]
    return Table(
        columns=(
            "ID",
            "Name",
            "RAM",
            "Disk",
            "Ephemeral",
            "VCPUs",
            "Is Public",
            Column("Swap", "long"),
            Column("RXTX Factor", "long"),
            Column("Properties", "long"),
        ),
        rows=[
            (
                flavor.id,
                flavor.name,
                flavor.memory,
                flavor.disk // _GIB,
                flavor.ephemeral // _GIB,
                flavor.vcpus,
                flavor.public,
                flavor.swap,
                1.0,
                dict(flavor.properties),
            )
            for flavor in found
        ],
    )


@shower
@click.argument("flavor", metavar="FLAVOR")
def flavor_show(context: Context, *, flavor: str) -> Record:
    """Show one flavor, by name or id."""
    return _shown(context.app.catalog.flavor(flavor))


@action
@click.argument("flavor", metavar="FLAVOR")
@click.option(
    "--property", "properties", metavar="KEY=VALUE", multiple=True, help="an extra spec; repeatable"
)
@click.option("--no-property", is_flag=True, help="drop those that are there first")
@click.option("--description", metavar="TEXT", help="words for people")
def flavor_set(
    context: Context,
    *,
    flavor: str,
    properties: tuple[str, ...],
    no_property: bool,
    description: str | None,
) -> None:
    """Set extra specs or the description; servers that are there keep what they have."""
    new = pairs(properties)

    def change(held: Flavor) -> Flavor:
        kept = {} if no_property else dict(held.properties)
        said = held.description if description is None else description
        return replace(held, properties=kept | new, description=said)

    context.app.catalog.change_flavor(flavor, change)


@action
@click.argument("flavor", metavar="FLAVOR")
@click.option(
    "--property",
    "properties",
    metavar="KEY",
    multiple=True,
    help="the extra spec to drop; repeatable",
)
def flavor_unset(context: Context, *, flavor: str, properties: tuple[str, ...]) -> None:
    """Drop extra specs."""
    context.app.catalog.change_flavor(
        flavor, lambda held: replace(held, properties=without(held.properties, properties))
    )


@action
@click.argument("flavors", metavar="FLAVOR…", nargs=-1, required=True)
def flavor_delete(context: Context, *, flavors: tuple[str, ...]) -> None:
    """Delete flavors; servers made from them keep what they have."""
    for_each(context, "flavor", flavors, context.app.catalog.delete_flavor)


def _shown(flavor: Flavor) -> Record:
    return Record(
        fields={
            "OS-FLV-DISABLED:disabled": False,
            "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral // _GIB,
            "access_project_ids": None,
            "description": flavor.description,
            "disk": flavor.disk // _GIB,
            "id": flavor.id,
            "name": flavor.name,
            "os-flavor-access:is_public": flavor.public,
            "properties": dict(flavor.properties),
            "ram": flavor.memory,
            "rxtx_factor": 1.0,
            "swap": flavor.swap,
            "vcpus": flavor.vcpus,
        }
    )
