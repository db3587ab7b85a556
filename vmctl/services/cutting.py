"""An order cut down before it is placed: to what is not there yet, and to what a quota allows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from vmctl.errors import NameTaken, QuotaExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable

    from vmctl.domain.catalog import Quota
    from vmctl.domain.record import Server
    from vmctl.services.order import Order


def standing(order: Order, servers: Iterable[Server]) -> tuple[Server, ...]:
    """Give the live servers that bear the order's names already, in the order's order."""
    by_name = {one.name: one for one in servers if one.holds_name}
    return tuple(by_name[spec.name] for spec in order.specs if spec.name in by_name)


def refuse_names(there: tuple[Server, ...]) -> None:
    """Raise NameTaken for servers that are there already; admission asks once more."""
    if not there:
        return
    said = ", ".join(f"{one.name} ({one.id})" for one in there)
    bear = "a server named" if len(there) == 1 else "servers named"
    verb = "is" if len(there) == 1 else "are"
    raise NameTaken(
        f"{bear} {said} {verb} there already",
        hint="choose another name, delete what is there, or take it as it is: --if-not-exists",
    )


def without(order: Order, there: tuple[Server, ...]) -> Order:
    """Order only what is not there; what is there counts among those that are wanted at least."""
    names = {one.name for one in there}
    specs = tuple(spec for spec in order.specs if spec.name not in names)
    return _cut(order, len(specs), max(order.at_least - len(there), 1), keep=specs)


def within(order: Order, quota: Quota) -> Order:
    """Order what the project may still take, the first ones; QuotaExceeded if that is too few."""
    flavor = order.request.flavor
    excess = None
    for count in range(len(order.specs), order.at_least - 1, -1):
        found = quota.excess(flavor, count)
        if found is None:
            if excess is None:
                return order
            return replace(
                _cut(order, count, order.at_least),
                warnings=(*order.warnings, f"{count} of {len(order.specs)} are made: {excess}"),
            )
        excess = excess or found
    raise QuotaExceeded(
        quota.excess(flavor, order.at_least) or "Quota exceeded",
        hint=f"vmctl quota show {quota.project}".rstrip(),
    )


def _cut(order: Order, count: int, at_least: int, keep: tuple[object, ...] | None = None) -> Order:
    specs = tuple(one for one in order.specs if keep is None or one in keep)[:count]
    request = replace(
        order.request,
        count=len(specs),
        min_count=at_least,
        names=tuple(one.name for one in specs),
    )
    return replace(order, specs=specs, at_least=at_least, request=request)
