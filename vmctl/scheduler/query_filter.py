"""The Json filter: a hint `query` such as `["and", [">=", "$free_ram_mb", 1024], ...]`."""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from vmctl.domain.placement import Refusal
from vmctl.scheduler.capability_filters import attribute

if TYPE_CHECKING:
    from vmctl.domain.fleet import HostState
    from vmctl.domain.request import RequestSpec
    from vmctl.scheduler.scene import Scene

_Method = Callable[[list[object]], object]


def _compare(holds: Callable[[object, object], object]) -> _Method:
    return lambda values: len(values) > 1 and all(holds(values[0], each) for each in values[1:])


_METHODS: Mapping[str, _Method] = {
    "=": _compare(operator.eq),
    "<": _compare(lambda one, other: one < other),  # type: ignore[operator]  # a TypeError is caught
    ">": _compare(lambda one, other: one > other),  # type: ignore[operator]  # a TypeError is caught
    "<=": _compare(lambda one, other: one <= other),  # type: ignore[operator]  # a TypeError is caught
    ">=": _compare(lambda one, other: one >= other),  # type: ignore[operator]  # a TypeError is caught
    "in": lambda values: len(values) > 1 and values[0] in values[1:],
    "not": lambda values: [not value for value in values],
    "or": any,
    "and": all,
}


def answers_query(host: HostState, request: RequestSpec, _scene: Scene) -> Refusal | None:
    """What the hint `query` asks holds for the host; a query that cannot be read refuses all."""
    hint = request.hints.get("query")
    if not hint:
        return None
    try:
        query = _parsed(hint) if isinstance(hint, str) else hint
        result = _evaluate(query, host)
    except (ValueError, TypeError, RecursionError) as error:
        return Refusal(f"the hint query cannot be answered: {error}")
    if any(result) if isinstance(result, list) else result:
        return None
    return Refusal("does not answer the hint query")


def query_hinted(request: RequestSpec, _scene: Scene) -> bool:
    """Whether the request carries a query."""
    return bool(request.hints.get("query"))


@lru_cache(maxsize=16)
def _parsed(text: str) -> object:
    parsed: object = json.loads(text)
    return parsed


def _evaluate(query: object, host: HostState) -> object:
    if not query:
        return True
    if not isinstance(query, list | tuple):
        raise TypeError(f"{query!r} is no list of an operator and its arguments")
    method = _METHODS.get(query[0]) if isinstance(query[0], str) else None
    if method is None:
        raise ValueError(f"{query[0]!r} is none of {' '.join(_METHODS)}")
    values = [_value(argument, host) for argument in query[1:]]
    return method([value for value in values if value is not None])


def _value(argument: object, host: HostState) -> object:
    if isinstance(argument, list | tuple):
        return _evaluate(argument, host)
    if not isinstance(argument, str) or not argument.startswith("$"):
        return argument or None if isinstance(argument, str) else argument
    return attribute(host, argument[1:].split("."))
