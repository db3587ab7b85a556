"""``vmctl quota …``: how much the servers of a project may take."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action, lister
from vmctl.cli.output import Column, Table
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from vmctl.cli.context import Context

_LIMIT = click.IntRange(min=-1)


@lister
@click.argument("project", metavar="[PROJECT]", required=False)
@click.option("--usage", is_flag=True, help="show what is used beside the limits")
@click.option("--default", "default", is_flag=True, help="show what holds where nothing is set")
def quota_show(context: Context, *, project: str | None, usage: bool, default: bool) -> Table:
    """Show the quotas of a project, else of the one that is chosen; -1 is no limit."""
    quota = context.app.catalog.quota(project or context.config.project or "")
    return Table(
        columns=(
            "Resource",
            "Limit",
            Column("In Use", "always" if usage else "long"),
        ),
        rows=[
            (name, -1 if default else limit, quota.used[name])
            for name, limit in quota.limits.items()
        ],
    )


@action
@click.argument("project", metavar="[PROJECT]", required=False)
@click.option("--instances", metavar="N", type=_LIMIT, help="how many servers")
@click.option("--cores", metavar="N", type=_LIMIT, help="how many vCPUs in all")
@click.option("--ram", metavar="MB", type=_LIMIT, help="how much memory in all")
@click.option("--force", is_flag=True, help="even below what is used")
def quota_set(context: Context, *, project: str | None, force: bool, **limits: int | None) -> None:
    """Set the quotas of a project, else of the one that is chosen; -1 takes a limit away."""
    said = {name: most for name, most in limits.items() if most is not None}
    if not said:
        raise UsageError("nothing to set", hint="give --instances, --cores or --ram")
    context.app.catalog.set_quota(project or context.config.project or "", said, force=force)
