"""What is to be said otherwise of a server that stands: the part of its spec that may change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from vmctl.domain import names

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from vmctl.domain.spec import ServerSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """What changes; None and nothing leave a thing as it is, and what is dropped goes first."""

    name: str | None = None
    description: str | None = None
    hostname: str | None = None
    autostart: bool | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    drop_description: bool = False
    drop_properties: tuple[str, ...] = ()
    drop_tags: tuple[str, ...] = ()
    all_properties: bool = False
    all_tags: bool = False
    drop_zone: bool = False

    @property
    def of_one(self) -> bool:
        """Whether no two servers can be changed so."""
        return self.name is not None or self.hostname is not None

    def on(self, spec: ServerSpec) -> ServerSpec:
        """Give a spec with these changes."""
        properties = {} if self.all_properties else dict(spec.properties)
        for key in self.drop_properties:
            properties.pop(key, None)
        kept = () if self.all_tags else spec.tags
        tags = [one for one in kept if one not in self.drop_tags]
        description = None if self.drop_description else spec.description
        return replace(
            spec,
            name=spec.name if self.name is None else self.name,
            description=description if self.description is None else self.description,
            hostname=spec.hostname if self.hostname is None else self.hostname,
            autostart=spec.autostart if self.autostart is None else self.autostart,
            properties={**properties, **self.properties},
            tags=tuple(dict.fromkeys((*tags, *self.tags))),
            availability_zone=None if self.drop_zone else spec.availability_zone,
        )

    def problems(self) -> Iterator[str]:
        """Say what is wrong with them, whatever server they are for."""
        found = [
            None if self.name is None else names.name_problem(self.name),
            None if self.hostname is None else names.hostname_problem(self.hostname),
            *(names.key_problem("--property", key) for key in self.properties),
            *(names.text_problem(f"--property {k}", v) for k, v in self.properties.items()),
            *(names.tag_problem(tag) for tag in self.tags),
        ]
        if self.description is not None:
            found.append(names.text_problem("--description", self.description))
        return (problem for problem in found if problem is not None)


def too_many(spec: ServerSpec) -> str | None:
    """Say why a spec cannot be kept, if it has more than a server may."""
    for option, count, most in (
        ("--property", len(spec.properties), names.PROPERTIES),
        ("--tag", len(set(spec.tags)), names.TAGS),
    ):
        if count > most:
            return f"{option}: {count}, and {most} are allowed"
    return None


def told_name(spec: ServerSpec) -> str:
    """Give the name that a network's DHCP knows a server by."""
    return spec.hostname or spec.name


_SHOWN = {"availability_zone": "pinned availability zone"}
_FIELDS = (
    *("name", "description", "hostname", "autostart", "properties", "tags", "availability_zone"),
)
_HOSTS_OWN = ("hostname", "autostart")
"""What a host does otherwise; of the rest it only keeps what is said, and the name follows."""


def differences(old: ServerSpec, new: ServerSpec) -> dict[str, tuple[object, object]]:
    """Give by its name what is another thing in a spec than it was, and what it was and is."""
    found = ((name, getattr(old, name), getattr(new, name)) for name in _FIELDS)
    return {_SHOWN.get(name, name): (was, now) for name, was, now in found if was != now}


def needs_host(old: ServerSpec, new: ServerSpec) -> tuple[str, ...]:
    """Name the changes that are none before the server's host knows of them."""
    return tuple(name for name in _HOSTS_OWN if getattr(old, name) != getattr(new, name))
