"""The options by which a request for servers is described, and the request made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

from vmctl.cli.properties import pairs
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from vmctl.cli.context import Context
    from vmctl.domain.request import RequestSpec

F = TypeVar("F", bound="Callable[..., object]")

_WHAT_IF = (
    click.option("--remove", "removed", metavar="HOST", multiple=True,
                 help="as if this host were not there; repeatable"),
    click.option("--add-host", "added", metavar="name=…,vcpus=…,memory=…,disk=…", multiple=True,
                 help="as if there were this host too, with dedicated_cpus=N beside if it has any;"
                      " repeatable"),
)  # fmt: skip

_WISHES = (
    click.option("--flavor", metavar="FLAVOR", help="name or id"),
    click.option("--image", metavar="IMAGE", help="name or id"),
    click.option("--availability-zone", "zone", metavar="ZONE[:HOST]",
                 help="in this zone; with a host: on it, whatever the filters say"),
    click.option("--host", metavar="HOST", help="on this host, if it passes the filters"),
    click.option("--hint", "hints", metavar="KEY=VALUE", multiple=True,
                 help="different_host, same_host, query or group; repeatable"),
    click.option("--server-group", "group", metavar="GROUP", help="name or id"),
    click.option("--network", "networks", metavar="NETWORK", multiple=True,
                 help="on this network; repeatable (the inventory's default one)"),
    click.option("--pool", metavar="POOL", help="its disks in this storage pool"),
    click.option("--label", "labels", metavar="KEY=VALUE", multiple=True,
                 help="on hosts with this label, where the policy has Label; repeatable"),
    click.option("--property", "properties", metavar="KEY=VALUE", multiple=True,
                 help="as server create has it; it moves no server"),
    click.option("--name", "names", metavar="NAME", multiple=True,
                 help="a name that no guest there may bear; repeatable"),
)  # fmt: skip


def what_if_options(function: F) -> F:
    """Give a command the options of fleets that are not."""
    return _all(_WHAT_IF, function)


def wish_options(function: F) -> F:
    """Give a command the options that say which servers are wanted, and where."""
    return _all(_WISHES, function)


def _all(options: Iterable[Callable[[F], F]], function: F) -> F:
    for option in reversed(tuple(options)):
        function = option(function)
    return function


class Wishes(TypedDict):
    """What those options said, by the names of the parameters."""

    flavor: str | None
    image: str | None
    zone: str | None
    host: str | None
    hints: tuple[str, ...]
    group: str | None
    networks: tuple[str, ...]
    pool: str | None
    labels: tuple[str, ...]
    properties: tuple[str, ...]
    names: tuple[str, ...]


def request_of(
    context: Context, wishes: Wishes, *, count: int = 1, at_least: int | None = None
) -> RequestSpec:
    """Resolve every name, and say of all that a create would refuse too."""
    from vmctl.domain.request import RequestSpec

    if at_least is not None and at_least > count:
        raise UsageError(f"--min {at_least} is more than the {count} that are asked for")
    if wishes["flavor"] is None:
        raise UsageError("missing option '--flavor'", hint="vmctl flavor list")
    pairs(wishes["properties"])
    catalog, inventory = context.app.catalog, context.app.inventory
    kind = catalog.flavor(wishes["flavor"])
    picture = catalog.image(wishes["image"]) if wishes["image"] else None
    if picture is not None and (misfit := picture.misfit(kind)):
        raise UsageError(misfit, hint="vmctl flavor list")
    place, _, forced = (wishes["zone"] or "").partition(":")
    wanted = tuple(inventory.network(name).name for name in wishes["networks"])
    if not wanted and inventory.default_network is not None:
        wanted = (inventory.default_network.name,)
    said = hints_of(wishes["hints"])
    group = wishes["group"] or _text(said.pop("group", None))
    for asked in (wishes["host"], forced):
        if asked:
            inventory.host(asked)
    return RequestSpec(
        flavor=kind.spec,
        count=count,
        min_count=at_least,
        image=picture.spec if picture else None,
        availability_zone=place or None,
        host=wishes["host"],
        force_host=forced or None,
        group=catalog.group(group).name if group else None,
        hints=said,
        labels=pairs(wishes["labels"], "--label"),
        networks=wanted,
        pool=wishes["pool"],
        names=wishes["names"],
        project=context.config.project,
    )


def hints_of(words: Iterable[str]) -> dict[str, object]:
    """Read hints; one that is given several times is a list, as openstack sends it."""
    found: dict[str, object] = {}
    for word in words:
        ((key, value),) = pairs((word,), "--hint").items()
        held = found.get(key)
        if held is None:
            found[key] = value
        else:
            found[key] = [*held, value] if isinstance(held, list) else [held, value]
    return found


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def read_file(path: str) -> object:
    """Read a file of JSON or YAML as data; - is stdin."""
    import json
    import sys
    from pathlib import Path

    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is no text: {error}") from error
    if text.lstrip().startswith("{"):
        try:
            data: object = json.loads(text)
        except ValueError:
            pass  # YAML may begin so too, and says more exactly what is wrong
        else:
            return data
    import yaml

    try:
        data = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is neither JSON nor YAML: {error}") from error
    return data
