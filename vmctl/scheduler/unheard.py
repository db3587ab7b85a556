"""What a request asks for and no filter of the policy listens to: said, not passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.policy import Policy

_HINTS = {"different_host": "DifferentHost", "same_host": "SameHost", "query": "Json"}
_SCOPES = {
    "capabilities": "ComputeCapabilities",
    "aggregate_instance_extra_specs": "AggregateInstanceExtraSpecs",
    "label": "Label",
}


def unheard(request: RequestSpec, policy: Policy) -> tuple[str, ...]:
    """Say which wishes of a request go unheard, and which filter would hear them.

    A forced host skips the filters on purpose: then there is nothing to say.
    """
    if request.force_host is not None:
        return ()
    said = dict.fromkeys(
        f"{what} is not judged: the policy does not name the filter {name}"
        for what, name in _wishes(request)
        if name not in policy.filters
    )
    unknown = [hint for hint, value in request.hints.items() if value and hint not in _HINTS]
    return (*said, *(f"the hint {hint} is not known" for hint in unknown))


def _wishes(request: RequestSpec) -> Iterator[tuple[str, str]]:
    if request.availability_zone:
        yield "the availability zone", "AvailabilityZone"
    if request.networks:
        yield "the network", "Network"
    if request.pool is not None:
        yield "the pool", "Pool"
    if request.labels:
        yield "the label", "Label"
    for hint, name in _HINTS.items():
        if request.hints.get(hint):
            yield f"the hint {hint}", name
    for key in request.flavor.extra_specs:
        scope, colon, _ = key.partition(":")
        if colon and scope in _SCOPES:
            yield f"the extra spec {key}", _SCOPES[scope]
