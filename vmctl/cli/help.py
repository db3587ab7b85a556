"""Help, written from the tables: nothing heavy is imported to print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl import __version__
from vmctl.cli.frame import load
from vmctl.cli.grammar import beginning_with, match
from vmctl.cli.options import GLOBALS
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmctl.cli.frame import Frame
    from vmctl.cli.grammar import Commands
    from vmctl.cli.options import Globals

_ENVIRONMENT = (
    ("VMCTL_MAX_TERM_WIDTH", "fit tables into this width (or CLIFF_MAX_TERM_WIDTH)"),
    ("VMCTL_FIT_WIDTH", "1: fit tables to the display, piped ones too (or CLIFF_FIT_WIDTH)"),
    ("NO_COLOR", "no colour, if set to anything"),
    ("FORCE_COLOR", "colour even without a terminal (or CLICOLOR_FORCE)"),
    ("XDG_STATE_HOME", "holds vmctl/state.db and vmctl/log (~/.local/state)"),
    ("XDG_CONFIG_HOME", "holds vmctl/inventory.yaml (~/.config)"),
    ("XDG_CACHE_HOME", "holds what can be made again (~/.cache)"),
)


def help_words(frame: Frame, options: Globals, args: list[str]) -> str:
    """Show help for a topic, a command, or all commands that begin with the words."""
    del options
    if not args:
        return overview(frame.commands)
    if args == ["exit-codes"]:
        return exit_codes()
    if args == ["environment"]:
        return environment()
    name = match(args, frame.commands)
    if name is not None and len(name.split()) == len(args):
        return of_command(name, frame.commands)
    text = of_words(args, frame.commands)
    if text is None:
        raise unknown(args, frame.commands)
    return text


def version(frame: Frame, options: Globals, args: list[str]) -> str:
    """Print the version."""
    del frame, options
    if args:
        raise UsageError(f"unexpected argument: {args[0]}")
    return f"vmctl {__version__}\n"


def overview(commands: Commands) -> str:
    """Write the help of vmctl as a whole."""
    return (
        "Usage: vmctl COMMAND [OPTIONS] [ARGUMENTS]\n\n"
        "Virtual machines on KVM hosts over SSH and libvirt.\n\n"
        f"Commands:\n{_listed(commands, commands)}\n"
        f"Global options, anywhere on the line before --:\n{_global_options()}\n"
        "More: vmctl help WORDS | exit-codes | environment\n"
    )


def of_words(words: Sequence[str], commands: Commands) -> str | None:
    """List the commands that begin with the words, if there are any."""
    names = beginning_with(words, (name for name in commands if not commands[name].hidden))
    return f"Commands:\n{_listed(names, commands)}" if names else None


def of_command(name: str, commands: Commands) -> str:
    """Write the help of one command."""
    command = commands[name]
    longer = [other for other in commands if other.startswith(f"{name} ")]
    also = f"\nSee also:\n{_listed(longer, commands)}" if longer else ""
    if command.plain:
        first = command.help[:1].upper() + command.help[1:]
        return f"Usage: vmctl {name} [ARGUMENTS]\n\n  {first}.\n{also}"
    from click import Context

    loaded = load(command)
    text = loaded.get_help(Context(loaded, info_name=f"vmctl {name}"))
    return f"{text}\n\nGlobal options: vmctl help\n{also}"


def exit_codes() -> str:
    """Write the table of exit codes."""
    from vmctl.cli.exitcodes import EXIT_CODES

    return "Exit codes:\n" + _columns((str(code), meaning) for code, meaning in EXIT_CODES)


def environment() -> str:
    """Write the table of environment variables; a flag always goes before its variable."""
    ours = [(option.env, f"as {option.name}") for option in GLOBALS if option.env]
    return "Environment:\n" + _columns([*ours, *_ENVIRONMENT])


def unknown(words: Sequence[str], commands: Commands) -> UsageError:
    """Make the error for words that are no command, with what was probably meant."""
    from vmctl.cli.hints import hint_for
    from vmctl.cli.similar import closest_commands

    if elsewhere := hint_for(words):
        phrase, hint = elsewhere
        return UsageError(f"vmctl: '{phrase}' is not a vmctl command", hint=hint)
    shown = [name for name in commands if not commands[name].hidden]
    begun = beginning_with(words[:1], shown)
    near = closest_commands(words, shown)
    hint = "vmctl help lists the commands"
    if near:
        hint = f"did you mean {' or '.join(repr(name) for name in near)}?"
    elif begun:
        hint = f"vmctl help {words[0]} lists the commands that begin so"
    return UsageError(f"vmctl: '{' '.join(words)}' is not a vmctl command", hint=hint)


def _listed(names: Iterable[str], commands: Commands) -> str:
    return _columns(
        (name, commands[name].help) for name in sorted(names) if not commands[name].hidden
    )


def _global_options() -> str:
    rows = []
    for option in GLOBALS:
        metavar = "|".join(option.choices) or option.metavar
        spelled = f"{option.short}, {option.name}" if option.short else option.name
        rows.append((f"{spelled} {metavar}" if metavar else spelled, option.help))
    return _columns(rows)


def _columns(rows: Iterable[tuple[str, str]]) -> str:
    pairs = list(rows)
    wide = max((len(left) for left, _ in pairs), default=0)
    return "".join(f"  {left:<{wide}}  {right}\n" for left, right in pairs)
