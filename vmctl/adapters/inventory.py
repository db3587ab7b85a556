"""The inventory found, read, and kept by digest: the way in for all who need the hosts."""

# ruff: noqa: PTH112, PTH118, PTH123, PTH208
# pathlib's import would cost more than reading the kept record does.

from __future__ import annotations

import errno
import gc
import os
from typing import TYPE_CHECKING, Any, Literal

from vmctl.adapters.inventory_cache import Cache
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.adapters.inventory_read import CheckPolicy
    from vmctl.domain.inventory import Inventory

BIGGEST = 64 * 1024 * 1024
"""Bytes of one file; an inventory of 100,000 hosts is smaller, and /dev/zero never ends."""


def load_inventory(
    path: str, cache_folder: str, check_policy: CheckPolicy | None = None
) -> Inventory:
    """Give the inventory of a file or folder; an unchanged one comes from its kept record.

    A policy is held against its builder when the files are read; of a kept one that was done.
    """
    files = read_files(path)
    cache = Cache(files, cache_folder)
    kept = cache.load()
    if kept is not None:
        try:
            return _build(kept, path)
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # it is ours, yet no record that this vmctl wrote: read anew, and overwritten
    return _read(path, files, cache=cache, check_policy=check_policy)


def known_names(
    path: str,
    cache_folder: str,
    kind: Literal["hosts", "networks", "aggregates"],
    check_policy: CheckPolicy | None = None,
) -> list[str]:
    """Give the names alone, as completion wants them: from a kept record it costs a fraction."""
    kept = Cache(read_files(path), cache_folder).load()
    try:
        if kept is not None:
            return [one["name"] for one in kept[kind]]
    except (KeyError, TypeError):
        pass
    inventory = load_inventory(path, cache_folder, check_policy)
    return list(getattr(inventory, kind))


def check_inventory(path: str, check_policy: CheckPolicy | None = None) -> Inventory:
    """Read the inventory anew, and hold its scheduler section against a policy's builder."""
    return _read(path, read_files(path), check_policy=check_policy)


def read_files(path: str) -> list[tuple[str, bytes]]:
    """Give the bytes of the file, or of every *.yaml and *.yml of the folder in order of name."""
    try:
        if not os.path.isdir(path):
            return [(path, _content(path))]
        names = sorted(
            name
            for name in os.listdir(path)
            if name.endswith((".yaml", ".yml")) and not name.startswith(".")
        )
        if not names:
            raise UsageError(f"the inventory folder {path} has no *.yaml in it", hint=_INIT)
        return [(file, _content(file)) for file in (os.path.join(path, name) for name in names)]
    except OSError as error:
        reason = os.strerror(error.errno or errno.EIO)
        where = error.filename if isinstance(error.filename, str) else path
        missing = isinstance(error, FileNotFoundError)
        raise UsageError(
            f"the inventory {where} cannot be read: {reason}", hint=_INIT if missing else None
        ) from error
    except ValueError as error:
        raise UsageError(f"{path!r} is no path: {error}") from error


_INIT = "`vmctl init` writes a first inventory"


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        content = file.read(BIGGEST + 1)
    if len(content) > BIGGEST:
        raise UsageError(f"the inventory {path} is larger than {BIGGEST // 1024**2} MiB")
    return content


def _build(record: Mapping[str, Any], path: str) -> Inventory:
    from vmctl.adapters.inventory_record import build

    return build(record, path)


def _read(
    path: str,
    files: list[tuple[str, bytes]],
    *,
    cache: Cache | None = None,
    check_policy: CheckPolicy | None = None,
) -> Inventory:
    from vmctl.adapters.inventory_read import read
    from vmctl.adapters.inventory_record import pack

    # Half a million nodes that all live until the end: looking among them for garbage takes
    # four times as long as making them.
    collecting = gc.isenabled()
    gc.disable()
    try:
        record = pack(read(files, check_policy))
        inventory = _build(record, path)
        if cache is not None:
            cache.save(record)
    finally:
        if collecting:
            gc.enable()
    return inventory
