"""The workflows, as tables of steps: what a server's life is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.sagas.create import CREATE
from vmctl.sagas.delete import CLEANUP, DELETE
from vmctl.sagas.exchange import EXCHANGES
from vmctl.sagas.power import POWER
from vmctl.sagas.setting import PASSWORD, SET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.sagas.saga import Saga
    from vmctl.sagas.work import Work

SAGAS: Mapping[tuple[str, int], Saga[Work]] = {
    ("server-create", 1): CREATE,
    ("server-delete", 1): DELETE,
    ("cleanup", 1): CLEANUP,
    **{(saga.name, saga.version): saga for saga in (*POWER, *EXCHANGES, SET, PASSWORD)},
}
"""Every workflow by the name and version that stand on record: old ones stay unwindable."""

__all__ = ["CLEANUP", "CREATE", "DELETE", "SAGAS", "SET"]
