from __future__ import annotations

import pytest

from vmctl.domain.observation import state_seen
from vmctl.domain.record import Power, ServerState

A, P, S, OFF = (
    ServerState.ACTIVE,
    ServerState.PAUSED,
    ServerState.SUSPENDED,
    ServerState.STOPPED,
)
TABLE = {
    Power.RUNNING: {A: A, P: A, S: A, OFF: A},
    Power.PAUSED: {A: P, P: P, S: P, OFF: P},
    Power.SUSPENDED: {A: S, P: S, S: S, OFF: S},
    Power.SHUTDOWN: {A: OFF, P: OFF, S: S, OFF: OFF},
    Power.CRASHED: {A: OFF, P: OFF, S: OFF, OFF: OFF},
    Power.NOSTATE: {A: A, P: P, S: S, OFF: OFF},
    Power.UNKNOWN: {A: A, P: P, S: S, OFF: OFF},
}
EVERY = [(power, before, after) for power, row in TABLE.items() for before, after in row.items()]


@pytest.mark.parametrize(("power", "before", "after"), EVERY)
def test_a_state_follows_the_power_that_was_seen(
    power: Power, before: ServerState, after: ServerState
) -> None:
    assert state_seen(before, power) is after


@pytest.mark.parametrize("power", Power)
@pytest.mark.parametrize("state", set(ServerState) - {A, P, S, OFF})
def test_what_an_operation_made_of_a_server_follows_nothing(
    state: ServerState, power: Power
) -> None:
    assert state_seen(state, power) is state


def test_the_table_says_something_of_every_power() -> None:
    assert set(TABLE) == set(Power)
