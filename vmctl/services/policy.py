"""The scheduler's policy as the inventory has it, and the filters and weighers that it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.errors import UsageError
from vmctl.scheduler.filters import FILTERS
from vmctl.scheduler.policy import Policy, policy_from, read_policy
from vmctl.scheduler.weighers import WEIGHERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.inventory import Inventory
    from vmctl.scheduler.scene import Filter, Weigher

Tables = tuple["Mapping[str, Filter]", "Mapping[str, Weigher]"]


def policy_of(inventory: Inventory) -> Policy:
    """Give the policy of an inventory's scheduler section; UsageError says what is wrong in it."""
    return policy_from(inventory.scheduler, where="scheduler")


def tables_for(policy: Policy) -> Tables:
    """Give the filters and weighers that a policy's names are looked up in.

    Other packages are asked only where it names something that is not built in.
    """
    if set(policy.filters) <= set(FILTERS) and set(policy.weighers) <= set(WEIGHERS):
        return FILTERS, WEIGHERS
    from vmctl.plugins import filters_for, weighers_for

    return filters_for(policy), weighers_for(policy)


def check_policy(settings: Mapping[str, object]) -> list[str]:
    """Say all that is wrong with a scheduler section, each message beginning with its key."""
    problems: list[str] = []
    policy = read_policy(settings, "scheduler", problems)
    try:
        filters, weighers = tables_for(policy)
    except UsageError as error:
        return [*problems, f"scheduler: {error.message}"]
    for key, word, named, known in (
        ("filters", "filter", policy.filters, filters),
        ("weighers", "weigher", policy.weighers, weighers),
    ):
        problems += [
            f"scheduler.{key}: there is no {word} named {name}"
            for name in named
            if name not in known
        ]
    return problems
