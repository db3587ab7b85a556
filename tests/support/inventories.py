"""Inventories as text, read without any file."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from vmctl.adapters.inventory_read import read
from vmctl.adapters.inventory_record import build, pack
from vmctl.errors import InventoryError

if TYPE_CHECKING:
    from vmctl.adapters.inventory_read import CheckPolicy
    from vmctl.domain.inventory import Inventory

NAME = "inventory.yaml"


def an_inventory(text: str | bytes, check_policy: CheckPolicy | None = None) -> Inventory:
    """The inventory that a text describes."""
    return a_folder({NAME: text}, check_policy)


def a_folder(files: dict[str, str | bytes], check_policy: CheckPolicy | None = None) -> Inventory:
    """The inventory that several files describe together."""
    contents = [(name, text_bytes(text)) for name, text in files.items()]
    return build(pack(read(contents, check_policy)), NAME)


def problems_of(text: str | bytes, check_policy: CheckPolicy | None = None) -> list[str]:
    """What is wrong with an inventory, line by line."""
    return problems_in({NAME: text}, check_policy)


def problems_in(
    files: dict[str, str | bytes], check_policy: CheckPolicy | None = None
) -> list[str]:
    """What is wrong with several files together."""
    try:
        a_folder(files, check_policy)
    except InventoryError as error:
        return list(error.problems)
    return []


def text_bytes(text: str | bytes) -> bytes:
    """The bytes of a text that was written indented."""
    return text if isinstance(text, bytes) else textwrap.dedent(text).lstrip("\n").encode()
