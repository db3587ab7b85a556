"""Values as plain data, fit for JSON, and back: for what is kept on record or in a domain.

Reading passes over keys that it does not know and leaves out those that are missing: what an
older or newer vmctl has written is read as far as it goes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def to_plain(value: object) -> Any:
    """Give a value as mappings, lists, strings and numbers; fields that are at rest stay in."""
    if is_dataclass(value):
        return {one.name: to_plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return [to_plain(each) for each in value]
    return value.value if isinstance(value, Enum) else value


def from_plain(kind: Callable[..., T], plain: Mapping[str, object]) -> T:
    """Read a value of this dataclass; TypeError or ValueError if what it must have is missing."""
    found = {name: _read(hint, plain[name]) for name, hint in _hints(kind).items() if name in plain}
    return kind(**found)


def read_strictly(kind: Callable[..., T], plain: Mapping[str, object]) -> T:
    """Read a value that strangers may have written: TypeError if a field is not of its type."""
    value = from_plain(kind, plain)
    _check(kind, value)
    return value


def _check(hint: Any, value: Any) -> None:
    """Hold a value to its annotation, and all that is in it."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is not None:
            _check(next(one for one in inner if one is not type(None)), value)
        return
    wanted = origin or hint
    if wanted is object:
        return
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise TypeError(f"{value!r:.80} is no {wanted.__name__}")
    if isinstance(wanted, type) and is_dataclass(wanted):
        for name, each in _hints(wanted).items():
            _check(each, getattr(value, name))
    elif origin is tuple:
        for each in value:
            _check(inner[0], each)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            _check(inner[0], key)
            _check(inner[1], each)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(hint: Any, plain: Any) -> Any:
    origin = get_origin(hint)
    if origin in (Union, UnionType):
        if plain is None:
            return None
        return _read(next(one for one in get_args(hint) if one is not type(None)), plain)
    if origin is tuple:
        return tuple(_read(get_args(hint)[0], each) for each in plain)
    if isinstance(hint, type):
        if is_dataclass(hint):
            return from_plain(hint, plain)
        if issubclass(hint, Enum):
            return hint(plain)
    return plain
