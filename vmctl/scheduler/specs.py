"""The small language in which extra specs, labels and aggregates say what they require."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _all_in(value: str, words: list[str]) -> bool:
    return all(word in value for word in words)


def _any_of(value: str, words: list[str]) -> bool:
    return value in words[::2]


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, list[str]], bool]:
    return lambda value, words: compare(float(value), float(words[0]))


def _text(compare: Callable[[str, str], bool]) -> Callable[[str, list[str]], bool]:
    return lambda value, words: compare(value, words[0])


# `=` means "at least": flavors in the field rely on it.
_OPERATORS: Mapping[str, Callable[[str, list[str]], bool]] = {
    "=": _number(operator.ge),
    "==": _number(operator.eq),
    "!=": _number(operator.ne),
    ">=": _number(operator.ge),
    "<=": _number(operator.le),
    "s==": _text(operator.eq),
    "s!=": _text(operator.ne),
    "s<": _text(operator.lt),
    "s<=": _text(operator.le),
    "s>": _text(operator.gt),
    "s>=": _text(operator.ge),
    "<in>": _text(operator.contains),
    "<all-in>": _all_in,
    "<or>": _any_of,
}


def satisfies(value: object, requirement: str) -> bool:
    """Whether a value meets a requirement such as `>= 4`, `s== fast`, `<or> a <or> b` or `kvm`.

    Without a known operator the whole requirement must equal the value. A ValueError says that a
    number was needed and not given.
    """
    words = requirement.split()
    if not words or (meets := _OPERATORS.get(words[0])) is None:
        return value is not None and str(value) == requirement
    if value is None or len(words) == 1:
        return False
    return meets(str(value), words[1:])


def misfit(value: object, requirement: str) -> str | None:
    """Why a value does not meet a requirement, or None; a bad number is a reason like another."""
    try:
        if satisfies(value, requirement):
            return None
    except ValueError:
        return f"cannot be compared with {requirement!r} as a number: {value!r}"
    return f"is {value!r}, must be {requirement!r}"
