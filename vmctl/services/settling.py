"""The end of an operation: what becomes of its server, its attempts, and what people are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vmctl.domain.network import Network
    from vmctl.domain.operation import Actor, OperationState
    from vmctl.domain.spec import GroupUse
    from vmctl.sagas.work import Work
    from vmctl.services.running import Ended


def create_params(
    networks: Mapping[str, Network], groups: Mapping[str, GroupUse]
) -> Mapping[str, object]:
    """Give what a create's operation keeps for whoever resumes it: NewOperation's `params`."""
    raise NotImplementedError


def settle_create(work: Work, ended: Ended, actor: Actor) -> OperationState:
    """End a create: the server ACTIVE (or STOPPED), or in ERROR with its fault.

    The operation is done or unwound; owed while a host is not proven clean of one of its
    attempts, be the server made or not; stuck where the debris was kept.
    """
    raise NotImplementedError


def settle_delete(work: Work, ended: Ended, actor: Actor) -> OperationState:
    """End a delete: the server is gone, its host's cleanup owed where that did not answer.

    Where a step failed on a host that answers, the operation is stuck, to be resumed.
    """
    raise NotImplementedError
