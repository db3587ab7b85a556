"""What someone asks for in a server, in their own words, and how its network cards are said."""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING

from vmctl.domain.spec import CardWish

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """The words of one create; nothing of them is resolved or judged yet. Sizes are MiB."""

    name: str
    flavor: str
    image: str | None = None
    image_properties: Mapping[str, str] = field(default_factory=dict)
    cards: tuple[str, ...] = ()
    """Each as `--network` or `--nic` has it, in the order in which they were given."""

    key_name: str | None = None
    user_data: bytes | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    password: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    description: str | None = None
    hostname: str | None = None
    zone: str | None = None
    host: str | None = None
    group: str | None = None
    hints: Mapping[str, object] = field(default_factory=dict)
    security_groups: tuple[str, ...] | None = None
    allow_unenforced: bool = False
    config_drive: bool | None = None  # None: as the image says, else a NoCloud seed
    swap: int = 0
    ephemerals: tuple[int, ...] = ()
    pool: str | None = None
    autostart: bool = False
    start: bool = True
    project: str = ""
    at_least: int = 1
    count: int = 1
    seed: int | str | None = None
    by: str = ""


NO_CARDS = ("none", "--no-network")
AUTO_CARDS = ("auto", "--auto-network")


def read_card(words: str) -> CardWish:
    """Read `NETWORK`, or `net-id=…,v4-fixed-ip=…,v6-fixed-ip=…,tag=…`; a ValueError says more."""
    if "=" not in words:
        return CardWish(network=words)
    network, tag, fixed = "", None, []
    for part in words.split(","):
        key, equals, value = part.partition("=")
        if not equals or not value:
            raise ValueError(f"--nic: {part!r} is not KEY=VALUE")
        if key == "net-id":
            network = value
        elif key in ("v4-fixed-ip", "v6-fixed-ip"):
            fixed.append(_address(key, value))
        elif key == "tag":
            tag = value
        elif key == "port-id":
            raise ValueError("--nic: there are no ports here; net-id= with v4-fixed-ip= does it")
        else:
            keys = "net-id, v4-fixed-ip, v6-fixed-ip, tag"
            raise ValueError(f"--nic: there is no key {key!r}; the keys are {keys}")
    if not network:
        raise ValueError(f"--nic: {words!r} names no network (net-id=NETWORK)")
    return CardWish(network=network, fixed=tuple(fixed), tag=tag)


def _address(key: str, value: str) -> str:
    version = 4 if key == "v4-fixed-ip" else 6
    try:
        address = ip_address(value)
    except ValueError:
        address = None
    if address is None or address.version != version or "%" in value:
        raise ValueError(f"--nic: {key}: {value!r} is no IPv{version} address")
    return str(address)
