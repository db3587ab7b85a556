"""What servers are made from and kept within: flavors, images, server groups, quotas.

Memory and disk are MiB. Each is copied by value into a request: to change one here changes no
server that is there already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeVar

from vmctl.domain.request import FlavorSpec, ImageSpec
from vmctl.domain.spec import ImageUse
from vmctl.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from vmctl.domain.spec import RuleUse

GROUP_POLICIES = ("affinity", "anti-affinity", "soft-affinity", "soft-anti-affinity")

UNLIMITED = -1
QUOTAS = ("instances", "cores", "ram")
"""What a project's servers are counted by; ram is MiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavor:
    """A size that servers come in."""

    id: str
    name: str
    vcpus: int = 1
    memory: int = 256
    disk: int = 0
    ephemeral: int = 0
    swap: int = 0
    public: bool = True
    description: str | None = None
    properties: Mapping[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> FlavorSpec:
        """The flavor as a request carries it."""
        return FlavorSpec(
            name=self.name,
            vcpus=self.vcpus,
            memory=self.memory,
            disk=self.disk,
            ephemeral=self.ephemeral,
            swap=self.swap,
            extra_specs=dict(self.properties),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image as it is known: what it asks of a host and of a flavor.

    `checksum` is the sha256 of its bytes, and with it the name of the base image on hosts; None
    for as long as there are none. Its format is what was found in the bytes, its sizes are bytes.
    """

    id: str
    name: str
    status: str = "queued"
    checksum: str | None = None
    url: str | None = None
    format: str | None = None
    size: int | None = None
    virtual_size: int | None = None
    protected: bool = False
    min_disk: int = 0
    min_memory: int = 0
    properties: Mapping[str, str] = field(default_factory=dict)
    created: float = 0.0
    updated: float = 0.0

    @property
    def spec(self) -> ImageSpec:
        """The image as a request carries it."""
        return ImageSpec(id=self.checksum or self.id, name=self.name, properties=self.properties)

    @property
    def use(self) -> ImageUse | None:
        """The image as a server carries it; None for one that has no bytes."""
        if self.checksum is None or self.format is None or not self.size or not self.virtual_size:
            return None
        return ImageUse(
            id=self.id,
            name=self.name,
            digest=self.checksum,
            format=self.format,
            size=self.size,
            virtual_size=self.virtual_size,
            url=self.url,
            properties=dict(self.properties),
        )

    def misfit(self, flavor: Flavor | FlavorSpec) -> str | None:
        """Say why a server of this flavor is too small for it, if it is."""
        short = []
        if flavor.memory < self.min_memory:
            short.append(f"{self.min_memory} MiB of memory, which has {flavor.memory}")
        if flavor.disk and flavor.disk < self.min_disk:
            short.append(f"{self.min_disk} MiB of disk, which has {flavor.disk}")
        if not short:
            return None
        return f"the image {self.name} needs of the flavor {flavor.name} {'; '.join(short)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Keypair:
    """A public key that servers can be given; it has no id but its name."""

    name: str
    public_key: str
    fingerprint: str
    type: str = "ssh"
    created: float = 0.0

    @property
    def id(self) -> str:
        """The name, by which alone it is found."""
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityRule:
    """One thing that a security group lets through, with the id that it is deleted by."""

    id: str
    rule: RuleUse
    description: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup:
    """Rules that say what may reach a server and what it may reach; nothing else passes."""

    id: str
    name: str
    project: str = ""
    description: str | None = None
    rules: tuple[SecurityRule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerGroup:
    """Servers that are to stand together or apart; `members` are the ids of those that live."""

    id: str
    name: str
    project: str
    policy: str
    max_server_per_host: int = 1
    members: tuple[str, ...] = ()

    def misfit(self, host: str, others: Mapping[str, int]) -> str | None:
        """Say why another member cannot be on a host, given how many are on which, if it cannot."""
        here = others.get(host, 0)
        if self.policy == "anti-affinity" and here >= self.max_server_per_host:
            return (
                f"group {self.name} has {here} on {host}, {self.max_server_per_host} allowed there"
            )
        elsewhere = sorted(name for name, count in others.items() if count)
        if self.policy == "affinity" and elsewhere and not here:
            return f"group {self.name} keeps together, and it is on {', '.join(elsewhere)}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """How much a project's servers may take in all, and how much they take; -1 is no limit."""

    project: str
    limits: Mapping[str, int]
    used: Mapping[str, int]

    def excess(self, flavor: FlavorSpec, count: int = 1) -> str | None:
        """Say which limit so many more servers of a flavor would break, if any."""
        more = {"instances": count, "cores": flavor.vcpus * count, "ram": flavor.memory * count}
        for name in QUOTAS:
            limit, used = self.limits[name], self.used[name]
            if limit != UNLIMITED and used + more[name] > limit:
                asked = f"Requested {more[name]}, but already used {used} of {limit} {name}"
                return f"Quota exceeded for {name}: {asked}"
        return None


class Catalogued(Protocol):
    """Anything that is found by its id or its name."""

    @property
    def id(self) -> str:
        """The id, which never changes."""

    @property
    def name(self) -> str:
        """The name."""


T = TypeVar("T", bound=Catalogued)
_COMMANDS = {"ServerGroup": "server group", "SecurityGroup": "security group"}


def find_one(kind: str, word: str, things: Iterable[T]) -> T:
    """Give the thing that a word is the id of, or else the name of; NotFound names near ones."""
    known = tuple(things)
    for found in ([one for one in known if one.id == word], [o for o in known if o.name == word]):
        if len(found) > 1:
            ids = ", ".join(sorted(one.id for one in found))
            raise Conflict(f"More than one {kind} exists with the name '{word}'.", hint=ids)
        if found:
            return found[0]
    raise NotFound(
        f"No {kind} found for {word}", hint=_nearest(word, [one.name for one in known], kind)
    )


def _nearest(word: str, names: Collection[str], kind: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(word, names, n=3)
    if close:
        return f"Did you mean {' or '.join(repr(one) for one in close)}?"
    return f"vmctl {_COMMANDS.get(kind, kind.lower())} list"
