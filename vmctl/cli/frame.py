"""What the plain commands get, and how any command is fetched."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import click

    from vmctl.bootstrap import App
    from vmctl.cli.completers import Completers
    from vmctl.cli.grammar import Command, Commands
    from vmctl.cli.options import Globals
    from vmctl.config import Config


class Frame(NamedTuple):
    """The command line as composed: what there is, apart from what was typed."""

    commands: Commands
    build: Callable[[Config], App]
    environ: Mapping[str, str]
    completers: Completers


def load(command: Command) -> click.Command:
    """Import the module of a command and return what runs it."""
    loaded: click.Command = getattr(import_module(command.module), command.attr)
    return loaded


def load_plain(command: Command) -> Callable[[Frame, Globals, list[str]], str]:
    """Import the module of a plain command and return its function."""
    loaded: Callable[[Frame, Globals, list[str]], str]
    loaded = getattr(import_module(command.module), command.attr)
    return loaded
