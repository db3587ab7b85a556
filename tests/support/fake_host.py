"""Hosts that are folders: what several real processes do to them stays when one is killed.

Each host is a file of JSON under a lock, changed whole or not at all, and time is a file, too: it
passes only when someone sleeps. A call may be sent and never answered; it then takes effect a
second later, whoever sent it, as calls to a real host do.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.fake_agent import FakeAgents
from tests.support.fake_console import FakeConsoles
from tests.support.fake_effects import (
    EFFECTS,
    State,
)
from tests.support.fake_hypervisor import FakeHypervisor
from tests.support.whole_files import locked, replace_file
from vmctl.domain.host import Host
from vmctl.errors import HostUnreachable, RemoteTimedOut, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


IN_FLIGHT = 1.0
"""Seconds after which a call that nobody waits for any more takes effect."""


@dataclass
class FakeFleet:
    """All the hosts under one folder, as one process sees them."""

    folder: Path
    on_effect: Callable[[str], None] = lambda _: None
    """Told before and after each effect, as `HOST CALL before` and `HOST CALL after`."""
    lose: Callable[[str], str] = lambda _: ""
    """Asked of each effect whether its answer is lost: `dead` kills the caller, too."""

    def __post_init__(self) -> None:
        self.agents = FakeAgents(self.folder / "agents")
        self.consoles = FakeConsoles()

    def add(self, name: str) -> Host:
        """Have a host of that name, with a guest and a volume that are none of ours."""
        folder = self.folder / name
        folder.mkdir(parents=True)
        foreign = {"name": "foreign", "xml": "<domain/>", "on": True, "autostart": True}
        foreign["live"] = foreign["xml"]
        promises = {"52:54:00:ff:ff:ff": [["10.0.0.9"], "foreign"]}
        state = {
            "down": False,
            "machines": {"f0000000-0000-4000-8000-000000000000": foreign | {"persistent": True}},
            "pools": {"default": {"volumes": {"foreign.qcow2": {"size": 4096, "format": "qcow2"}}}},
            "filters": {"clean-traffic": "<filter/>"},
            "networks": {"default": {"subnets": ["10.0.0.0/8"], "promises": promises}},
            "late": [],
        }
        (folder / "state.json").write_text(json.dumps(state))
        return Host(name=name, address=name)

    def on(self, host: Host) -> FakeHypervisor:
        """Give a host's hypervisor."""
        return FakeHypervisor(self, host)

    def now(self) -> float:
        """Say what time it is on the hosts."""
        try:
            return float((self.folder / "clock").read_text())
        except FileNotFoundError:
            return 0.0

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        with locked(self.folder / "clock.lock"):
            replace_file(self.folder / "clock", str(self.now() + seconds))

    def picture(self, host: str) -> State:
        """See all that is on a host."""
        with self.state(host, always=True) as state:
            return state

    def set_down(self, host: str, *, down: bool) -> None:
        """Have a host answer nobody, or everybody again."""
        with self.state(host, always=True) as state:
            state["down"] = down

    @contextmanager
    def state(self, host: str, *, always: bool = False) -> Iterator[State]:
        """Have a host's state alone for the block; it is kept if the block does not raise."""
        folder = self.folder / host
        with locked(folder / "lock"):
            text = (folder / "state.json").read_text()
            state = json.loads(text)
            if state["down"] and not always:
                raise HostUnreachable(host, f"{host} did not answer", reason="timeout")
            self._land(host, state)
            yield state
            new = json.dumps(state)
            if new != text:
                replace_file(folder / "state.json", new)

    def _land(self, host: str, state: State) -> None:
        due = sorted(
            (one for one in state["late"] if one["at"] <= self.now()), key=lambda one: one["at"]
        )
        state["late"] = [one for one in state["late"] if one["at"] > self.now()]
        for call in due:
            try:
                EFFECTS[call["name"]](host, state, *call["args"])
            except VmctlError:
                continue

    def act(self, host: str, name: str, *args: Any) -> Any:
        """Have one effect on a host."""
        self.on_effect(f"{host} {name} before")
        lost = self.lose(f"{host} {name}")
        with self.state(host) as state:
            if lost:
                call = {"at": self.now() + IN_FLIGHT, "name": name, "args": args}
                state["late"].append(call)
            else:
                result = EFFECTS[name](host, state, *args)
        if lost == "dead":
            os.kill(os.getpid(), signal.SIGKILL)
        if lost:
            raise RemoteTimedOut(host, f"{host}: {name} did not end in time", reason="timeout")
        self.on_effect(f"{host} {name} after")
        return result
