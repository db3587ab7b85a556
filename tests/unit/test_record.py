from __future__ import annotations

import pytest

from vmctl.domain.host_record import HostRecord
from vmctl.domain.operation import OperationState
from vmctl.domain.record import ServerState, address_scope, shown_status


@pytest.mark.parametrize(
    ("state", "task", "status"),
    [
        ("active", None, "ACTIVE"),
        ("active", "image_snapshot", "ACTIVE"),
        ("active", "reboot_started", "REBOOT"),
        ("active", "rebooting_hard", "HARD_REBOOT"),
        ("active", "updating_password", "PASSWORD"),
        ("active", "rebuild_spawning", "REBUILD"),
        ("active", "migrating", "MIGRATING"),
        ("active", "resize_finish", "RESIZE"),
        ("stopped", None, "SHUTOFF"),
        ("stopped", "resize_prep", "RESIZE"),
        ("stopped", "rebuilding", "REBUILD"),
        ("building", "spawning", "BUILD"),
        ("resized", None, "VERIFY_RESIZE"),
        ("resized", "resize_reverting", "REVERT_RESIZE"),
        ("error", None, "ERROR"),
        ("error", "rebuilding", "REBUILD"),
        ("error", "deleting", "ERROR"),
        ("rescued", None, "RESCUE"),
        ("paused", None, "PAUSED"),
        ("suspended", None, "SUSPENDED"),
        ("shelved_offloaded", None, "SHELVED_OFFLOADED"),
        ("soft-delete", None, "SOFT_DELETED"),
    ],
)
def test_a_state_and_a_task_are_known_by_one_word(
    state: str, task: str | None, status: str
) -> None:
    assert shown_status(ServerState(state), task) == status


@pytest.mark.parametrize(
    ("seen", "failed", "answered"),
    [(None, None, False), (1, None, True), (None, 1, False), (1, 2, False), (2, 1, True)],
)
def test_a_host_answered_if_its_last_look_was_a_sample(
    *, seen: float | None, failed: float | None, answered: bool
) -> None:
    assert HostRecord(name="kvm1", seen=seen, failed=failed).answered == answered


def test_an_address_is_unique_on_a_bridge_or_on_one_hosts_nat() -> None:
    assert address_scope("lan") == "lan"
    assert address_scope("default", "kvm1") != address_scope("default", "kvm2")


def test_only_two_states_leave_nothing_to_do() -> None:
    over = {state for state in OperationState if state.over}

    assert over == {OperationState.DONE, OperationState.UNWOUND}
