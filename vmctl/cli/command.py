"""How a command is made: a function that takes a `Context` and returns what is to be shown.

    @lister
    @click.option("--zone", help="only the hosts in this zone")
    def hosts(context: Context, *, zone: str | None) -> Table:
        \"\"\"List the hosts and what each can still take.\"\"\"

`lister` wants a `Table`, `shower` a `Record`, `action` nothing, or text to print, or an exit code.
A `teller` has a table and words around it: it gets a table's options and prints by itself. So does
a `holder` with one thing, which lasts for as long as the command does.
"""

from __future__ import annotations

from dataclasses import replace
from functools import update_wrapper
from typing import TYPE_CHECKING

import click

from vmctl.cli.output import OUTPUTS, Record, Table, render
from vmctl.cli.sheet import Options
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.cli.context import Context
    from vmctl.cli.grammar import Shapes


_QUOTES = ("all", "minimal", "none", "nonnumeric")


def lister(function: Callable[..., Table]) -> click.Command:
    """Make a command that lists: it gets the output options of a table."""
    return _showing(function, [*_common("tables"), *_LIST_OPTIONS])


def shower(function: Callable[..., Record | Table | str]) -> click.Command:
    """Make a command that shows one thing: it gets the output options of a record.

    What makes several things at once may show them in a table; text is printed as it is.
    """
    return _showing(function, [*_common("records"), *_SHOW_OPTIONS])


def teller(function: Callable[..., int | None]) -> click.Command:
    """Make a command that prints by itself, by the output options of a table in its context."""
    return _telling(function, [*_common("tables"), *_ORDER_OPTIONS])


def holder(function: Callable[..., int | None]) -> click.Command:
    """Make a command that prints one thing by itself and stays, by a record's output options."""
    return _telling(function, [*_common("records"), *_SHOW_OPTIONS])


def action(function: Callable[..., str | int | None]) -> click.Command:
    """Make a command that acts: it prints the text that it returns, or ends with the code."""

    def run(context: Context, **params: object) -> int:
        result = function(context, **params)
        if isinstance(result, str):
            context.write(result)
            return 0
        return result or 0

    return _command(function, run, [])


def watch_option(function: Callable[..., Table]) -> Callable[..., Table]:
    """Give a list the option that has it drawn again and again; what does that is in `live`."""
    return click.option(
        "--watch",
        "every",
        metavar="[S]",
        is_flag=False,
        flag_value=2.0,
        type=click.FloatRange(min=0.1),
        help="draw it on the terminal, and ask each host every S seconds (2); q leaves",
    )(function)


def shapes(command: click.Command) -> Shapes:
    """Tell how a command's options are spelled and how many values each takes.

    One whose value may be left out takes none: what follows it is for click to judge.
    """
    found: Shapes = {}
    for option in command.params:
        if isinstance(option, click.Option):
            bare = option.is_flag or option.count or isinstance(option.flag_value, float)
            takes = 0 if bare else option.nargs
            found.update(dict.fromkeys([*option.opts, *option.secondary_opts], takes))
    return found


def _showing(
    function: Callable[..., Table | Record | str], options: list[click.Option]
) -> click.Command:
    def run(context: Context, **params: object) -> int:
        chosen = _chosen(context, params)
        result = function(replace(context, output=chosen), **params)
        if isinstance(result, str):
            context.write(result)
            return 0
        context.write(render(result, chosen, context.screen))
        return result.exit_code

    return _command(function, run, options)


def _telling(function: Callable[..., int | None], options: list[click.Option]) -> click.Command:
    def run(context: Context, **params: object) -> int:
        chosen = _chosen(context, params)
        return function(replace(context, output=chosen), **params) or 0

    return _command(function, run, options)


def _command(
    function: Callable[..., object], run: Callable[..., int], options: list[click.Option]
) -> click.Command:
    # Takes over the docstring, and the parameters that click's own decorators left on the function.
    update_wrapper(run, function)
    command = click.command(add_help_option=False)(click.pass_obj(run))
    command.params.extend(options)
    return command


def _chosen(context: Context, params: dict[str, object]) -> Options:
    """Take the output options out of what was said."""
    said = {
        name.removeprefix("out_"): params.pop(name)
        for name in list(params)
        if name.startswith("out_")
    }
    return _options(said, context.environ)


def _options(said: Mapping[str, object], environ: Mapping[str, str]) -> Options:
    values = dict(said)
    if values.pop("sort_ascending", False) and values.get("descending"):
        raise UsageError("--sort-ascending and --sort-descending exclude each other")
    if values["max_width"] is None:
        values["max_width"] = _env_number(environ, "MAX_TERM_WIDTH")
    values["fit_width"] = values["fit_width"] or bool(_env_number(environ, "FIT_WIDTH"))
    return Options(**values)  # type: ignore[arg-type]  # click has judged the types


def _env_number(environ: Mapping[str, str], name: str) -> int | None:
    """Read our own variable before the one that `openstack` reads."""
    for variable in (f"VMCTL_{name}", f"CLIFF_{name}"):
        if value := environ.get(variable):
            if not value.isdecimal():
                raise UsageError(f"{variable}: {value!r} is not a number")
            return int(value)
    return None


def _common(kind: str) -> list[click.Option]:
    formats = [name for name, output in OUTPUTS.items() if getattr(output, kind)]
    return [
        _option("format", "-f", "--format", type=click.Choice(formats), default="table",
                help="output format (table)"),
        _option("columns", "-c", "--column", multiple=True, metavar="COLUMN",
                help="show only this column; repeatable"),
        _option("noindent", "--noindent", is_flag=True, help="json on one line"),
        _option("max_width", "--max-width", type=int, metavar="COLUMNS",
                help="fit tables into this width; 0 for never"),
        _option("fit_width", "--fit-width", is_flag=True, help="fit tables to the display"),
        _option("print_empty", "--print-empty", is_flag=True, help="draw a table without rows too"),
    ]  # fmt: skip


def _option(name: str, *spellings: str, **attributes: object) -> click.Option:
    # The prefix keeps these apart from a command's own: `--long` may be both.
    return click.Option([f"out_{name}", *spellings], **attributes)  # type: ignore[arg-type]  # keywords of click


_ORDER_OPTIONS = [
    _option("sort_columns", "--sort-column", multiple=True, metavar="COLUMN",
            help="sort by this column; repeatable"),
    _option("sort_ascending", "--sort-ascending", is_flag=True, help="smallest first (default)"),
    _option("descending", "--sort-descending", is_flag=True, help="largest first"),
    _option("quote", "--quote", type=click.Choice(_QUOTES), default="nonnumeric",
            help="what csv quotes (nonnumeric)"),
]  # fmt: skip

_LIST_OPTIONS = [
    _option("long", "--long", is_flag=True, help="show more columns"),
    _option("limit", "--limit", type=click.IntRange(min=-1), metavar="N",
            help="at most N rows (-1: all)"),
    *_ORDER_OPTIONS,
]  # fmt: skip

_SHOW_OPTIONS = [
    _option("prefix", "--prefix", default="", help="before every name in shell format")
]
