"""The agent in the guests of hosts that are folders: its programs are this machine's own.

A machine has one if its definition has the channel, and its state says `agent`.
"""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.fake_effects import State, read
from vmctl.domain.agent import AGENT_REFUSED, AGENT_SILENT, NO_AGENT
from vmctl.errors import RemoteFailed, RemoteTimedOut

CHANNEL = "org.qemu.guest_agent.0"

Arguments = dict[str, Any]


class FakeAgents:
    """What the agents of all the guests have under way."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun: dict[int, str] = {}

    def ask(
        self, host: str, uuid: str, machine: State | None, command: str, told: Arguments
    ) -> object:
        """Answer as the agent of a machine does."""
        if machine is None:
            raise RemoteFailed(host, f"{host}: machine {uuid} is not there", reason="absent")
        self._require(host, uuid, machine)
        answers: dict[str, Callable[[State, Arguments], object]] = {
            "guest-ping": lambda *_: {},
            "guest-exec": self._begin,
            "guest-exec-status": self._look,
            "guest-set-user-password": _set_password,
        }
        if command not in answers:
            raise _refused(host, f"The command {command} has not been found")
        try:
            return answers[command](machine, told)
        except _Refused as error:
            raise _refused(host, str(error)) from None

    def _require(self, host: str, uuid: str, machine: State) -> None:
        if not machine["on"] or machine.get("paused"):
            raise RemoteFailed(host, f"{host}: {uuid}: domain is not running", reason="refused")
        channels = read(machine["xml"]).iterfind("devices/channel/target")
        if CHANNEL not in {one.get("name") for one in channels}:
            raise RemoteFailed(
                host, f"{host}: machine {uuid} has no channel", hint="…", reason=NO_AGENT
            )
        if machine.get("agent") == "silent":
            raise RemoteTimedOut(host, f"{host}: no answer from {uuid}", reason=AGENT_SILENT)
        if not machine.get("agent"):
            raise RemoteFailed(
                host, f"{host}: no agent runs in machine {uuid}", hint="…", reason=NO_AGENT
            )

    def _begin(self, machine: State, told: Arguments) -> object:
        del machine
        self._folder.mkdir(exist_ok=True)
        captured = bool(told.get("capture-output"))
        name = os.urandom(8).hex()
        given = self._folder / f"{name}.in"
        given.write_bytes(base64.b64decode(told.get("input-data", "")))
        null = Path(os.devnull)
        out, err = (self._folder / f"{name}.{end}" if captured else null for end in ("out", "err"))
        made = os.O_WRONLY | os.O_CREAT
        files = [
            (os.POSIX_SPAWN_OPEN, 0, given, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, out, made, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, err, made, 0o600),
        ]
        words = [told["path"], *told.get("arg", [])]
        try:
            number = os.posix_spawnp(words[0], words, os.environ, file_actions=files)
        except OSError as error:
            why = f"Failed to execute child process “{words[0]}” ({error.strerror})"
            raise _Refused(f"Guest agent command failed, error was '{why}'") from None
        self._begun[number] = name
        return {"pid": number}

    def _look(self, machine: State, told: Arguments) -> object:
        del machine
        number = told["pid"]
        if number not in self._begun:
            raise _Refused("Invalid parameter 'pid'")
        ended, status = os.waitpid(number, os.WNOHANG)
        if not ended:
            return {"exited": False}
        # What has ended is told once, as the real one does.
        name = self._begun.pop(number)
        code = os.waitstatus_to_exitcode(status)
        found: dict[str, object] = {"exited": True}
        found |= {"signal": -code} if code < 0 else {"exitcode": code}
        for end in ("out", "err"):
            file = self._folder / f"{name}.{end}"
            if file.exists() and file.stat().st_size:
                found[f"{end}-truncated"] = False
                found[f"{end}-data"] = base64.b64encode(file.read_bytes()).decode()
        return found


class _Refused(Exception):
    """The agent will not."""


def _refused(host: str, why: str) -> RemoteFailed:
    return RemoteFailed(host, f"{host}: the agent refused: {why}", reason=AGENT_REFUSED)


def _set_password(machine: State, told: Arguments) -> object:
    if told["username"] not in machine.get("users", ["root"]):
        raise _Refused("child process has failed to set user password")
    password = base64.b64decode(told["password"]).decode()
    machine.setdefault("passwords", {})[told["username"]] = password
    return {}
