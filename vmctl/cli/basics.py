"""``vmctl command …``: the command line about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.cli.command import lister
from vmctl.cli.output import Table

if TYPE_CHECKING:
    from vmctl.cli.context import Context


@lister
def command_list(context: Context) -> Table:
    """List the commands."""
    return Table(
        columns=("Command", "Description"),
        rows=[
            (name, command.help)
            for name, command in sorted(context.commands.items())
            if not command.hidden
        ],
    )
