"""The workflows, as tables of steps: what a server's life is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vmctl.sagas.create import CREATE
from vmctl.sagas.delete import CLEANUP, DELETE
from vmctl.sagas.exchange import EXCHANGES, OLDER_EXCHANGES
from vmctl.sagas.power import OLDER_POWER, POWER
from vmctl.sagas.setting import OLDER_SET, PASSWORD, SET

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.sagas.saga import Saga
    from vmctl.sagas.work import Work

PRESENT = (CREATE, DELETE, CLEANUP, *POWER, *EXCHANGES, SET, PASSWORD)
"""What is begun now."""

OLDER = (*OLDER_EXCHANGES, *OLDER_POWER, OLDER_SET)
"""What was begun before, by tables that have changed since; it may be on record still."""

SAGAS: Mapping[tuple[str, int], Saga[Work]] = {
    (saga.name, saga.version): saga for saga in (*PRESENT, *OLDER)
}
"""Every workflow by the name and version that stand on record: old ones stay unwindable."""

__all__ = ["CLEANUP", "CREATE", "DELETE", "OLDER", "PRESENT", "SAGAS", "SET"]
