"""What a server is, whatever host it stands on: every name resolved to a value, every id minted.

It stands on record and in the domain's own record, so there is nothing secret in it. Memory and
disk are MiB.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - read back by its hints
from dataclasses import dataclass, field

from vmctl.domain.request import FlavorSpec  # noqa: TC001 - likewise


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUse:
    """The image that a server is made from, by value; `digest` is the sha256 of its bytes."""

    id: str
    name: str
    digest: str
    format: str  # qcow2 or raw, as detected
    size: int  # bytes of the file
    virtual_size: int  # bytes of the disk in it
    url: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardWish:
    """A network card as it was asked for; the order of the wishes is the cards'."""

    network: str
    fixed: tuple[str, ...] = ()
    tag: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleUse:
    """One rule of a security group, by value; None is any."""

    direction: str = "ingress"  # or egress
    ethertype: str = "IPv4"  # or IPv6
    protocol: str | None = None  # tcp, udp, icmp, icmpv6, or a number
    port_min: int | None = None  # of ICMP, the type
    port_max: int | None = None  # of ICMP, the code
    remote: str | None = None  # a cidr


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupUse:
    """A security group as it was when the server was made from it."""

    name: str
    rules: tuple[RuleUse, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSpec:
    """All that was asked for, by value: editing a flavor or an image never changes a server."""

    id: str
    name: str
    project: str = ""
    flavor: FlavorSpec
    image: ImageUse
    cards: tuple[CardWish, ...] = ()
    security_groups: tuple[str, ...] | None = None  # None: what each network says
    allow_unenforced: bool = False
    key_name: str | None = None
    public_key: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    description: str | None = None
    hostname: str = ""
    availability_zone: str | None = None
    host: str | None = None
    force_host: str | None = None
    group: str | None = None  # the id of its server group
    hints: Mapping[str, object] = field(default_factory=dict)
    seed: str | None = "nocloud"  # or config-2; None: no seed at all
    pool: str | None = None
    ephemerals: tuple[int, ...] = ()  # MiB each; together the flavor's ephemeral disk
    autostart: bool = False
    start: bool = True
    reservation: str | None = None
    index: int = 0  # among the servers of one create
    has_user_data: bool = False
    created_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What a create must know and nobody may read afterwards; wiped when its operation ends.

    `user_data` and `files` are base64, for they are bytes; the password is kept as its hash. Only
    a guest that takes no hash is told it as it is, and that is never on record.
    """

    user_data: str | None = None
    password_hash: str | None = None
    password: str | None = field(default=None, repr=False)
    files: Mapping[str, str] = field(default_factory=dict)  # path in the guest: base64
    console_password: str | None = None
