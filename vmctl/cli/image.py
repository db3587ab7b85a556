"""``vmctl image …``: images as they are on record."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action, lister, shower
from vmctl.cli.output import Column, Record, Table
from vmctl.cli.properties import for_each, pairs, without
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.catalog import Image

_SIZE = click.IntRange(min=0)
_GIB = 1024


@shower
@click.argument("name", metavar="NAME")
@click.option("--id", "identity", metavar="ID", help="a unique id (a uuid)")
@click.option("--file", metavar="FILE", hidden=True)
@click.option("--url", metavar="URL", hidden=True)
@click.option("--min-disk", metavar="GB", type=_SIZE, default=0, help="the least root disk (0)")
@click.option("--min-ram", metavar="MB", type=_SIZE, default=0, help="the least memory (0)")
@click.option(
    "--property",
    "properties",
    metavar="KEY=VALUE",
    multiple=True,
    help="a property, such as hw_architecture=x86_64; repeatable",
)
def image_create(
    context: Context,
    *,
    name: str,
    identity: str | None,
    file: str | None,
    url: str | None,
    min_disk: int,
    min_ram: int,
    properties: tuple[str, ...],
) -> Record:
    """Put an image on record: its name, its properties, and what it needs."""
    from vmctl.domain.catalog import Image

    if file or url:
        raise UsageError(
            "image create makes the record of an image and takes no bytes",
            hint=f"leave out {'--file' if file else '--url'}: placement asks for the record alone",
        )
    image = Image(
        id=identity or str(uuid.uuid4()),
        name=name,
        min_disk=min_disk * _GIB,
        min_memory=min_ram,
        properties=pairs(properties),
    )
    return _shown(context.app.catalog.add_image(image))


@lister
def image_list(context: Context) -> Table:
    """List the images."""
    return Table(
        columns=(
            "ID",
            "Name",
            "Status",
            Column("Checksum", "long"),
            Column("Min Disk", "long"),
            Column("Min RAM", "long"),
            Column("Properties", "long"),
        ),
        rows=[
            (
                image.id,
                image.name,
                image.status,
                image.checksum,
                image.min_disk // _GIB,
                image.min_memory,
                dict(image.properties),
            )
            for image in context.app.catalog.images()
        ],
    )


@shower
@click.argument("image", metavar="IMAGE")
def image_show(context: Context, *, image: str) -> Record:
    """Show one image, by name or id."""
    return _shown(context.app.catalog.image(image))


@action
@click.argument("image", metavar="IMAGE")
@click.option("--name", metavar="NAME", help="a new name")
@click.option("--min-disk", metavar="GB", type=_SIZE, help="the least root disk")
@click.option("--min-ram", metavar="MB", type=_SIZE, help="the least memory")
@click.option(
    "--property", "properties", metavar="KEY=VALUE", multiple=True, help="a property; repeatable"
)
def image_set(
    context: Context,
    *,
    image: str,
    name: str | None,
    min_disk: int | None,
    min_ram: int | None,
    properties: tuple[str, ...],
) -> None:
    """Change what is on record of an image."""
    new = pairs(properties)

    def change(held: Image) -> Image:
        return replace(
            held,
            name=held.name if name is None else name,
            min_disk=held.min_disk if min_disk is None else min_disk * _GIB,
            min_memory=held.min_memory if min_ram is None else min_ram,
            properties={**held.properties, **new},
        )

    context.app.catalog.change_image(image, change)


@action
@click.argument("image", metavar="IMAGE")
@click.option(
    "--property",
    "properties",
    metavar="KEY",
    multiple=True,
    help="the property to drop; repeatable",
)
def image_unset(context: Context, *, image: str, properties: tuple[str, ...]) -> None:
    """Drop properties."""
    context.app.catalog.change_image(
        image, lambda held: replace(held, properties=without(held.properties, properties))
    )


@action
@click.argument("images", metavar="IMAGE…", nargs=-1, required=True)
def image_delete(context: Context, *, images: tuple[str, ...]) -> None:
    """Delete images from the record."""
    for_each(context, "image", images, context.app.catalog.delete_image)


def _shown(image: Image) -> Record:
    return Record(
        fields={
            "checksum": image.checksum,
            "created_at": _stamp(image.created),
            "id": image.id,
            "min_disk": image.min_disk // _GIB,
            "min_ram": image.min_memory,
            "name": image.name,
            "properties": dict(image.properties),
            "status": image.status,
            "updated_at": _stamp(image.updated),
        }
    )


def _stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
