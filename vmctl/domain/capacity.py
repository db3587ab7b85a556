"""How many more servers fit: per host, per zone and in all, and what is in the way."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.domain.resources import Resources

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.placement import Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCapacity:
    """How many more servers one host takes, and the filter that refuses the next one.

    `fits` is None where nothing ever refuses. `stranded` is what is left over on a host that is
    full, because something else than it ran out.
    """

    host: str
    zone: str
    fits: int | None
    filter: str | None = None
    refusal: Refusal | None = None
    stranded: Resources = field(default_factory=Resources)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survival:
    """How many servers may be added so that any one host may die and its servers find room again.

    `weakest` is the host whose death is in the way of one more. Where `safe_now` is false, its
    servers have no other place even as things are, and nothing may be added.
    """

    fits: int
    safe_now: bool
    weakest: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """How many more servers fit in all, by zone and by host; None means without a limit.

    `binding` counts the hosts on which each filter is the one that refuses the next server.
    """

    total: int | None
    zones: Mapping[str, int | None]
    hosts: tuple[HostCapacity, ...]
    binding: Mapping[str, int]
    stranded: Resources
    survival: Survival | None = None
