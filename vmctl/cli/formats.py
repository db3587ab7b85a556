"""The output formats: each a function from a sheet to text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from vmctl.cli.cells import Shown, human, machine
from vmctl.cli.color import paint_state
from vmctl.cli.grid import Grid, draw, keeps_whole, natural, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from vmctl.cli.sheet import Sheet


_NEVER = 1 << 30


def table(sheet: Sheet) -> str:
    """Draw a frame; a record stands as one line for each field."""
    if sheet.record:
        header = ["Field", "Value"]
        cells: list[tuple[object, ...]] = list(zip(sheet.names, *sheet.rows, strict=True))
        right = [False, False]
        whole = [cell for name, cell in cells if keeps_whole(str(name))]
        floors = [_NEVER, max(16, natural(map(human, whole)))]
    else:
        header = list(sheet.names)
        cells = [tuple(row) for row in sheet.rows]
        right = [_is_number(sheet, column) for column in range(len(header))]
        floors = [_NEVER if keeps_whole(name) else 8 for name in header]
    if not cells and not sheet.options.print_empty:
        return "\n"
    rows = [[human(cell) for cell in row] for row in cells]
    grid = Grid(header=header, rows=rows, right=right, floors=floors, paint=_painter(sheet, rows))
    return draw(grid, limit=_limit(sheet))


def json(sheet: Sheet) -> str:
    """Write a list of objects, or one object for a record."""
    from json import dumps

    items = list(_items(sheet))
    indent = None if sheet.options.noindent else 2
    return dumps(items[0] if sheet.record else items, indent=indent) + "\n"


def ndjson(sheet: Sheet) -> str:
    """Write one object on each line."""
    from json import dumps

    return "".join(dumps(item) + "\n" for item in _items(sheet))


def yaml(sheet: Sheet) -> str:
    """Write the same data as ``json`` as YAML."""
    from vmctl.cli.yamltext import dump

    items = list(_items(sheet))
    return dump(items[0] if sheet.record else items)


def value(sheet: Sheet) -> str:
    """Write the bare values: a row on each line, or a field on each line for a record."""
    between = "\n" if sheet.record else " "
    return "".join(between.join(map(_text, row)) + "\n" for row in sheet.rows)


def csv(sheet: Sheet) -> str:
    """Write comma-separated values under a line of names."""
    import csv as writer
    from io import StringIO

    out = StringIO()
    lines = writer.writer(
        out, quoting=_quoting(sheet.options.quote), lineterminator="\n", escapechar="\\"
    )
    lines.writerow(sheet.names)
    for row in sheet.rows:
        cells = [_csv_cell(cell) for cell in row]
        if cells in ([None], [""]) and sheet.options.quote == "none":
            out.write("\n")  # The csv module refuses what it cannot tell from an empty line.
        else:
            lines.writerow(cells)
    return out.getvalue()


def shell(sheet: Sheet) -> str:
    """Write assignments that a POSIX shell can evaluate, whatever the values hold."""
    lines = []
    for name, cell in zip(sheet.names, sheet.rows[0], strict=True):
        variable = "".join(
            char if char.isascii() and char.isalnum() else "_" for char in name.lower()
        )
        # Inside double quotes the shell looks at these four only.
        text = "".join(f"\\{char}" if char in '"\\$`' else char for char in _text(cell))
        lines.append(f'{sheet.options.prefix}{variable}="{text}"\n')
    return "".join(lines)


def markdown(sheet: Sheet) -> str:
    """Draw a table as Markdown has them."""
    rows = [[tidy(human(cell)) for cell in row] for row in sheet.rows]
    lines = [list(sheet.names), ["---"] * len(sheet.names), *rows]
    return "".join(
        "| " + " | ".join(_markdown_cell(cell) for cell in line) + " |\n" for line in lines
    )


def name(sheet: Sheet) -> str:
    """Write only what names each row: its ID, or its first column where it has none."""
    wanted = [column for column, title in enumerate(sheet.names) if title.lower() == "id"]
    column = wanted[0] if wanted else 0
    return "".join(_text(row[column]) + "\n" for row in sheet.rows)


def _items(sheet: Sheet) -> Iterator[dict[str, object]]:
    for row in sheet.rows:
        yield {title: machine(cell) for title, cell in zip(sheet.names, row, strict=True)}


def _text(cell: object) -> str:
    return str(machine(cell))


def _csv_cell(cell: object) -> object:
    # As openstack's: a value that tables show as a text is itself quoted as one.
    plain = machine(cell)
    return str(plain) if isinstance(cell, Shown) or isinstance(plain, dict | list) else plain


def _quoting(style: str) -> Literal[0, 1, 2, 3]:
    from csv import QUOTE_ALL, QUOTE_MINIMAL, QUOTE_NONE, QUOTE_NONNUMERIC

    match style:
        case "all":
            return QUOTE_ALL
        case "minimal":
            return QUOTE_MINIMAL
        case "none":
            return QUOTE_NONE
    return QUOTE_NONNUMERIC


def _markdown_cell(text: str) -> str:
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", "<br>")


def _is_number(sheet: Sheet, column: int) -> bool:
    """Judge a column by the first row that has something in it."""
    for row in sheet.rows:
        cell = row[column]
        if isinstance(cell, Shown):
            return cell.text[:1].isdigit()
        if cell is not None:
            return isinstance(cell, int | float) and not isinstance(cell, bool)
    return False


def _limit(sheet: Sheet) -> int:
    """Return the width to fit into; nothing that is piped is cut unless that was asked for."""
    options, screen = sheet.options, sheet.screen
    if options.max_width is not None:
        return max(options.max_width, 0)
    return screen.width if screen.tty or options.fit_width else 0


def _painter(sheet: Sheet, rows: list[list[str]]) -> Callable[[int, int, str], str] | None:
    if not sheet.screen.color:
        return None

    def paint(row: int, column: int, text: str) -> str:
        if not sheet.record:
            return paint_state(sheet.names[column], rows[row][column], text)
        return paint_state(sheet.names[row], rows[row][1], text) if column == 1 else text

    return paint
