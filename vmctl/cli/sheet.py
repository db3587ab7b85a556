"""A result on its way to a format: names, rows, and how the operator wants to see them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The output options of one run."""

    format: str = "table"
    columns: Sequence[str] = ()
    sort_columns: Sequence[str] = ()
    descending: bool = False
    long: bool = False
    limit: int | None = None
    noindent: bool = False
    quote: str = "nonnumeric"
    prefix: str = ""
    print_empty: bool = False
    max_width: int | None = None
    """None: not asked for; 0 or less: never fit, not even on a terminal."""
    fit_width: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Screen:
    """What stdout is."""

    tty: bool = False
    color: bool = False
    width: int = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Selected and sorted cells, ready for any format; a record is a sheet of one row."""

    names: Sequence[str]
    rows: Sequence[Sequence[object]]
    record: bool = False
    options: Options = field(default_factory=Options)
    screen: Screen = field(default_factory=Screen)
