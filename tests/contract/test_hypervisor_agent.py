"""What holds of the agents in guests on every hypervisor."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest

from tests.contract.ground import Ground, domain_xml
from vmctl.domain.agent import AGENT_REFUSED, NO_AGENT
from vmctl.errors import RemoteFailed

NOBODY = "00000000-1111-2222-3333-444444444444"


def begin(ground: Ground, guest: str, *words: str, **more: object) -> int:
    told = {"path": words[0], "arg": list(words[1:]), "capture-output": True, **more}
    found: Any = ground.hypervisor.agent(guest, "guest-exec", told)
    number: int = found["pid"]
    return number


def end(ground: Ground, guest: str, number: int) -> dict[str, Any]:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        found: Any = ground.hypervisor.agent(guest, "guest-exec-status", {"pid": number})
        if found["exited"]:
            return {
                name: base64.b64decode(said) if name.endswith("-data") else said
                for name, said in found.items()
            }
        time.sleep(0.05)
    raise AssertionError(number)


def run(ground: Ground, guest: str, *words: str, **more: object) -> dict[str, Any]:
    return end(ground, guest, begin(ground, guest, *words, **more))


def failure(ground: Ground, uuid: str, command: str, **told: object) -> RemoteFailed:
    with pytest.raises(RemoteFailed) as caught:
        ground.hypervisor.agent(uuid, command, told)
    assert caught.value.host == ground.name
    return caught.value


def test_an_agent_answers(ground: Ground, guest: str) -> None:
    assert ground.hypervisor.agent(guest, "guest-ping") == {}


def test_a_command_is_run_and_its_end_told_apart(ground: Ground, guest: str) -> None:
    found = run(ground, guest, "sh", "-c", "echo out; echo err >&2; exit 3")

    assert found == {
        "exited": True,
        "exitcode": 3,
        "out-data": b"out\n",
        "err-data": b"err\n",
        "out-truncated": False,
        "err-truncated": False,
    }


def test_a_command_that_says_nothing_says_nothing(ground: Ground, guest: str) -> None:
    assert run(ground, guest, "true") == {"exited": True, "exitcode": 0}


def test_a_command_gets_its_words_and_its_input_as_they_are(ground: Ground, guest: str) -> None:
    words = ["a b", "$(id)", "'\"<&>", "é", ""]
    given = base64.b64encode(b"in\0put").decode()

    printed = run(ground, guest, "printf", "%s|", *words)
    echoed = run(ground, guest, "cat", **{"input-data": given})

    assert printed["out-data"].decode() == "".join(f"{word}|" for word in words)
    assert echoed["out-data"] == b"in\0put"


def test_a_signal_is_told_as_one(ground: Ground, guest: str) -> None:
    assert run(ground, guest, "sh", "-c", "kill -9 $$") == {"exited": True, "signal": 9}


def test_what_runs_on_is_told_to_run_on(ground: Ground, guest: str) -> None:
    number = begin(ground, guest, "sleep", "1")

    found = ground.hypervisor.agent(guest, "guest-exec-status", {"pid": number})

    assert found == {"exited": False}
    assert end(ground, guest, number)["exitcode"] == 0


def test_an_end_is_told_once(ground: Ground, guest: str) -> None:
    number = begin(ground, guest, "true")
    end(ground, guest, number)

    assert failure(ground, guest, "guest-exec-status", pid=number).reason == AGENT_REFUSED


def test_a_program_that_is_not_there_is_refused_by_name(ground: Ground, guest: str) -> None:
    error = failure(ground, guest, "guest-exec", path="no-such-program")

    assert error.reason == AGENT_REFUSED
    assert "no-such-program" in error.message


def test_a_command_that_no_agent_knows_is_refused_by_name(ground: Ground, guest: str) -> None:
    error = failure(ground, guest, "guest-frobnicate")

    assert error.reason == AGENT_REFUSED
    assert "guest-frobnicate" in error.message


def test_a_password_is_set_however_often_it_is_asked(ground: Ground, guest: str) -> None:
    secret = base64.b64encode(b"s3cret").decode()
    told = {"username": "root", "password": secret, "crypted": False}

    assert ground.hypervisor.agent(guest, "guest-set-user-password", told) == {}
    assert ground.hypervisor.agent(guest, "guest-set-user-password", told) == {}


@pytest.mark.parametrize("channel", [False, True], ids=["no channel", "nobody on it"])
def test_a_machine_without_an_agent_is_told_with_what_to_do(
    ground: Ground, server: str, channel: bool
) -> None:
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}", agent=channel))
    ground.hypervisor.ensure_running(server)

    error = failure(ground, server, "guest-ping")

    assert (error.reason, bool(error.hint)) == (NO_AGENT, True)


def test_the_agent_of_a_machine_that_does_not_run_is_not_asked(ground: Ground, server: str) -> None:
    ground.hypervisor.ensure_defined(server, domain_xml(server, f"m-{server}", agent=True))
    off = failure(ground, server, "guest-ping")
    ground.hypervisor.ensure_running(server)
    ground.pause(server)
    paused = failure(ground, server, "guest-ping")

    assert (off.reason, paused.reason) == ("refused", "refused")
    assert failure(ground, NOBODY, "guest-ping").reason == "absent"
