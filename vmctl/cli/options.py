"""The global options: accepted anywhere on the line before ``--``, and what they settle to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping


class GlobalOption(NamedTuple):
    """One option that every command understands."""

    name: str
    help: str
    metavar: str | None = None
    """None for a switch, which takes no value."""
    short: str | None = None
    choices: tuple[str, ...] = ()
    env: str | None = None
    bare: str | None = None
    """What there is instead of the switch that it is in openstack."""


GLOBALS = (
    GlobalOption("--db", "database: a path or an SQLAlchemy URL", "PATH|URL", env="VMCTL_DB"),
    GlobalOption("--inventory", "inventory file or folder", "PATH", env="VMCTL_INVENTORY"),
    GlobalOption("--project", "project label to work in", "NAME", env="VMCTL_PROJECT"),
    GlobalOption(
        "--color", "colour the status cells", "WHEN", choices=("auto", "always", "never"),
        env="VMCTL_COLOR",
    ),
    GlobalOption(
        "--progress", "how to show progress", "HOW", choices=("auto", "plain", "json", "none"),
        env="VMCTL_PROGRESS",
        bare="vmctl server list --long has what is being done as Task State; --watch draws it anew",
    ),
    GlobalOption(
        "--error-format", "how to print errors", "FORMAT", choices=("text", "json"),
        env="VMCTL_ERROR_FORMAT",
    ),
    GlobalOption("--verbose", "say more on stderr", short="-v"),
    GlobalOption("--quiet", "say nothing but errors on stderr", short="-q"),
    GlobalOption("--debug", "the debug log on stderr too, with tracebacks", env="VMCTL_DEBUG"),
    GlobalOption("--log-file", "write the debug log here", "PATH", env="VMCTL_LOG_FILE"),
    GlobalOption("--reason", "recorded with what this command does", "TEXT"),
    GlobalOption("--yes", "answer yes to every question", env="VMCTL_YES"),
    GlobalOption("--no-input", "never ask; fail instead", env="VMCTL_NO_INPUT"),
    GlobalOption("--help", "show help for the words on the line", short="-h"),
    GlobalOption("--version", "print the version"),
)  # fmt: skip

BY_NAME = {option.name: option for option in GLOBALS}
BY_SHORT = {option.short: option for option in GLOBALS if option.short}

SWALLOWED = frozenset({"--insecure", "--verify", "--timing"})
"""Switches of `openstack` that mean nothing here and change no result."""

OS_SWITCHES = frozenset({"--os-beta-command", "--os-cache"})
"""The `--os-*` options that take no value; every other one takes one."""

OS_PROJECT = "--os-project-name"

Found = dict[str, str]
"""Raw findings: option name to its value; a switch holds how often it was given."""


class Globals(NamedTuple):
    """What the global options say, settled with the environment."""

    db: str | None = None
    inventory: str | None = None
    project: str | None = None
    color: str = "auto"
    progress: str = "auto"
    error_format: str = "text"
    verbose: int = 0
    quiet: bool = False
    debug: bool = False
    log_file: str | None = None
    reason: str | None = None
    yes: bool = False
    no_input: bool = False


def settle(found: Found, environ: Mapping[str, str]) -> Globals:
    """Turn raw findings into values: flag, then variable, then the built-in default."""
    return Globals(
        db=_text("--db", found, environ),
        inventory=_text("--inventory", found, environ),
        project=found.get("--project")
        or found.get(OS_PROJECT)
        or environ.get("VMCTL_PROJECT")
        or environ.get("OS_PROJECT_NAME"),
        color=_text("--color", found, environ) or "auto",
        progress=_text("--progress", found, environ) or "auto",
        error_format=_text("--error-format", found, environ) or "text",
        verbose=int(found.get("--verbose", "0")),
        quiet="--quiet" in found,
        debug=_switch("--debug", found, environ),
        log_file=_text("--log-file", found, environ),
        reason=found.get("--reason"),
        yes=_switch("--yes", found, environ),
        no_input=_switch("--no-input", found, environ),
    )


def _text(name: str, found: Found, environ: Mapping[str, str]) -> str | None:
    option = BY_NAME[name]
    value = found.get(name)
    said_by = f"option {name}"
    if value is None and option.env:
        # An empty variable is one that is not set: `VMCTL_DB= vmctl …` is how a shell unsets one.
        value = environ.get(option.env) or None
        said_by = option.env
    if value is not None and option.choices and value not in option.choices:
        raise UsageError(f"{said_by}: {value!r} is not one of {', '.join(option.choices)}")
    return value


def _switch(name: str, found: Found, environ: Mapping[str, str]) -> bool:
    if name in found:
        return True
    variable = BY_NAME[name].env
    value = environ.get(variable, "") if variable else ""
    match value.lower():
        case "" | "0" | "false" | "no" | "off":
            return False
        case "1" | "true" | "yes" | "on":
            return True
    raise UsageError(f"{variable}: {value!r} is neither 1 nor 0")
