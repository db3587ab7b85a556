"""Strict reading of loaded JSON or YAML: every error with its path, and all of them at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, cast

from vmctl.scheduler.policy import LARGEST

T = TypeVar("T")
_MIB_OF_GIB = 1024


class Reader:
    """One mapping of a file, read key by key; what is left over is an error.

    A key that is missing gives its default; so does one that is null, unless a single value that
    cannot be unknown is wanted.
    """

    def __init__(self, data: object, where: str, problems: list[str]) -> None:
        self._where = where
        self.problems = problems
        self._data: dict[str, object] = {}
        if isinstance(data, Mapping):
            self._data = {str(key): value for key, value in data.items()}
        else:
            problems.append(f"{where or 'the file'}: must be a mapping, not {_shown(data)}")

    def path(self, key: str) -> str:
        """Where a key stands in the file."""
        return f"{self._where}.{key}" if self._where else key

    def complain(self, key: str, message: str) -> None:
        """Note an error about a key."""
        self.problems.append(f"{self.path(key)}: {message}")

    def read(self, key: str, wanted: str, fits: Callable[[object], bool], default: T) -> T:
        """Take a value that must fit; the default stands in for one that does not."""
        if key not in self._data:
            return default
        value = self._data.pop(key)
        if value is None and (default is None or isinstance(default, dict | list | tuple)):
            return default
        if not fits(value):
            self.complain(key, f"must be {wanted}, not {_shown(value)}")
            return default
        return cast("T", value)

    def text(self, key: str, default: T) -> str | T:
        """Take a text."""
        return self.read(key, "a text", lambda value: isinstance(value, str), default)

    def name(self, key: str) -> str:
        """Take a text that must be there."""
        if self._data.get(key) is None or self._data[key] == "":
            self._data.pop(key, None)
            self.complain(key, "is missing")
            return ""
        return str(self.text(key, ""))

    def flag(self, key: str, *, default: bool) -> bool:
        """Take true or false."""
        return self.read(key, "true or false", lambda value: isinstance(value, bool), default)

    def whole(self, key: str, default: T, least: int = 0) -> int | T:
        """Take a whole number."""
        wanted = f"a whole number from {least} on"
        number = self.read(key, wanted, lambda value: _is_whole(value, least), default)
        return int(number) if isinstance(number, float) else number

    def number(self, key: str, default: T, least: float = 0.0) -> float | T:
        """Take a number, which need not be whole."""
        wanted = "a number" if least < 0 else f"a number from {least:g} on"
        return self.read(key, wanted, lambda value: _is_number(value, least), default)

    def gib(self, key: str, default: T) -> int | T:
        """Take a size in GiB, and give it in MiB."""
        size = self.read(key, "a size in GiB that is whole in MiB", _is_gib, None)
        return default if size is None else int(size * _MIB_OF_GIB)

    def known(self, key: str, default: str) -> str | None:
        """Take a text that has a default, and may be null all the same: not known."""
        if key in self._data and self._data[key] is None:
            del self._data[key]
            return None
        return self.text(key, default)

    def names(self, key: str, default: T) -> tuple[str, ...] | T:
        """Take a list of texts."""
        found = self.read(key, "a list of names", _are_names, default)
        return tuple(found) if isinstance(found, list) else found

    def texts(self, key: str) -> dict[str, str]:
        """Take a mapping of texts; numbers and truth values are read as they are written."""
        found: Mapping[str, object] = self.read(key, "a mapping of texts", _are_texts, {})
        return {str(name): _as_text(value) for name, value in found.items()}

    def facts(self, key: str) -> dict[str, object]:
        """Take a mapping of anything."""
        found: Mapping[str, object] = self.read(key, "a mapping", _is_mapping, {})
        return {str(name): value for name, value in found.items()}

    def has(self, key: str) -> bool:
        """Whether a key is there and is not null."""
        return self._data.get(key) is not None

    def skip(self, key: str) -> None:
        """Leave out a key that is missing or null."""
        self._data.pop(key, None)

    def inner(self, key: str) -> Reader:
        """Take a mapping to read on its own; a missing one is empty."""
        data = self._data.pop(key, None)
        return Reader({} if data is None else data, self.path(key), self.problems)

    def each(self, key: str) -> Iterator[Reader]:
        """Take a list of mappings, each to be read on its own; a missing one is empty."""
        rows: list[object] = self.read(key, "a list", _is_list, [])
        for index, row in enumerate(rows):
            yield Reader(row, f"{self.path(key)}[{index}]", self.problems)

    def end(self) -> None:
        """Complain of every key that nobody took."""
        for key in self._data:
            self.complain(key, "no such key")


def _is_number(value: object, least: float = 0.0) -> bool:
    return type(value) in {int, float} and least <= cast("float", value) <= LARGEST


def _is_whole(value: object, least: float = 0.0) -> bool:
    return _is_number(value, least) and cast("float", value) == int(cast("float", value))


def _is_gib(value: object) -> bool:
    return _is_number(value) and _is_whole(cast("float", value) * _MIB_OF_GIB)


def _is_mapping(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _are_names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _are_texts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(each, str | int | float) for each in value.values()
    )


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
