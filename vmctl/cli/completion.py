"""Completion: the scripts that shells load, and the answers that they ask for.

Words come from the command table and names from `completers`; only the names of a command's own
options need its module, and click.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.cli.completers import OPTION_VALUES, Source
from vmctl.cli.frame import load
from vmctl.cli.grammar import Commands, beginning_with, match, read_head
from vmctl.cli.options import BY_NAME, GLOBALS
from vmctl.config import load as load_config
from vmctl.errors import UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from vmctl.cli.frame import Frame
    from vmctl.cli.options import Found, Globals

_FORMATS = ("table", "json", "yaml", "value", "csv", "shell", "ndjson", "markdown", "name")

_SCRIPTS = {
    "bash": """\
_vmctl() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("$line")
    done < <("$1" complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o bashdefault -o default -F _vmctl vmctl
""",
    "zsh": """\
#compdef vmctl
_vmctl() {
    local -a found
    found=("${(@f)$(vmctl complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
    if [[ -n ${found[1]} ]]; then
        compadd -- "${found[@]}"
    else
        _files
    fi
}
compdef _vmctl vmctl
""",
    "fish": """\
function __vmctl
    vmctl complete -- (commandline -opc)[2..-1] "$(commandline -ct)" 2>/dev/null
end
complete -c vmctl -a '(__vmctl)'
""",
}


def script(frame: Frame, options: Globals, args: list[str]) -> str:
    """Print the script that teaches a shell to complete vmctl's words and names."""
    del frame, options
    shells = ", ".join(sorted(_SCRIPTS))
    if len(args) != 1 or args[0] not in _SCRIPTS:
        raise UsageError(
            f"completion takes one shell: {shells}",
            hint='in ~/.bashrc: eval "$(vmctl completion bash)"',
        )
    return _SCRIPTS[args[0]]


def complete(frame: Frame, options: Globals, args: list[str]) -> str:
    """Print what the last of the words after ``--`` may become, one on each line."""
    del options
    words = args[1:] if args[:1] == ["--"] else args
    try:
        found = candidates(frame, words or [""])
    except VmctlError:
        return ""  # A line that is wrong so far has nothing to offer.
    return "".join(f"{word}\n" for word in found)


def candidates(frame: Frame, words: Sequence[str]) -> list[str]:
    """Return what the last word may become, in the line that the others begin."""
    *before, current = _rejoined(words)
    if "--" in before:
        return []
    head = read_head(before)
    name = match(head.words, frame.commands) if head.words else None
    option, equals, value = current.partition("=")
    if equals and option.startswith("--"):
        offered = _values(frame, option, value, head.found[-1])
        return _fitting((f"{option}={each}" for each in offered or ()), current)
    offered = _values(frame, before[-1], current, head.found[-1]) if before else None
    if offered is None and head.problem is not None:
        return []
    if offered is None and current.startswith("-"):
        offered = _options(frame.commands, name)
    if offered is None and name == "help":
        offered = [*_next_words(frame.commands, head.words[1:]), "exit-codes", "environment"]
    if offered is None:
        offered = [
            *_next_words(frame.commands, head.words if head.stopped_at is None else ()),
            *_names(frame, name, before, current, head.found[-1]),
        ]
    return _fitting(offered, current)


def _rejoined(words: Sequence[str]) -> list[str]:
    """Undo what bash does to ``--host=kvm1``, which it hands over as three words."""
    joined = list(words)
    if len(joined) > 1 and joined[-1] == "=":
        joined[-1] = ""
    while "=" in joined[1:]:
        del joined[joined.index("=", 1)]
    return joined


def _values(frame: Frame, option: str, prefix: str, found: Found) -> Iterable[str] | None:
    """Offer the values of an option that takes some we know; None for anything else."""
    if option in BY_NAME and BY_NAME[option].metavar:
        return BY_NAME[option].choices
    if option in ("-f", "--format"):
        return _FORMATS
    if option in OPTION_VALUES:
        return _asked(frame, OPTION_VALUES[option], prefix, found)
    return None


def _options(commands: Commands, name: str | None) -> list[str]:
    offered = [option.name for option in GLOBALS]
    if name is not None and not commands[name].plain:
        from vmctl.cli.command import shapes

        offered.extend(shapes(load(commands[name])))
    return [option for option in offered if option.startswith("--")]


def _next_words(commands: Commands, words: Sequence[str]) -> list[str]:
    shown = [name for name, command in commands.items() if not command.hidden]
    phrases = [name.split() for name in beginning_with(words, shown)]
    return [phrase[len(words)] for phrase in phrases if len(phrase) > len(words)]


def _names(
    frame: Frame, name: str | None, before: Sequence[str], prefix: str, found: Found
) -> Iterable[str]:
    if name is None or not frame.commands[name].names:
        return ()
    # An option's value among them counts too; that offers a name too many, never one too few.
    arguments = [word for word in before if not word.startswith("-")][len(name.split()) :]
    names = frame.commands[name].names
    return _asked(frame, names[min(len(arguments), len(names) - 1)], prefix, found)


def _asked(frame: Frame, kind: str, prefix: str, found: Found) -> Iterable[str]:
    config = load_config(frame.environ, db=found.get("--db"), inventory=found.get("--inventory"))
    source = Source(config.db, config.inventory, config.cache_folder)
    return frame.completers[kind](source, prefix) if kind in frame.completers else ()


def _fitting(offered: Iterable[str], current: str) -> list[str]:
    # A shell puts the word on the line as it is: one with a `$(` in it would be run.
    return sorted({word for word in offered if word.startswith(current) and _is_harmless(word)})


def _is_harmless(word: str) -> bool:
    return all(char.isalnum() or char in "_.,:@%+/=-" for char in word)
