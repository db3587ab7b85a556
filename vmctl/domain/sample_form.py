"""The plain form that samples are kept in: a versioned mapping, fit for JSON.

Reading it is lenient. A key that is missing, or that holds what it should not, reads as if the
host had not said it: a record written by an older or newer vmctl must never stop a command.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, TypeVar

from vmctl.domain.cpus import read_cpus
from vmctl.domain.sample import (
    FoundBridge,
    FoundNetwork,
    FoundPool,
    Guest,
    HostSample,
    Stall,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    _Fields = tuple[tuple[str, Any, Callable[[object], object]], ...]

VERSION = 1
"""The version of the form; a sample of another one is not read."""

_Value = FoundBridge | FoundNetwork | FoundPool | Guest | HostSample | Stall
_T = TypeVar("_T", bound=_Value)


def to_plain(sample: HostSample) -> dict[str, object]:
    """Give a sample as a mapping of plain values; what says nothing is left out."""
    return {"version": VERSION, **_plain(sample)}


def from_plain(plain: Mapping[str, object]) -> HostSample | None:
    """Read a sample back; None if it is of another version, or does not say when it was taken."""
    if plain.get("version") != VERSION:
        return None
    return _read(HostSample, dict(plain))


def brief(plain: Mapping[str, object], ours: Collection[str], pool: str) -> HostSample | None:
    """Read only what a list of hosts shows: one pool, and of the guests those that are not `ours`.

    For hundreds of hosts at once: reading all of every sample would take most of a list's time.
    """
    return _some(plain, ours, pool, _BRIEF_FIELDS)


def for_placing(plain: Mapping[str, object], ours: Collection[str]) -> HostSample | None:
    """Read only what placing asks, and of the guests those that are not `ours`.

    For thousands of hosts at once.
    """
    return _some(plain, ours, None, _PLACING_FIELDS)


def pins_in(plain: Mapping[str, object]) -> frozenset[int]:
    """Read only to which CPUs any guest of a sample is bound, be it ours or not."""
    rows = plain.get("guests")
    if plain.get("version") != VERSION or not isinstance(rows, list):
        return frozenset()
    guests = filter(None, map(_read_row, rows))
    return frozenset().union(*(read_cpus(guest.pins) for guest in guests))


def _some(
    plain: Mapping[str, object], ours: Collection[str], pool: str | None, wanted: _Fields
) -> HostSample | None:
    """Read some fields of a sample, and one pool if it is named."""
    if plain.get("version") != VERSION:
        return None
    read: dict[str, Any] = {}
    for name, _, reader in wanted:
        if name not in plain:
            continue
        held = plain[name]
        if name == "guests" and isinstance(held, list):
            held = [one for one in held if _is_foreign(one, ours)]
        elif name == "pools" and pool is not None and isinstance(held, list):
            held = [one for one in held if isinstance(one, Mapping) and one.get("name") == pool]
        value = reader(held)
        if value is not None:
            read[name] = value
    return HostSample(**read) if "taken_at" in read else None


def _is_foreign(row: object, ours: Collection[str]) -> bool:
    """Whether a guest's row can be read, and is of none of ours."""
    return isinstance(row, list) and bool(row) and isinstance(row[0], str) and row[0] not in ours


_BRIEF = (
    *("taken_at", "facts_at", "boot_id", "cpus", "cpus_online", "memory", "libvirt_error"),
    *("psi_cpu", "psi_memory", "psi_io"),
    *("pools", "guests", "grown"),
)
_PLACING = (
    *_BRIEF,
    *("load", "cpu_ticks", "steal_ticks", "arch", "qemu_version", "virt_types", "cpu_model"),
    *("cpu_vendor", "cpu_features", "sockets", "cores", "threads", "uefi", "secure_boot", "tpm"),
)
_PLACING_STALL = ("avg60",)
_PLACING_POOL = ("name", "active", "capacity", "available", "base_images")


def _plain(value: _Value) -> dict[str, object]:
    said = {}
    for name, default, _ in _FIELDS[type(value)]:
        held = getattr(value, name)
        if held != default:
            said[name] = _flat(held)
    return said


def _flat(held: Any) -> object:
    if isinstance(held, tuple):
        return [_flat(one) for one in held]
    if isinstance(held, Guest):
        return _row(held)
    return _plain(held) if isinstance(held, _Value) else held


def _row(guest: Guest) -> list[object]:
    """Give a guest as a row, its uuid first: there are many, and names at each would double them.

    What says nothing at the end of a row is left out.
    """
    columns = [(getattr(guest, name), default) for name, default, _ in _FIELDS[Guest]]
    while columns[-1][0] == columns[-1][1]:
        columns.pop()
    return [_flat(held) for held, _ in columns]


def _read_row(plain: object) -> Guest | None:
    """Read a guest back from its row."""
    if not isinstance(plain, list | tuple):
        return None
    said: dict[str, Any] = {}
    for (name, _, reader), held in zip(_FIELDS[Guest], plain, strict=False):
        read = reader(held)
        if read is not None:
            said[name] = read
    return Guest(**said) if "uuid" in said else None


def _read(kind: type[_T], plain: object, wanted: _Fields | None = None) -> _T | None:
    """Read one value, or the wanted fields of it; None if what has no default is not there."""
    if not isinstance(plain, dict):
        return None
    said: dict[str, Any] = {}
    for name, default, reader in wanted or _FIELDS[kind]:
        read = reader(plain[name]) if name in plain else None
        if read is not None:
            said[name] = read
        elif default is MISSING:
            return None
    return kind(**said)


def _number(plain: object) -> float | None:
    return plain if type(plain) is float or type(plain) is int else None


def _int(plain: object) -> int | None:
    return plain if type(plain) is int else None


def _bool(plain: object) -> bool | None:
    return plain if isinstance(plain, bool) else None


def _text(plain: object) -> str | None:
    return plain if isinstance(plain, str) else None


def _texts(plain: object) -> tuple[object, ...] | None:
    if isinstance(plain, list) and set(map(type, plain)) <= {str}:
        return tuple(plain)
    return _many(_text)(plain)


def _one_of(*words: str) -> Callable[[object], str | None]:
    return lambda plain: plain if isinstance(plain, str) and plain in words else None


def _many(reader: Callable[[object], object]) -> Callable[[object], tuple[object, ...] | None]:
    def read(plain: object) -> tuple[object, ...] | None:
        if not isinstance(plain, list | tuple):
            return None
        return tuple(one for one in map(reader, plain) if one is not None)

    return read


_READERS: dict[str, Callable[[object], object]] = {
    "bool": _bool,
    "float": _number,
    "int": _int,
    "str": _text,
    "Depth": _one_of("quick", "full"),
    "Literal['running', 'paused', 'off']": _one_of("running", "paused", "off"),
    "Stall": lambda plain: _read(Stall, plain),
    "tuple[float, ...]": _many(_number),
    "tuple[str, ...]": _texts,
    "tuple[FoundBridge, ...]": _many(lambda plain: _read(FoundBridge, plain)),
    "tuple[FoundNetwork, ...]": _many(lambda plain: _read(FoundNetwork, plain)),
    "tuple[FoundPool, ...]": _many(lambda plain: _read(FoundPool, plain)),
    "tuple[Guest, ...]": _many(_read_row),
}
"""How a field is read, by its annotation; None is what every reader says of a wrong value."""


def _fields(
    kind: type, readers: Mapping[str, Callable[[object], object]], names: Collection[str] = ()
) -> _Fields:
    """Say how the fields of a kind are read, all of them or those named."""
    return tuple(
        (one.name, one.default, readers[str(one.type).removesuffix(" | None").replace('"', "'")])
        for one in fields(kind)
        if not names or one.name in names
    )


_FIELDS: dict[type, _Fields] = {
    kind: _fields(kind, _READERS)
    for kind in (FoundBridge, FoundNetwork, FoundPool, Guest, HostSample, Stall)
}
_BRIEF_FIELDS = _fields(HostSample, _READERS, _BRIEF)
_STALL_PLACING = _fields(Stall, _READERS, _PLACING_STALL)
_POOL_PLACING = _fields(FoundPool, _READERS, _PLACING_POOL)
_PLACING_READERS: dict[str, Callable[[object], object]] = {
    "Stall": lambda plain: _read(Stall, plain, _STALL_PLACING),
    "tuple[FoundPool, ...]": _many(lambda plain: _read(FoundPool, plain, _POOL_PLACING)),
}
_PLACING_FIELDS = _fields(HostSample, {**_READERS, **_PLACING_READERS}, _PLACING)
