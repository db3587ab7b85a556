"""The options by which servers are told apart, and what is asked for made of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vmctl.cli.properties import pairs
from vmctl.cli.server_words import moment
from vmctl.domain.record import Power, ServerState
from vmctl.domain.server_line import spec_text
from vmctl.errors import UsageError
from vmctl.services.finding import STATUSES, Wanted, image_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from vmctl.cli.context import Context
    from vmctl.domain.server_line import ServerLine

F = TypeVar("F", bound="Callable[..., object]")

_STATES = click.Choice([state.value for state in ServerState])
_POWERS = click.Choice([power.value for power in Power])

_OPTIONS = (
    click.option("--name", metavar="REGEX", help="whose name this is found in"),
    click.option("--instance-name", metavar="REGEX", help="the same; the domain bears that name"),
    click.option("--ip", metavar="REGEX", help="with such an IPv4 address"),
    click.option("--ip6", metavar="REGEX", help="with such an IPv6 address"),
    click.option("--status", type=click.Choice(STATUSES), metavar="STATUS",
                 help="of this status, such as ACTIVE, ERROR, SHUTOFF or UNKNOWN"),
    click.option("--vm-state", type=_STATES, metavar="STATE", help="in this state, as recorded"),
    click.option("--task-state", metavar="TASK", help="to which this is being done"),
    click.option("--power-state", "power", type=_POWERS, metavar="POWER",
                 help="last seen so, such as running or shutdown"),
    click.option("--flavor", metavar="FLAVOR", help="of this flavor, by name or id"),
    click.option("--image", metavar="IMAGE", help="made from this image, by name or id"),
    click.option("--host", metavar="HOST", help="on this host"),
    click.option("--availability-zone", "zone", metavar="ZONE", help="in this zone"),
    click.option("--key-name", metavar="KEYPAIR", help="that were given this keypair"),
    click.option("--reservation-id", "reservation", metavar="ID",
                 help="that one create made together"),
    click.option("--user", metavar="LOGIN", help="that this login created"),
    click.option("--tags", metavar="TAG", multiple=True, help="with this tag; repeatable"),
    click.option("--not-tags", metavar="TAG", multiple=True,
                 help="without this tag; of several, without one of them"),
    click.option("--property", "properties", metavar="KEY=VALUE", multiple=True,
                 help="with this property; repeatable"),
    click.option("--deleted", is_flag=True, help="that were deleted"),
    click.option("--changes-since", metavar="TIME", help="changed since then, deleted ones too"),
    click.option("--changes-before", metavar="TIME", help="not changed after that"),
    click.option("--locked", is_flag=True, help="that are locked"),
    click.option("--unlocked", is_flag=True, help="that are not"),
    click.option("--config-drive", is_flag=True, help="with a seed"),
    click.option("--no-config-drive", is_flag=True, help="without one"),
    click.option("--stale", is_flag=True,
                 help="not seen for five minutes, or not since the host went down or booted"),
)  # fmt: skip


def list_options(function: F) -> F:
    """Give a command the options that say which servers are meant."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def wanted_of(context: Context, asked: Mapping[str, Any], *, all_projects: bool) -> Wanted:
    """Make of what was said what is asked of servers; flavor and image still as they were said."""
    held = {name: asked[name] for name in _PLAIN}
    since, before = asked["changes_since"], asked["changes_before"]
    return Wanted(
        **held,
        project=None if all_projects else context.config.project,
        properties=pairs(asked["properties"]),
        changed_since=moment(since, "changes-since") if since else None,
        changed_before=moment(before, "changes-before") if before else None,
        locked=_either(asked, "locked", "unlocked"),
        config_drive=_either(asked, "config_drive", "no_config_drive"),
    )


_PLAIN = (
    *("name", "instance_name", "ip", "ip6", "status", "vm_state", "task_state", "power"),
    *("flavor", "image", "host", "zone", "key_name", "reservation", "user"),
    *("tags", "not_tags", "deleted", "stale"),
)


def resolved(context: Context, wanted: Wanted, lines: Sequence[ServerLine]) -> Wanted:
    """Look up a flavor or an image that no server's record knows by that word; NotFound says so."""
    flavor, image = wanted.flavor, wanted.image
    if flavor is not None and not any(
        spec_text(line.spec, "flavor", "name") == flavor for line in lines
    ):
        wanted = replace(wanted, flavor=context.app.catalog.flavor(flavor).name)
    if image is not None and not any(image in image_of(line) for line in lines):
        wanted = replace(wanted, image=context.app.catalog.image(image).id)
    return wanted


def _either(asked: Mapping[str, Any], yes: str, no: str) -> bool | None:
    if asked[yes] and asked[no]:
        both = [f"--{name.replace('_', '-')}" for name in (yes, no)]
        raise UsageError(f"{' and '.join(both)} exclude each other")
    return True if asked[yes] else False if asked[no] else None
