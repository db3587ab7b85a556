"""Readers of single values: each gives what stands at a node, or says what is wrong with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

from yaml.nodes import MappingNode, Node, ScalarNode

from vmctl.adapters.inventory_yaml import (
    BOOLS,
    FALSE,
    NULLS,
    PLAIN,
    TRUE,
    Reader,
    Wrong,
    quote,
    refuse_tag,
)

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_WHOLE = re.compile(r"0|[1-9][0-9]{0,17}")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})(?:\.[0-9]{1,18})?")


def text(node: Node) -> str:
    """Read one line of text exactly as written; a number is text too, a bare `no` is refused."""
    value = _scalar(node, "text")
    if node.tag == PLAIN and value in NULLS:
        raise Wrong((node, "is empty; text is wanted (without the key it is unset)"))
    if node.tag == PLAIN and value in BOOLS:
        raise Wrong((node, f"{value} is true or false in YAML; as text it needs quotes: '{value}'"))
    if not value or not value.isprintable() or value != value.strip() or len(value) > 1000:
        raise Wrong((node, f"{quote(value)} must be one line of text, with no blanks around it"))
    return value


def verbatim(node: Node) -> str:
    """Read one line of text where `true` and `no` are text as well: labels and metadata."""
    value = _scalar(node, "text")
    return value if node.tag == PLAIN and value in BOOLS else text(node)


def flag(node: Node) -> bool:
    """Read true or false."""
    value = _scalar(node, "true or false")
    if node.tag == PLAIN and value in TRUE:
        return True
    if node.tag == PLAIN and value in FALSE:
        return False
    raise Wrong((node, f"{quote(value)} must be true or false, without quotes"))


def whole(least: int, most: int | None = None) -> Reader[int]:
    """Make a reader of whole numbers within bounds."""
    wanted = f"a whole number from {least}" + (f" to {most}" if most is not None else " up")

    def read(node: Node) -> int:
        value = _scalar(node, wanted)
        if not _WHOLE.fullmatch(value):
            octal = ", without leading zeros" if re.fullmatch("0[0-9]+", value) else ""
            raise Wrong((node, f"{quote(value)} must be {wanted}{octal}"))
        if int(value) < least or (most is not None and int(value) > most):
            raise Wrong((node, f"{value} must be {wanted}"))
        return int(value)

    return read


def number(*, positive: bool) -> Reader[float]:
    """Make a reader of decimal numbers; there is no infinity, no NaN and no exponent."""
    wanted = "a number above 0, such as 1.5" if positive else "a number, such as 1.5 or -1"

    def read(node: Node) -> float:
        value = _scalar(node, wanted)
        if not _DECIMAL.fullmatch(value) or (positive and float(value) <= 0):
            raise Wrong((node, f"{quote(value)} must be {wanted}"))
        return float(value)

    return read


def one_of(*words: str) -> Reader[str]:
    """Make a reader of one of a few words."""

    def read(node: Node) -> str:
        value = _scalar(node, f"one of {', '.join(words)}")
        if value not in words:
            raise Wrong((node, f"{quote(value)} is not allowed; allowed are {', '.join(words)}"))
        return value

    return read


def matching(pattern: str, wanted: str) -> Reader[str]:
    """Make a reader of text that has a given form."""
    form = re.compile(pattern, re.ASCII)

    def read(node: Node) -> str:
        value = text(node)
        if not form.fullmatch(value):
            raise Wrong((node, f"{quote(value)} must be {wanted}"))
        return value

    return read


def converted(convert: Callable[[str], T]) -> Reader[T]:
    """Make a reader of text that a function understands, or refuses with a ValueError."""

    def read(node: Node) -> T:
        try:
            return convert(text(node))
        except ValueError as error:
            raise Wrong((node, str(error))) from None

    return read


def scalar(node: Node) -> str | float | bool | None:
    """Read what a value looks like: true or false, a number, nothing, or else text.

    For values whose meaning is judged elsewhere. A number with leading zeros stays text.
    """
    value = _scalar(node, "a single value")
    if node.tag == PLAIN:
        if value in NULLS:
            return None
        if value in BOOLS:
            return value in TRUE
        if _DECIMAL.fullmatch(value):
            return float(value) if "." in value else int(value)
    return text(node)


name = matching(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", "letters, digits, `.`, `_` and `-`, 63 at most")
"""Reads the name of anything."""


def _scalar(node: Node, wanted: str) -> str:
    if not isinstance(node, ScalarNode):
        kind = "a mapping" if isinstance(node, MappingNode) else "a list"
        raise Wrong((node, f"{wanted} is wanted here, not {kind}"))
    refuse_tag(node)
    return str(node.value)
