"""Passwords that go to a guest, and states that go nowhere but on record."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.changed import do, server, stop, unfinished
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.stores import ACTOR
from vmctl.domain import deed
from vmctl.domain.operation import NewOperation, OperationState
from vmctl.domain.record import Power, ServerState
from vmctl.errors import Conflict, VmctlError
from vmctl.sagas import power, setting
from vmctl.services.marking import reset
from vmctl.services.recovery import resume
from vmctl.services.setting import set_password

# The password, and a state by hand


def with_agent(stage: Stage, agent: object = "answers") -> None:
    with stage.fleet.state("kvm1") as state:
        machine = state["machines"][SPEC.id]
        channel = "<channel type='unix'><target name='org.qemu.guest_agent.0'/></channel>"
        machine["xml"] = machine["xml"].replace("</devices>", f"{channel}</devices>")
        machine["agent"] = agent


def passwords(stage: Stage) -> dict[str, str]:
    found: dict[str, str] = stage.fleet.picture("kvm1")["machines"][SPEC.id].get("passwords", {})
    return found


def test_a_password_goes_to_the_guest_as_its_hash_and_is_kept_nowhere(stage: Stage) -> None:
    with_agent(stage)

    set_password(stage.recovery, server(stage), "correct horse", reason="lost")

    assert passwords(stage)["root"].startswith("$6$")
    assert server(stage).state is ServerState.ACTIVE
    actions = [one.action for one in stage.sql.events(server=SPEC.id)]
    assert actions.count("server-set-password") == 2
    for file in stage.folder.glob("state.db*"):
        content = file.read_bytes()
        assert b"correct horse" not in content
        assert base64.b64encode(b"correct horse") not in content
        assert b"$6$" not in content


@pytest.mark.parametrize(
    ("properties", "user", "plain"),
    [
        ({"os_admin_user": "debian"}, "debian", False),
        ({"os_type": "windows"}, "Administrator", True),
        ({"os_type": "windows", "os_admin_user": "boss"}, "boss", True),
    ],
)
def test_whose_password_it_is_the_image_says(
    tmp_path: Path, properties: dict[str, str], user: str, plain: bool
) -> None:
    image = replace(SPEC.image, properties=properties)
    a_stage(tmp_path / "other")
    with on_stage(tmp_path / "other") as stage:
        stage.fleet.sleep(time.time() + 60)
        create(stage, spec=replace(SPEC, image=image))
        with_agent(stage)
        with stage.fleet.state("kvm1") as state:
            state["machines"][SPEC.id]["users"] = [user]

        set_password(stage.recovery, server(stage), "secret1")

        assert (passwords(stage)[user] == "secret1") is plain


@pytest.mark.parametrize(
    ("agent", "word"), [("", "was not set.*no agent runs"), ("silent", "may not be set")]
)
def test_a_guest_that_takes_no_password_is_told_of(stage: Stage, agent: str, word: str) -> None:
    with_agent(stage, agent)

    with pytest.raises(Conflict, match=word):
        set_password(stage.recovery, server(stage), "secret1")

    assert server(stage).state is ServerState.ACTIVE
    assert unfinished(stage) == []


def test_a_server_that_does_not_run_takes_no_password(stage: Stage) -> None:
    stop(stage)

    with pytest.raises(Conflict, match="cannot be given a password while it is SHUTOFF"):
        set_password(stage.recovery, server(stage), "secret1")


def test_a_password_that_died_with_its_owner_is_not_guessed(stage: Stage) -> None:
    with_agent(stage)
    new = NewOperation(
        kind="set-password",
        saga=setting.PASSWORD.name,
        version=1,
        owner="bob@desk",
        server=SPEC.id,
        host="kvm1",
        params={"user": "root", "was": "active", "deed": "set-password"},
    )
    with stage.world.leases.hold("op-died") as lease:
        stage.sql.begin(lease, new, task="updating_password")

    ended = resume(stage.recovery, stage.sql.operation("op-died"))

    assert ended.state is OperationState.UNWOUND
    fault = stage.sql.operation("op-died").fault or ""
    assert "nobody knows the new password of root" in fault
    assert passwords(stage) == {}
    assert (server(stage).state, server(stage).task) == (ServerState.ACTIVE, None)


def test_a_state_by_hand_is_corrected_by_the_next_look(stage: Stage) -> None:
    stop(stage)

    reset(stage.sql, server(stage), ACTOR, "it is not", ServerState.ERROR)
    assert (server(stage).state, server(stage).fault) == (ServerState.ERROR, "reset by hand")
    reset(stage.sql, server(stage), ACTOR, None, ServerState.ACTIVE)
    assert server(stage).state is ServerState.ACTIVE
    with pytest.raises(VmctlError, match="SHUTOFF"):
        do(stage, deed.PAUSE, power.PAUSE)

    assert server(stage).state is ServerState.STOPPED
    assert server(stage).power is Power.SHUTDOWN
    told = [one for one in stage.sql.events(server=SPEC.id) if one.action == "server-reset-state"]
    assert json.loads(json.dumps([dict(one.detail) for one in told])) == [
        {"before": "stopped", "after": "error", "reason": "it is not"},
        {"before": "error", "after": "active"},
    ]
