"""``vmctl security group …``: what may reach a server, and what it may reach."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action, lister, shower
from vmctl.cli.output import Record, Table
from vmctl.cli.properties import for_each
from vmctl.cli.security_rule import rule_words

if TYPE_CHECKING:
    from vmctl.cli.context import Context
    from vmctl.domain.catalog import SecurityGroup


@shower
@click.argument("name", metavar="NAME")
@click.option("--description", metavar="TEXT", help="words for people")
@click.option("--stateful", is_flag=True, hidden=True)
def security_group_create(
    context: Context, *, name: str, description: str | None, **_others: object
) -> Record:
    """Make a security group that lets everything out and nothing in."""
    from vmctl.domain.catalog import SecurityGroup, SecurityRule
    from vmctl.domain.spec import RuleUse

    group = SecurityGroup(
        id=str(uuid.uuid4()),
        name=name,
        project=context.config.project or "",
        description=name if description is None else description,
        rules=tuple(
            SecurityRule(id=str(uuid.uuid4()), rule=RuleUse(direction="egress", ethertype=family))
            for family in ("IPv4", "IPv6")
        ),
    )
    context.app.catalog.add_security_group(group)
    return _shown(context.app.catalog.security_group(group.id))


@lister
def security_group_list(context: Context) -> Table:
    """List the security groups."""
    return Table(
        columns=("ID", "Name", "Description", "Project", "Tags", "Shared"),
        rows=[
            (one.id, one.name, one.description, one.project, [], False)
            for one in context.app.catalog.security_groups()
        ],
    )


@shower
@click.argument("group", metavar="GROUP")
def security_group_show(context: Context, *, group: str) -> Record:
    """Show one security group with its rules, by name or id."""
    return _shown(context.app.catalog.security_group(group))


@action
@click.argument("group", metavar="GROUP")
@click.option("--name", metavar="NAME", help="a new name")
@click.option("--description", metavar="TEXT", help="words for people")
def security_group_set(
    context: Context, *, group: str, name: str | None, description: str | None
) -> None:
    """Change what a security group is called."""

    def change(held: SecurityGroup) -> SecurityGroup:
        return replace(
            held,
            name=held.name if name is None else name,
            description=held.description if description is None else description,
        )

    context.app.catalog.change_security_group(group, change)


@action
@click.argument("groups", metavar="GROUP…", nargs=-1, required=True)
def security_group_delete(context: Context, *, groups: tuple[str, ...]) -> None:
    """Delete security groups; servers that were made with them keep their rules."""
    for_each(context, "group", groups, context.app.catalog.delete_security_group)


def _shown(group: SecurityGroup) -> Record:
    return Record(
        fields={
            "description": group.description,
            "id": group.id,
            "is_shared": False,
            "name": group.name,
            "project_id": group.project,
            "rules": [rule_words(one) for one in group.rules],
            "stateful": True,
            "tags": [],
        }
    )
