"""How images are shown."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from vmctl.cli.output import Record
from vmctl.domain.url import told

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.catalog import Image

SIZE = click.IntRange(min=0)
GIB = 1024
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def shown(context: Context, image: Image, *, readable: bool = False) -> Record:
    """Show an image with openstack's fields, and ours: its URL, and whether its bytes are here."""
    return Record(
        fields={
            "checksum": image.checksum,
            "container_format": "bare" if image.checksum else None,
            "created_at": _stamp(image.created),
            "disk_format": image.format,
            "id": image.id,
            "min_disk": image.min_disk // GIB,
            "min_ram": image.min_memory,
            "name": image.name,
            "properties": dict(image.properties),
            "protected": image.protected,
            "size": _size(image.size, readable=readable),
            "status": image.status,
            "updated_at": _stamp(image.updated),
            "virtual_size": _size(image.virtual_size, readable=readable),
            "visibility": "public",
            "vmctl:kept": context.app.kept_images.has(image.checksum),
            "vmctl:url": None if image.url is None else told(image.url),
        }
    )


def _size(size: int | None, *, readable: bool) -> int | str | None:
    if size is None or not readable:
        return size
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size} {_UNITS[0]}" if not unit else f"{amount:.1f} {_UNITS[unit]}"


def _stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))
