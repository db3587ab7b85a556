"""``vmctl image …``: images as they are on record, and their bytes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action, lister, shower
from vmctl.cli.image_fields import GIB, SIZE, shown
from vmctl.cli.meter import meter
from vmctl.cli.output import Column, Record, Table
from vmctl.cli.properties import for_each, pairs, without
from vmctl.domain.url import told
from vmctl.errors import Conflict, Locked, UsageError

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.catalog import Image


def _sort(_context: click.Context, _option: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise UsageError(
            "--sort is not there", hint="--sort-column COLUMN, and --sort-descending beside it"
        )


@lister
@click.option("--name", metavar="NAME", help="only the one of this name")
@click.option("--status", metavar="STATUS", help="only those of this status (active, queued)")
@click.option(
    "--property",
    "properties",
    metavar="KEY=VALUE",
    multiple=True,
    help="only those with this property; repeatable",
)
@click.option("--public", "visibility", flag_value="public", hidden=True)
@click.option("--private", "visibility", flag_value="private", hidden=True)
@click.option("--shared", "visibility", flag_value="shared", hidden=True)
@click.option("--community", "visibility", flag_value="community", hidden=True)
@click.option("--all", "visibility", flag_value="all", hidden=True)
@click.option("--sort", metavar="KEY", hidden=True, expose_value=False, callback=_sort)
def image_list(
    context: Context,
    *,
    name: str | None,
    status: str | None,
    properties: tuple[str, ...],
    **_others: object,
) -> Table:
    """List the images."""
    wanted = pairs(properties)
    return Table(
        columns=(
            "ID",
            "Name",
            Column("Disk Format", "long"),
            Column("Container Format", "long"),
            Column("Size", "long"),
            Column("Checksum", "long"),
            "Status",
            Column("Visibility", "long"),
            Column("Protected", "long"),
            Column("Min Disk", "long"),
            Column("Min RAM", "long"),
            Column("Properties", "long"),
            Column("URL", "asked"),
        ),
        rows=[
            (
                image.id,
                image.name,
                image.format,
                "bare" if image.checksum else None,
                image.size,
                image.checksum,
                image.status,
                "public",
                image.protected,
                image.min_disk // GIB,
                image.min_memory,
                dict(image.properties),
                None if image.url is None else told(image.url),
            )
            for image in context.app.catalog.images()
            if (name is None or image.name == name)
            and (status is None or image.status == status.lower())
            and wanted.items() <= image.properties.items()
        ],
    )


@shower
@click.argument("image", metavar="IMAGE")
@click.option("--human-readable", is_flag=True, help="sizes with a unit")
def image_show(context: Context, *, image: str, human_readable: bool) -> Record:
    """Show one image, by name or id."""
    return shown(context, context.app.catalog.image(image), readable=human_readable)


@action
@click.argument("image", metavar="IMAGE")
@click.option("--name", metavar="NAME", help="a new name")
@click.option("--min-disk", metavar="GB", type=SIZE, help="the least root disk")
@click.option("--min-ram", metavar="MB", type=SIZE, help="the least memory")
@click.option(
    "--property", "properties", metavar="KEY=VALUE", multiple=True, help="a property; repeatable"
)
@click.option(
    "--protected/--unprotected", "protected", default=None, help="whether it cannot be deleted"
)
def image_set(
    context: Context,
    *,
    image: str,
    name: str | None,
    min_disk: int | None,
    min_ram: int | None,
    properties: tuple[str, ...],
    protected: bool | None,
) -> None:
    """Change what is on record of an image."""
    new = pairs(properties)

    def change(held: Image) -> Image:
        return replace(
            held,
            name=held.name if name is None else name,
            min_disk=held.min_disk if min_disk is None else min_disk * GIB,
            min_memory=held.min_memory if min_ram is None else min_ram,
            properties={**held.properties, **new},
            protected=held.protected if protected is None else protected,
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
    """Delete images, and their bytes here unless another image has the same.

    Servers that were made from them live on, and what hosts have of them stays until it is pruned.
    """
    app = context.app

    def delete(word: str) -> None:
        with app.kept_images.changing():
            found = app.catalog.image(word)
            if found.protected:
                raise Locked(
                    f"the image {found.name} is protected",
                    hint=f"vmctl image set --unprotected {found.name}",
                )
            app.catalog.delete_image(found.id)
            digest = found.checksum
            if digest and all(one.checksum != digest for one in app.catalog.images()):
                app.kept_images.drop(digest)

    for_each(context, "image", images, delete)


@action
@click.argument("image", metavar="IMAGE")
@click.option("--file", metavar="FILE", required=True, help="where to write the bytes")
def image_save(context: Context, *, image: str, file: str) -> None:
    """Write an image's bytes into a file: from here, from a host that has them, or by its URL."""
    found = context.app.catalog.image(image)
    if found.checksum is None:
        raise Conflict(f"the image {found.name} is a record without bytes")
    with meter(context, file) as tick:
        context.app.save_image(found, Path(file), tick)
