"""YAML read into nodes that know their file and line, and mappings and lists of such nodes.

A value is what stands in the file, letter for letter: YAML 1.1 would read `010` as 8, `no` as
false and `1:30` as 90. So nothing is resolved; each reader looks at the text and the quotes.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, TypeVar

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from vmctl.errors import InventoryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

T = TypeVar("T")
Reader = Callable[[Node], T]
"""Gives the value of a node, or raises Wrong."""
Add = Callable[[Node, str], None]
"""Takes one thing that is wrong at a node."""
Pairs = list[tuple[ScalarNode, Node]]
Settings = dict[str, tuple[Any, Node]]
"""What a mapping of known keys said: each value, and the node where it stands."""

PLAIN = "plain"
QUOTED = "quoted"
DEEPEST = 24
"""No inventory nests deeper; without a bound the C composer overflows the stack and dies."""

_TOO_DEEP = "this is nested too deeply"
_ITS_OWN_BOUND = "nesting depth"
"""What newer libyaml says of it, which looks ahead and may be the first to."""

NULLS = {"", "~", "null", "Null", "NULL"}
TRUE = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"}
FALSE = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"}
BOOLS = TRUE | FALSE
_TAGS = {PLAIN, QUOTED, "tag:yaml.org,2002:str", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"}
_UNPRINTABLE = re.compile(
    "[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
)
_HIDDEN_BREAK = re.compile("\r(?!\n)|[\x85\u2028\u2029]")
_TAB = re.compile(r" *\t")
_FixedLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Wrong(Exception):
    """What a reader finds wrong in the node it was given, and where."""

    def __init__(self, *notes: tuple[Node, str]) -> None:
        super().__init__(*(message for _, message in notes))
        self.notes = notes


class Problems:
    """All that is wrong, collected so that the operator hears it in one go."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int, str], None] = {}
        self._order: dict[str, int] = {}

    def add(self, node: Node, message: str) -> None:
        """Note what is wrong at a node; the same words about the same line count once."""
        self.add_at(node.start_mark.name, node.start_mark.line + 1, message)

    def add_at(self, file: str, line: int, message: str) -> None:
        """Note what is wrong at a line."""
        self._order.setdefault(file, len(self._order))
        self._found[file, line, message] = None

    def reads(self, file: str) -> None:
        """Note that a file is read, so that what is wrong is told in the order of the files."""
        self._order.setdefault(file, len(self._order))

    def raise_if_any(self) -> None:
        """End the reading if anything at all was wrong."""
        if self._found:
            found = sorted(self._found, key=lambda one: (self._order[one[0]], one[1]))
            raise InventoryError(tuple(f"{file}:{line}: {text}" for file, line, text in found))


class _Loader(_FixedLoader):  # type: ignore[misc]  # libyaml's where it was built, else Python's
    """Composes nodes only: nothing is constructed, no tag is acted upon, no depth is unbounded."""

    depth = 0

    def resolve(self, kind: type[Node], _value: object, implicit: Any) -> str:
        """Tell only whether a scalar was plain; its meaning is the reader's to say."""
        return (PLAIN if implicit[0] else QUOTED) if kind is ScalarNode else PLAIN

    def descend_resolver(self, parent: Node | None, _index: object) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            mark = parent.start_mark if parent else None
            raise yaml.MarkedYAMLError(problem=_TOO_DEEP, problem_mark=mark)

    def ascend_resolver(self) -> None:
        self.depth -= 1


class _Named(io.StringIO):
    """A text that tells libyaml its file's name, which every mark then carries."""

    name: str


def compose(name: str, content: bytes, problems: Problems) -> Node | None:
    """Give the nodes of one file; None where it is empty, or no YAML, which is then noted."""
    problems.reads(name)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problems.add_at(name, line, f"byte 0x{content[error.start]:02x} is no UTF-8 text")
        return None
    hidden = _HIDDEN_BREAK.search(text)
    if hidden:
        line = text.count("\n", 0, hidden.start()) + 1
        code = f"U+{ord(hidden[0]):04X}"
        problems.add_at(name, line, f"{code} ends a line in YAML and in no editor; take it out")
        return None
    stream = _Named(text, newline="")
    stream.name = name
    try:
        loader = _Loader(stream)
        node: Node | None = loader.get_single_node()
    except yaml.reader.ReaderError as error:
        bad = _UNPRINTABLE.search(text)
        line = text.count("\n", 0, bad.start()) + 1 if bad else 1
        problems.add_at(name, line, f"a character stands here that YAML forbids: {error.reason}")
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        if error.problem and _ITS_OWN_BOUND in error.problem:
            problems.add_at(name, line + 1, _TOO_DEEP)
            return None
        context = f"{error.context}: " if error.context else ""
        tab = "; indent with blanks, YAML takes no tabs" if _TAB.match(_line(text, line)) else ""
        problems.add_at(name, line + 1, f"{context}{error.problem}{tab}")
    else:
        return node
    return None


def _line(text: str, number: int) -> str:
    lines = text.split("\n", number + 1)
    return lines[number] if number < len(lines) else ""


def place(node: Node) -> str:
    """Where a node stands, as `file:line`."""
    return f"{node.start_mark.name}:{node.start_mark.line + 1}"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Say what to write instead of an unknown word: the nearest known ones, else all."""
    known = list(known)
    # Comparing with every host of a large fleet, once for each error, would take minutes.
    close = get_close_matches(word, known, n=2) if len(known) <= 1000 else []
    if close:
        return f"did you mean {' or '.join(close)}?"
    if len(known) > 30:
        return f"{len(known)} others are known"
    return f"known are {', '.join(known)}" if known else "none is defined"


def quote(value: str) -> str:
    """Quote a word of a file so that it fits in one line of a message."""
    return repr(value if len(value) <= 60 else value[:59] + "…")


def refuse_tag(node: Node) -> None:
    """Refuse a tag that the file gives a node: tags make objects, and none are made here."""
    if node.tag not in _TAGS:
        raise Wrong((node, f"the tag {quote(node.tag)} means nothing here; leave it out"))


def pairs(node: Node, add: Add) -> Pairs:
    """Take a mapping apart; an empty value is an empty mapping."""
    if isinstance(node, ScalarNode) and node.tag == PLAIN and node.value in NULLS:
        return []
    if not isinstance(node, MappingNode):
        kind = "a list" if isinstance(node, SequenceNode) else quote(str(node.value))
        raise Wrong((node, f"a mapping (`key: value`) is wanted here, not {kind}"))
    refuse_tag(node)
    found: Pairs = []
    for key, value in node.value:
        if not isinstance(key, ScalarNode) or key.tag not in _TAGS:
            add(key, "a key must be plain text")
        elif key.tag == PLAIN and key.value == "<<":
            add(key, "`<<` is not read; put what several share in `defaults` or a group")
        elif key.tag == PLAIN and key.value in BOOLS | NULLS:
            add(key, f"the key {key.value or '(empty)'} needs quotes: '{key.value}'")
        else:
            found.append((key, value))
    return found


def unique(found: Iterable[tuple[ScalarNode, Node]], add: Add) -> Pairs:
    """Keep the pairs whose key stands there for the first time; a second one is noted."""
    first: dict[str, tuple[ScalarNode, Node]] = {}
    for key, value in found:
        if key.value in first:
            add(key, f"{quote(key.value)} is there already, at {place(first[key.value][0])}")
        else:
            first[key.value] = (key, value)
    return list(first.values())


def read_settings(
    found: Iterable[tuple[ScalarNode, Node]],
    fields: Mapping[str, Reader[Any]],
    add: Add,
    elsewhere: Mapping[str, str] | None = None,
) -> Settings:
    """Read each known key's value; every unknown key and every wrong value is noted.

    `elsewhere` says what to write for keys that people bring along from other tools.
    """
    settings: Settings = {}
    for key, value in unique(found, add):
        reader = fields.get(key.value)
        if reader is None:
            hint = (elsewhere or {}).get(key.value)
            hint = hint or did_you_mean(key.value, fields)
            add(key, f"unknown key {quote(key.value)}; {hint}")
            continue
        try:
            settings[key.value] = (reader(value), value)
        except Wrong as wrong:
            for node, message in wrong.notes:
                add(node, f"{key.value}: {message}")
    return settings


def listing(reader: Reader[T]) -> Reader[tuple[tuple[T, Node], ...]]:
    """Make a reader of a list, or of the one item that would be in it; items keep their nodes."""

    def read(node: Node) -> tuple[tuple[T, Node], ...]:
        refuse_tag(node)
        found: list[tuple[T, Node]] = []
        notes: list[tuple[Node, str]] = []
        for item in node.value if isinstance(node, SequenceNode) else [node]:
            try:
                found.append((reader(item), item))
            except Wrong as wrong:
                notes += wrong.notes
        if notes:
            raise Wrong(*notes)
        return tuple(found)

    return read


def mapping_of(
    fields: Mapping[str, Reader[Any]], elsewhere: Mapping[str, str] | None = None
) -> Reader[dict[str, Any]]:
    """Make a reader of a mapping of known keys, as plain values."""

    def read(node: Node) -> dict[str, Any]:
        notes: list[tuple[Node, str]] = []

        def add(at: Node, message: str) -> None:
            notes.append((at, message))

        settings = read_settings(pairs(node, add), fields, add, elsewhere)
        if notes:
            raise Wrong(*notes)
        return {key: value for key, (value, _) in settings.items()}

    return read


def words_to(reader: Reader[T], name: Reader[str]) -> Reader[dict[str, T]]:
    """Make a reader of a mapping whose keys are the operator's own words."""

    def read(node: Node) -> dict[str, T]:
        notes: list[tuple[Node, str]] = []

        def add(at: Node, message: str) -> None:
            notes.append((at, message))

        found = {}
        for key, value in unique(pairs(node, add), add):
            try:
                found[name(key)] = reader(value)
            except Wrong as wrong:
                notes += [(at, f"{quote(key.value)}: {message}") for at, message in wrong.notes]
        if notes:
            raise Wrong(*notes)
        return found

    return read
