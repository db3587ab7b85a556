"""The options of ``server create``: openstack's own, ours, and those that are refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

F = TypeVar("F", bound="Callable[..., object]")

_COUNT = click.IntRange(min=1)
_SIZE = click.IntRange(min=1)

WAITS = ("active", "ip", "ssh", "cloud-init")

_OPTIONS = (
    click.option("--flavor", metavar="FLAVOR", required=True, help="name or id"),
    click.option("--image", metavar="IMAGE", help="name or id"),
    click.option("--image-property", "image_properties", metavar="KEY=VALUE", multiple=True,
                 help="the image that has this property; repeatable"),
    click.option("--network", "cards", metavar="NETWORK", multiple=True,
                 help="a card on this network; repeatable, the order is the cards'"),
    click.option("--nic", "cards", metavar="net-id=…,v4-fixed-ip=…,v6-fixed-ip=…,tag=…",
                 multiple=True, help="the same with a fixed address; or none, or auto"),
    click.option("--no-network", "no_network", is_flag=True, help="no network card at all"),
    click.option("--auto-network", "auto_network", is_flag=True,
                 help="a card on the inventory's default network (default)"),
    click.option("--key-name", metavar="KEY", help="the keypair that lets you in"),
    click.option("--user-data", metavar="FILE", help="for cloud-init; - is stdin"),
    click.option("--file", "files", metavar="PATH=FILE", multiple=True,
                 help="put this file there in the guest; repeatable"),
    click.option("--password", metavar="PASSWORD",
                 help="of the guest's first user; - reads it from stdin"),
    click.option("--property", "properties", metavar="KEY=VALUE", multiple=True,
                 help="metadata of the server; repeatable"),
    click.option("--tag", "tags", metavar="TAG", multiple=True, help="a tag; repeatable"),
    click.option("--description", metavar="TEXT", help="what it is for"),
    click.option("--hostname", metavar="NAME", help="what the guest calls itself (its name)"),
    click.option("--availability-zone", "zone", metavar="ZONE[:HOST]",
                 help="in this zone; with a host: on it, whatever the filters say"),
    click.option("--host", metavar="HOST", help="on this host, if it passes the filters"),
    click.option("--hypervisor-hostname", "hypervisor", metavar="HOST", help="the same"),
    click.option("--server-group", "group", metavar="GROUP", help="name or id"),
    click.option("--hint", "hints", metavar="KEY=VALUE", multiple=True,
                 help="different_host, same_host, query or group; repeatable"),
    click.option("--security-group", "security_groups", metavar="GROUP", multiple=True,
                 help="what may reach it (the network's own group); repeatable"),
    click.option("--no-security-group", is_flag=True, help="filter nothing"),
    click.option("--allow-unenforced", is_flag=True,
                 help="go on where a host cannot enforce a security group"),
    click.option("--use-config-drive", "use_config_drive", is_flag=True,
                 help="an OpenStack config drive instead of a NoCloud seed"),
    click.option("--no-config-drive", "no_config_drive", is_flag=True, help="no seed at all"),
    click.option("--config-drive", metavar="True", hidden=True),
    click.option("--swap", metavar="MB", type=_SIZE, help="a disk for swapping"),
    click.option("--ephemeral", "ephemerals", metavar="size=GB", multiple=True,
                 help="an empty disk that goes with the server; repeatable"),
    click.option("--pool", metavar="POOL", help="its disks in this storage pool"),
    click.option("--min", "at_least", metavar="N", type=_COUNT, help="at least so many (1)"),
    click.option("--max", "at_most", metavar="N", type=_COUNT, help="at most so many (--min)"),
    click.option("--autostart", is_flag=True, help="start with its host"),
    click.option("--no-start", is_flag=True, help="make it and leave it off"),
    click.option("--wait", is_flag=True, help="accepted: create always waits until it is there"),
    click.option("--wait-for", type=click.Choice(WAITS), default="active",
                 help="how far it must be (active)"),
    click.option("--timeout", metavar="S", type=click.FloatRange(min=1), default=None,
                 help="at most so many seconds for --wait-for ip, ssh and cloud-init, and for one"
                      " that is just being made (600)"),
    click.option("--on-error", type=click.Choice(("cleanup", "keep")), default="cleanup",
                 help="what becomes of a server that failed (cleanup)"),
    click.option("--if-not-exists", is_flag=True,
                 help="nothing to do where a live server bears the name"),
    click.option("--idempotency-key", metavar="KEY",
                 help="the same key and request again: the same servers"),
    click.option("--seed", metavar="N", help="decide ties between hosts by this"),
    click.option("--dry-run", is_flag=True, help="say where it would go, and change nothing"),
    click.option("--explain", is_flag=True,
                 help="say of every host why or why not, and change nothing"),
    click.option("--reason", metavar="TEXT", help="why, for the events"),
    click.option("--refresh", is_flag=True, help="ask every host now"),
)  # fmt: skip

REFUSED = {
    "--volume": "there are no bootable volumes yet: --image",
    "--snapshot": "there are no volume snapshots yet: --image",
    "--boot-from-volume": "there are no volumes yet; the flavor's disk is the root disk",
    "--block-device": "there are no volumes yet; --swap and --ephemeral make disks",
    "--block-device-mapping": "there are no volumes yet; --swap and --ephemeral make disks",
    "--port": "there are no ports; --nic net-id=NETWORK,v4-fixed-ip=ADDRESS fixes an address",
    "--trusted-image-cert": "images are known by digest: vmctl image create --checksum sha256:…",
    "--delete-on-termination": "there are no volumes yet: every disk goes with its server",
}


class Words(TypedDict):
    """What those options said, by the names of the parameters."""

    flavor: str
    image: str | None
    image_properties: tuple[str, ...]
    cards: tuple[str, ...]
    no_network: bool
    auto_network: bool
    key_name: str | None
    user_data: str | None
    files: tuple[str, ...]
    password: str | None
    properties: tuple[str, ...]
    tags: tuple[str, ...]
    description: str | None
    hostname: str | None
    zone: str | None
    host: str | None
    hypervisor: str | None
    group: str | None
    hints: tuple[str, ...]
    security_groups: tuple[str, ...]
    no_security_group: bool
    allow_unenforced: bool
    use_config_drive: bool
    no_config_drive: bool
    config_drive: str | None
    swap: int | None
    ephemerals: tuple[str, ...]
    pool: str | None
    at_least: int | None
    at_most: int | None
    autostart: bool
    no_start: bool
    wait: bool
    wait_for: str
    timeout: float | None
    on_error: str
    if_not_exists: bool
    idempotency_key: str | None
    seed: str | None
    dry_run: bool
    explain: bool
    reason: str | None
    refresh: bool


def create_options(function: F) -> F:
    """Give a command the options of a create."""
    for option in reversed(_OPTIONS):
        function = option(function)
    for name in REFUSED:
        flag = name == "--delete-on-termination"
        function = click.option(
            name,
            "refused",
            multiple=not flag,
            is_flag=flag,
            hidden=True,
            expose_value=False,
            callback=_refuse,
        )(function)
    return function


def _refuse(_context: click.Context, option: click.Parameter, value: object) -> None:
    from vmctl.errors import UsageError

    if value:
        name = option.opts[0]
        raise UsageError(f"{name} is not there yet", hint=REFUSED[name])
