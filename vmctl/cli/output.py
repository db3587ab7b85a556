"""What commands return, and how it becomes text.

A command returns a `Table` or a `Record`; the operator's options choose columns, order and format.
A new format is one function in `formats` and one line in `OUTPUTS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vmctl.cli import formats
from vmctl.cli.cells import machine
from vmctl.cli.sheet import Options, Screen, Sheet
from vmctl.cli.text import neutral
from vmctl.errors import VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table, and when it is shown."""

    name: str
    when: str = "always"
    """``always``; ``long`` with --long; ``asked`` only when -c names it. -c may name any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What a list command found."""

    columns: Sequence[str | Column]
    rows: Sequence[Sequence[object]]
    exit_code: int = 0
    """What the run ends with once the table is printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a show command found: one thing, field by field."""

    fields: Mapping[str, object]
    exit_code: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One format: its function, and which results it can write."""

    write: Callable[[Sheet], str]
    tables: bool = True
    records: bool = True
    raw: bool = False
    """True where values stand as they are, control characters too."""


OUTPUTS = {
    "table": Output(write=formats.table),
    "json": Output(write=formats.json),
    "yaml": Output(write=formats.yaml),
    "value": Output(write=formats.value, raw=True),
    "csv": Output(write=formats.csv, records=False, raw=True),
    "shell": Output(write=formats.shell, tables=False, raw=True),
    "ndjson": Output(write=formats.ndjson, records=False),
    "markdown": Output(write=formats.markdown, records=False),
    "name": Output(write=formats.name, records=False, raw=True),
}


def render(result: Table | Record, options: Options, screen: Screen) -> str:
    """Select, sort and format a result."""
    if isinstance(result, Table):
        sheet = _sheet_of_table(result, options, screen)
    else:
        names = _selected(sorted(result.fields), sorted(result.fields), options.columns)
        row = [result.fields[name] for name in names]
        sheet = Sheet(names=names, rows=[row], record=True, options=options, screen=screen)
    output = OUTPUTS[options.format]
    text = output.write(sheet)
    # A pipe gets every byte; a terminal gets nothing that it would obey.
    return neutral(text) if output.raw and screen.tty else text


def _sheet_of_table(table: Table, options: Options, screen: Screen) -> Sheet:
    columns = [Column(each) if isinstance(each, str) else each for each in table.columns]
    every = [column.name for column in columns]
    shown = {"always", "long"} if options.long else {"always"}
    usual = [column.name for column in columns if column.when in shown]
    names = _selected(every, usual, options.columns)
    rows = _sorted(table.rows, every, options)
    if options.limit is not None and options.limit >= 0:
        rows = rows[: options.limit]
    places = [every.index(name) for name in names]
    picked = [[row[place] for place in places] for row in rows]
    return Sheet(names=names, rows=picked, options=options, screen=screen)


def _selected(every: Sequence[str], usual: Sequence[str], asked: Sequence[str]) -> list[str]:
    """Pick the asked names in the order of the table; unknown ones pass beside known ones."""
    if not asked:
        return list(usual)
    wanted = {_folded(name) for name in asked}
    names = [name for name in every if _folded(name) in wanted]
    if not names:
        raise VmctlError(
            f"No recognized column names in {list(asked)}. Recognized columns are {tuple(every)}."
        )
    return names


def _sorted(
    rows: Sequence[Sequence[object]], names: Sequence[str], options: Options
) -> Sequence[Sequence[object]]:
    places = {_folded(name): place for place, name in enumerate(names)}
    for asked in reversed(options.sort_columns):
        place = places.get(_folded(asked))
        if place is not None:
            rows = _sorted_by(rows, place, descending=options.descending)
    return rows


def _sorted_by(
    rows: Sequence[Sequence[object]], place: int, *, descending: bool
) -> list[Sequence[object]]:
    """Sort by the values for programs, whatever tables show; None comes last both ways."""
    keyed = [(machine(row[place]), row) for row in rows]
    known = [(key, row) for key, row in keyed if key is not None]
    numbers = all(isinstance(key, int | float) for key, _ in known)
    known.sort(key=lambda pair: pair[0] if numbers else str(pair[0]), reverse=descending)  # type: ignore[arg-type,return-value]  # all numbers, or all strings
    return [row for _, row in known] + [row for key, row in keyed if key is None]


def _folded(name: str) -> str:
    return name.replace("_", " ").casefold()
