"""``vmctl image create``: from a file, from a URL, or as a record alone."""

from __future__ import annotations

import re
import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import shower
from vmctl.cli.image_fields import GIB, SIZE, shown
from vmctl.cli.meter import meter
from vmctl.cli.properties import pairs
from vmctl.errors import NameTaken, UsageError, VmctlError

if TYPE_CHECKING:
    from vmctl.adapters.kept_images import Bytes
    from vmctl.cli.context import Context
    from vmctl.cli.output import Record
    from vmctl.domain.catalog import Image

_CHECKSUM = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


@shower
@click.argument("name", metavar="NAME")
@click.option("--id", "identity", metavar="ID", help="a unique id (a uuid)")
@click.option("--file", metavar="FILE", help="the bytes; they are kept beside the database")
@click.option(
    "--url", metavar="URL", help="where hosts fetch the bytes by themselves (http, https)"
)
@click.option("--checksum", metavar="sha256:HEX", help="what the bytes must be")
@click.option("--min-disk", metavar="GB", type=SIZE, default=0, help="the least root disk (0)")
@click.option("--min-ram", metavar="MB", type=SIZE, default=0, help="the least memory (0)")
@click.option(
    "--property",
    "properties",
    metavar="KEY=VALUE",
    multiple=True,
    help="a property, such as hw_architecture=x86_64; repeatable",
)
@click.option(
    "--protected/--unprotected", default=False, help="whether it cannot be deleted (it can)"
)
@click.option("--disk-format", metavar="FORMAT", help="refused if the bytes are something else")
@click.option("--container-format", type=click.Choice(("bare",)), hidden=True)
@click.option("--public", "visibility", flag_value="public", hidden=True)
@click.option("--private", "visibility", flag_value="private", hidden=True)
@click.option("--shared", "visibility", flag_value="shared", hidden=True)
@click.option("--community", "visibility", flag_value="community", hidden=True)
@click.option("--progress", is_flag=True, hidden=True)
def image_create(
    context: Context,
    *,
    name: str,
    identity: str | None,
    file: str | None,
    url: str | None,
    checksum: str | None,
    min_disk: int,
    min_ram: int,
    properties: tuple[str, ...],
    protected: bool,
    disk_format: str | None,
    **_others: object,
) -> Record:
    """Make an image of a file or of what is behind a URL; its format is found in the bytes.

    With neither, it is a record that placement can be asked about, and no server comes of it.
    """
    from vmctl.domain.catalog import Image

    if file and url:
        raise UsageError("--file and --url exclude each other")
    if not file and not url and (checksum or disk_format):
        raise UsageError("--checksum and --disk-format are about bytes: give --file or --url")
    wanted = _digest(checksum)
    image = Image(
        id=identity or str(uuid.uuid4()),
        name=name,
        min_disk=min_disk * GIB,
        min_memory=min_ram,
        properties=pairs(properties),
        protected=protected,
    )
    # Before gigabytes are moved for nothing; the record itself has the last word.
    if any(one.name == name for one in context.app.catalog.images()):
        raise NameTaken("an image of this name is there already", hint=f"vmctl image show {name}")
    if file:
        return shown(context, _of_file(context, image, file, wanted, disk_format))
    if url:
        return shown(context, _of_url(context, image, url, wanted, disk_format))
    return shown(context, context.app.catalog.add_image(image))


def _of_file(
    context: Context, image: Image, file: str, wanted: str | None, asked: str | None
) -> Image:
    kept = context.app.kept_images
    with meter(context, file) as tick, kept.draft(file, tick) as draft:
        _check(file, draft.bytes, wanted, asked)
        with kept.changing():
            had = kept.has(draft.bytes.digest)
            draft.keep()
            try:
                return context.app.catalog.add_image(_with(image, draft.bytes))
            except VmctlError:
                if not had:
                    kept.drop(draft.bytes.digest)
                raise


def _of_url(
    context: Context, image: Image, url: str, wanted: str | None, asked: str | None
) -> Image:
    from vmctl.adapters.image_url import check_url, measure, peek
    from vmctl.adapters.kept_images import Bytes
    from vmctl.domain.url import told

    check_url(url)
    size = None
    if wanted is not None:
        detected, size = peek(url)
    if wanted is not None and size is not None:
        # What lands on a host is verified there.
        found = Bytes(digest=wanted, size=size, detected=detected)
    else:
        why = "its sha256" if wanted is None else "its size, which the server does not say"
        context.say(f"reading {told(url)} once, for {why}")
        with meter(context, told(url)) as tick:
            found = measure(url, tick)
    _check(told(url), found, wanted, asked)
    return context.app.catalog.add_image(replace(_with(image, found), url=url))


def _with(image: Image, found: Bytes) -> Image:
    return replace(
        image,
        status="active",
        checksum=found.digest,
        size=found.size,
        format=found.detected.format,
        virtual_size=found.detected.virtual_size,
    )


def _check(what: str, found: Bytes, wanted: str | None, asked: str | None) -> None:
    if wanted is not None and found.digest != wanted:
        raise VmctlError(
            f"{what}: the checksum is wrong: wanted sha256 {wanted}, found {found.digest}"
        )
    if asked is not None and asked != found.detected.format:
        raise UsageError(
            f"{what} is {found.detected.format} by its bytes, and --disk-format says {asked}",
            hint="leave --disk-format out: the bytes tell",
        )


def _digest(checksum: str | None) -> str | None:
    if checksum is None:
        return None
    match = _CHECKSUM.fullmatch(checksum)
    if match is None:
        raise UsageError(
            f"--checksum: {checksum!r} is not sha256:HEX with 64 digits", hint="sha256sum FILE"
        )
    return match[1].lower()
