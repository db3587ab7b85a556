"""``vmctl inventory …`` and ``vmctl init``: the file that says what hosts there are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vmctl.cli.command import action

if TYPE_CHECKING:
    from vmctl.cli.context import Context


@action
def init(context: Context) -> str:
    """Write a first inventory: with this machine in it if it has libvirt, else an example.

    It goes to --inventory if that is given, else to the operator's own configuration folder.
    A file that is there already is never overwritten.
    """
    path, text = context.app.init_inventory(context.options.inventory)
    context.say(f"wrote {path}")
    return text


@action
def inventory_validate(context: Context) -> str:
    """Read the inventory and tell everything that is wrong with it, each with file and line."""
    found = context.app.check_inventory()
    counts = ", ".join(
        f"{len(things)} {word}{'' if len(things) == 1 else 's'}"
        for things, word in (
            (found.hosts, "host"),
            (found.networks, "network"),
            (found.aggregates, "aggregate"),
        )
    )
    return f"{found.path} is good: {counts}\n"


@action
@click.option("--host", metavar="HOST", help="this host alone")
@click.option(
    "-f", "--format", "form", type=click.Choice(["yaml", "json"]), default="yaml",
    help="output format (yaml)",
)  # fmt: skip
def inventory_show(context: Context, *, host: str | None, form: str) -> str:
    """Show the inventory as it holds: groups and defaults applied, every default said.

    What it prints is itself an inventory that means the same.
    """
    from vmctl.services.inventory import describe_host, describe_inventory

    inventory = context.app.inventory
    if host is None:
        shown = describe_inventory(inventory)
    else:
        shown = {"hosts": {host: describe_host(inventory.host(host))}}
    if form == "json":
        import json

        return json.dumps(shown, indent=2, ensure_ascii=False) + "\n"
    from vmctl.cli.yamltext import dump

    return dump(shown)
