"""``vmctl db …``: the operators' record itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action, shower
from vmctl.cli.output import Record

if TYPE_CHECKING:
    from vmctl.cli.context import Context


@shower
def db_version(context: Context) -> Record:
    """Show where the database is, which one it is and which version its tables have."""
    store = context.app.store_of_any_version
    return Record(
        fields={
            "database": str(context.app.location),
            "uuid": store.uuid(),
            "version": store.version(),
            "latest": context.app.latest_version,
        }
    )


@action
def db_upgrade(context: Context) -> None:
    """Bring the tables of an older database up to this vmctl."""
    before, after = context.app.store_of_any_version.upgrade()
    if before == after:
        context.say(f"{context.app.location} is at version {after} already")
    else:
        context.say(f"upgraded {context.app.location} from version {before} to {after}")


@action
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="write over a file that is there already")
def db_backup(context: Context, *, file: Path, replace: bool) -> None:
    """Write a whole, consistent copy of the database while others go on working."""
    context.app.store_of_any_version.backup(file, replace=replace)
    context.say(f"wrote {file}")


@action
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
def db_restore(context: Context, *, file: Path) -> None:
    """Put a backup in the place of the database; what it replaces is kept beside it."""
    aside = context.app.restore(file)
    context.say(f"restored {context.app.location} from {file}")
    if aside is not None:
        context.say(f"what was there before is kept as {aside}")
