"""Filters and weighers from other packages: entry points, loaded only when a policy names them."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, TypeVar

from vmctl.domain.placement import Refusal
from vmctl.errors import UsageError
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.scene import Filter, Scene, Weigher
from vmctl.scheduler.weighers import WEIGHERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.policy import Policy

FILTER_GROUP = "vmctl.filters"
WEIGHER_GROUP = "vmctl.weighers"

T = TypeVar("T", Filter, Weigher)


def filters_for(policy: Policy, found: Iterable[EntryPoint] | None = None) -> Mapping[str, Filter]:
    """The built-in filters, and those of other packages that the policy names.

    One that cannot be loaded refuses every host with the reason: it was asked for, and a broken
    rule must not let a server pass.
    """
    points = entry_points(group=FILTER_GROUP) if found is None else found
    return _merged(FILTERS, policy.filters, points, Filter, _broken_filter)


def weighers_for(
    policy: Policy, found: Iterable[EntryPoint] | None = None
) -> Mapping[str, Weigher]:
    """The built-in weighers, and those of other packages that the policy names."""
    points = entry_points(group=WEIGHER_GROUP) if found is None else found
    return _merged(WEIGHERS, tuple(policy.weighers), points, Weigher, _broken_weigher)


def _merged(
    built_in: Mapping[str, T],
    wanted: tuple[str, ...],
    found: Iterable[EntryPoint],
    kind: type[T],
    broken: Callable[[Exception], T],
) -> Mapping[str, T]:
    table = dict(built_in)
    for point in found:
        if point.name not in wanted:
            continue
        if point.name in built_in:
            raise UsageError(
                f"the plug-in {point.value} calls itself {point.name}, which is built in",
                hint="rename its entry point, or uninstall it",
            )
        if point.name in table:
            raise UsageError(f"two plug-ins call themselves {point.name}", hint="uninstall one")
        try:
            loaded = point.load()
            table[point.name] = loaded if isinstance(loaded, kind) else kind(loaded)
        except Exception as error:  # noqa: BLE001 -- loading runs foreign code
            table[point.name] = broken(error)
    return table


def _broken_filter(error: Exception) -> Filter:
    reason = Refusal(f"the plug-in cannot be loaded: {type(error).__name__}: {error}")

    def refuse(_host: HostState, _request: RequestSpec, _scene: Scene) -> Refusal | None:
        return reason

    return Filter(refuse)


def _broken_weigher(error: Exception) -> Weigher:
    def refuse(_host: HostState, _request: RequestSpec, _scene: Scene) -> float:
        raise error

    return Weigher(refuse)
