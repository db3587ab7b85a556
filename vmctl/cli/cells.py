"""What stands in one cell: a value for programs, and its text for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class Shown:
    """A value that tables show as another text: 12288 and ``12.0 GiB``."""

    value: object
    text: str


def memory(mebibytes: int | None) -> Shown | None:
    """Make a cell of an amount in MiB: the number for programs, a rounded size for people."""
    if mebibytes is None:
        return None
    size = float(mebibytes)
    for unit in ("MiB", "GiB", "TiB"):
        if abs(size) < 1024 or unit == "TiB":
            break
        size /= 1024
    return Shown(mebibytes, f"{mebibytes} MiB" if unit == "MiB" else f"{size:.1f} {unit}")


def addresses(networks: Mapping[str, list[str]], seen: Mapping[str, object] | None = None) -> Shown:
    """Make a cell of addresses by network, as ``net=ip1, ip2; net2=ip``.

    People are told which of them nobody has seen yet.
    """
    shown = networks
    if seen is not None:
        shown = {name: [_marked(one, seen) for one in each] for name, each in networks.items()}
    text = "; ".join(f"{name}={', '.join(shown[name])}" for name in sorted(shown))
    return Shown(dict(networks), text)


def _marked(address: str, seen: Mapping[str, object]) -> str:
    return address if address in seen else f"{address} (planned)"


def machine(cell: object) -> object:
    """Return a cell as programs get it: nothing but dicts, lists, strings, numbers and None."""
    match cell:
        case None | bool() | str():
            return cell
        case Enum():  # before int: an IntEnum prints by its name in some formats
            return machine(cell.value)
        case int() | float():
            return cell
        case Shown():
            return machine(cell.value)
        case Mapping():
            return {str(key): machine(value) for key, value in cell.items()}
        case list() | tuple():
            return [machine(value) for value in cell]
        case set() | frozenset():
            return sorted((machine(value) for value in cell), key=str)
    return str(cell)


def human(cell: object) -> str:
    """Return a cell as a table shows it."""
    if isinstance(cell, Shown):
        return cell.text
    match plain := machine(cell):
        case dict():
            return ", ".join(f"{key}='{_inner(plain[key])}'" for key in sorted(plain))
        case list():
            return ", ".join(_inner(value) for value in plain)
    return str(plain)


def _inner(value: object) -> str:
    return human(value) if isinstance(value, dict | list) else str(value)
