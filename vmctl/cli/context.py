"""What a command gets besides its own options."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from vmctl.cli import console
from vmctl.cli.color import wants_color
from vmctl.cli.sheet import Options, Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from vmctl.bootstrap import App
    from vmctl.cli.debuglog import DebugLog
    from vmctl.cli.grammar import Commands
    from vmctl.cli.options import Globals
    from vmctl.config import Config


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """One run of one command: what was said globally, and the way to everything outside."""

    options: Globals
    config: Config
    environ: Mapping[str, str]
    commands: Commands
    log: DebugLog
    find_app: Callable[[], App]
    output: Options = field(default_factory=Options)
    """How the result will be shown, for a command that must know before it asks a host."""

    @property
    def app(self) -> App:
        """The product's ports, composed when a command first asks for them."""
        return self.find_app()

    def write(self, text: str) -> None:
        """Print results on stdout."""
        console.write(text)

    def say(self, text: str) -> None:
        """Tell people something on stderr; --quiet silences it."""
        if not self.options.quiet:
            console.tell(text)

    @property
    def screen(self) -> Screen:
        """What stdout is, as far as tables care."""
        tty = console.stdout_is_tty()
        return Screen(
            tty=tty,
            color=wants_color(self.options.color, self.environ, tty=tty),
            width=console.columns(self.environ.get("COLUMNS")),
        )
