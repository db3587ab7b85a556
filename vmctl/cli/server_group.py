"""``vmctl server group …``: servers that are to stand together or apart."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action, lister, shower
from vmctl.cli.output import Column, Record, Table
from vmctl.cli.properties import for_each, pairs
from vmctl.domain.catalog import GROUP_POLICIES
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.catalog import ServerGroup

_RULE = "max_server_per_host"


@shower
@click.argument("name", metavar="NAME")
@click.option(
    "--policy",
    type=click.Choice(GROUP_POLICIES),
    required=True,
    help="how its servers stand to each other",
)
@click.option(
    "--rule",
    "rules",
    metavar=f"{_RULE}=N",
    multiple=True,
    help="for anti-affinity: so many of them may share a host (1)",
)
def server_group_create(
    context: Context, *, name: str, policy: str, rules: tuple[str, ...]
) -> Record:
    """Make a server group."""
    from vmctl.domain.catalog import ServerGroup

    group = ServerGroup(
        id=str(uuid.uuid4()),
        name=name,
        project=context.config.project or "",
        policy=policy,
        max_server_per_host=_most(policy, pairs(rules, "--rule")),
    )
    context.app.catalog.add_group(group)
    return _shown(group)


def _most(policy: str, rules: dict[str, str]) -> int:
    word = rules.pop(_RULE, None)
    if rules:
        raise UsageError(f"--rule: there is no rule {', '.join(rules)}", hint=f"{_RULE}=N")
    if word is None:
        return 1
    if policy != "anti-affinity":
        raise UsageError(f"--rule: {_RULE} belongs to anti-affinity, not to {policy}")
    if not word.isdecimal() or int(word) < 1:
        raise UsageError(f"--rule: {_RULE} must be a whole number from 1 on, not {word!r}")
    return int(word)


@lister
@click.option("--all-projects", is_flag=True, help="those of all projects (default: without one)")
def server_group_list(context: Context, *, all_projects: bool) -> Table:
    """List the server groups: of the project that is chosen, or all if none is."""
    project = None if all_projects else context.config.project
    return Table(
        columns=(
            "ID",
            "Name",
            "Policy",
            Column("Members", "long"),
            Column("Project Id", "long"),
            Column("User Id", "long"),
        ),
        rows=[
            (group.id, group.name, group.policy, list(group.members), group.project, "")
            for group in context.app.catalog.groups()
            if project is None or group.project == project
        ],
    )


@shower
@click.argument("group", metavar="GROUP")
def server_group_show(context: Context, *, group: str) -> Record:
    """Show one server group, by name or id."""
    return _shown(context.app.catalog.group(group))


@action
@click.argument("groups", metavar="GROUP…", nargs=-1, required=True)
def server_group_delete(context: Context, *, groups: tuple[str, ...]) -> None:
    """Delete server groups; their servers live on."""
    for_each(context, "server group", groups, context.app.catalog.delete_group)


def _shown(group: ServerGroup) -> Record:
    limited = group.policy == "anti-affinity"
    return Record(
        fields={
            "id": group.id,
            "members": list(group.members),
            "name": group.name,
            "policy": group.policy,
            "project_id": group.project,
            "rules": {_RULE: group.max_server_per_host} if limited else {},
            "user_id": "",
        }
    )
