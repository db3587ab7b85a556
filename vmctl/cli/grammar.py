"""The grammar: ``<object words> <action> [object-2]``, matched against a flat table.

Pure functions over argv. A line is read twice: first for the words of the command, when only the
global options are known; then, with the command's own options known, for everything after them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from vmctl.cli.options import BY_NAME, BY_SHORT, OS_SWITCHES, SWALLOWED, Found
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


class Command(NamedTuple):
    """One row of the command table; its module is imported when the command is run."""

    module: str
    attr: str
    help: str
    names: tuple[str, ...] = ()
    """Which completer each argument's names come from; the last one serves all that follow."""
    plain: bool = False
    """True for a function over the frame itself, which needs no click."""
    hidden: bool = False


Commands = dict[str, Command]
Shapes = dict[str, int]
"""A command's option spellings, and how many values each takes."""


class Head(NamedTuple):
    """A line as far as its words go."""

    words: tuple[str, ...]
    ends: tuple[int, ...]
    """For each word, where the line goes on after it."""
    found: tuple[Found, ...]
    """The global options seen before the end of each word; the last entry holds all of them."""
    stopped_at: str | None
    """The first option that is not a global one, and ends the words."""
    problem: UsageError | None
    """What is wrong after the words; the command's own options may make it right."""


class Line(NamedTuple):
    """What follows a command's words, taken apart."""

    args: list[str]
    """The command's own options, spelled out, and its arguments."""
    found: Found


def read_head(argv: Sequence[str]) -> Head:
    """Read the words at the head of a line, stepping over the global options among them."""
    words: list[str] = []
    ends: list[int] = []
    snapshots: list[Found] = []
    found: Found = {}
    at = 0
    stopped_at = problem = None
    while at < len(argv) and argv[at] != "--":
        token = argv[at]
        if not _is_option(token):
            at += 1
            words.append(token)
            ends.append(at)
            snapshots.append(dict(found))
            continue
        try:
            after = _take_global(argv, at, found, {})
        except UsageError as error:
            problem = error
            break
        if after == at:
            stopped_at = token
            break
        at = after
    return Head(tuple(words), tuple(ends), (*snapshots, found), stopped_at, problem)


def read_line(args: Sequence[str], own: Shapes, found: Mapping[str, str] | None = None) -> Line:
    """Take a command's line apart: global options out, its own options spelled out.

    What was found before the command's words is carried on.
    """
    line = Line([], dict(found or {}))
    at = 0
    while at < len(args):
        token = args[at]
        if token == "--":  # noqa: S105 - not a password
            line.args.extend(args[at:])
            break
        if not _is_option(token):
            line.args.append(token)
            at += 1
        elif token.startswith("--"):
            at = _take_long(args, at, own, line)
        else:
            at = _take_short(args, at, own, line)
    return line


def wants_help(argv: Sequence[str]) -> bool:
    """Tell whether help is asked for anywhere before ``--``, on a line that names no command."""
    head = argv[: argv.index("--")] if "--" in argv else argv
    return "--help" in head or "-h" in head


def match(words: Sequence[str], commands: Iterable[str]) -> str | None:
    """Find the longest command that the words begin with; words may be shortened.

    Words that follow a complete command are never taken for a shortened one: in
    ``server resize con``, ``con`` is a server's name, not ``server resize confirm``.
    """
    phrases = {tuple(name.split()): name for name in commands}
    longest = min(len(words), max(map(len, phrases), default=0))
    for length in range(longest, 0, -1):
        if name := phrases.get(tuple(words[:length])):
            return name
    for length in range(longest, 0, -1):
        given = words[:length]
        fitting = _closest(given, [p for p in phrases if len(p) == length], phrases)
        if len(fitting) > 1:
            names = ", ".join(sorted(phrases[phrase] for phrase in fitting))
            raise UsageError(f"'{' '.join(given)}' may mean several commands: {names}")
        if fitting:
            return phrases[fitting[0]]
    return None


def beginning_with(words: Sequence[str], commands: Iterable[str]) -> list[str]:
    """List the commands that begin with these words, which may be shortened."""
    phrases = {tuple(name.split()): name for name in commands}
    long_enough = [phrase for phrase in phrases if len(phrase) >= len(words)]
    return sorted(phrases[phrase] for phrase in _closest(words, long_enough, {}))


def _closest(
    given: Sequence[str],
    phrases: Iterable[tuple[str, ...]],
    complete: Mapping[tuple[str, ...], str],
) -> list[tuple[str, ...]]:
    """Narrow the phrases word by word; a word given in full excludes the longer ones."""
    fitting = list(phrases)
    for place, word in enumerate(given):
        exact = [phrase for phrase in fitting if phrase[place] == word]
        fitting = exact or [
            phrase
            for phrase in fitting
            if word
            and phrase[place].startswith(word)
            and not any(phrase[:shorter] in complete for shorter in range(1, place + 1))
        ]
    return fitting


def _is_option(token: str) -> bool:
    return len(token) > 1 and token[0] == "-"


def _is_known_option(token: str, own: Shapes) -> bool:
    name = token.partition("=")[0]
    return (
        name in own
        or name in BY_NAME
        or name in BY_SHORT
        or name in SWALLOWED
        or name.startswith("--os-")
    )


def _take_long(args: Sequence[str], at: int, own: Shapes, line: Line) -> int:
    given, equals, value = args[at].partition("=")
    if given in own:
        name = given
    else:
        after = _take_global(args, at, line.found, own)
        if after > at:
            return after
        name = _spelled_out(given, own)
    line.args.append(f"{name}{equals}{value}")
    at += 1
    if equals:
        return at
    for _ in range(own[name]):
        line.args.append(_value(args, at, name, own))
        at += 1
    return at


def _take_short(args: Sequence[str], at: int, own: Shapes, line: Line) -> int:
    """Take a cluster such as ``-vfjson`` apart; click reads what is left of it again."""
    if args[at][:2] not in own and args[at][:2] not in BY_SHORT:
        # Nothing of ours: a negative number perhaps. Let the command judge it.
        line.args.append(args[at])
        return at + 1
    kept = ""
    letters = args[at][1:]
    at += 1
    for place, letter in enumerate(letters):
        short = f"-{letter}"
        if short not in own and short in BY_SHORT:
            _count(line.found, BY_SHORT[short].name)
            continue
        kept += letter
        if own.get(short, 0):
            rest = letters[place + 1 :]
            line.args.append(f"-{kept}{rest}")
            if not rest:
                line.args.append(_value(args, at, short, own))
                at += 1
            return at
    if kept:
        line.args.append(f"-{kept}")
    return at


def _spelled_out(given: str, own: Shapes) -> str:
    if len(given) > 2:
        fitting = sorted(name for name in own if name.startswith(given))
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            raise UsageError(f"option {given} may mean any of {', '.join(fitting)}")
    from vmctl.cli.similar import closest

    names = [name for name in (*own, *BY_NAME) if name.startswith("--")]
    near = closest(given, names)
    hint = f"did you mean {' or '.join(near)}?" if near else None
    raise UsageError(f"no such option: {given}", hint=hint)


def _take_global(args: Sequence[str], at: int, found: Found, own: Shapes) -> int:
    """Note the global option at this place; return where the line goes on, ``at`` if none is."""
    token = args[at]
    if not token.startswith("--"):
        return _take_global_letters(args, at, found)
    name, equals, value = token.partition("=")
    if name in SWALLOWED or name in OS_SWITCHES:
        return at + 1
    if name.startswith("--os-"):
        return _take_os(args, at, found)
    option = BY_NAME.get(name)
    if option is None:
        return at
    if option.metavar is None:
        if equals:
            raise UsageError(f"option {name} takes no value")
        _count(found, name)
        return at + 1
    if equals:
        found[name] = value
        return at + 1
    found[name] = _value(args, at + 1, name, own)
    return at + 2


def _take_os(args: Sequence[str], at: int, found: Found) -> int:
    name, equals, value = args[at].partition("=")
    after = at + 1
    if not equals and after < len(args) and not _is_option(args[after]):
        value = args[after]
        after += 1
    found[name] = value
    return after


def _take_global_letters(args: Sequence[str], at: int, found: Found) -> int:
    letters = [f"-{letter}" for letter in args[at][1:]]
    if any(letter not in BY_SHORT for letter in letters):
        return at
    for letter in letters:
        _count(found, BY_SHORT[letter].name)
    return at + 1


def _count(found: Found, name: str) -> None:
    found[name] = str(int(found.get(name, "0")) + 1)


def _value(args: Sequence[str], at: int, name: str, own: Shapes) -> str:
    """Return an option's value; a known option in its place means that the value was forgotten."""
    if at < len(args) and args[at] != "--" and not _is_known_option(args[at], own):
        return args[at]
    missing = f"option {name} needs a value"
    option = None if name in own else BY_NAME.get(name)
    if option is not None and option.bare:
        values = ", ".join(option.choices)
        raise UsageError(f"{name} is no switch here, but takes one of {values}", hint=option.bare)
    if at < len(args) and args[at] != "--":
        form = f"{name}={args[at]}" if name.startswith("--") else f"{name}{args[at]}"
        raise UsageError(missing, hint=f"if {args[at]} is the value, write {form}")
    raise UsageError(missing)
