"""Every deed in every state on a real guest: what is permitted, refused, and true on its host."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.lab import stock
from tests.lab.outside import Lab
from tests.lab.servers import assert_clean, create
from tests.lab.vmctl import Ended, Vmctl
from vmctl.bootstrap import App
from vmctl.cli.commands import COMMANDS
from vmctl.cli.main import dispatch
from vmctl.config import load

HOST, NAME = "kvm2", "acted"
RESCUES = "server rescue" in COMMANDS
STATES = ("ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", "ERROR", *(["RESCUE"] if RESCUES else []))
PERMITTED = {
    "start": {"SHUTOFF": "ACTIVE"},
    "stop": {"ACTIVE": "SHUTOFF", "ERROR": "SHUTOFF"},
    "reboot": {"ACTIVE": "ACTIVE"},
    "reboot --hard": dict.fromkeys(("ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", "ERROR"), "ACTIVE"),
    "pause": {"ACTIVE": "PAUSED"},
    "unpause": {"PAUSED": "ACTIVE"},
    "suspend": {"ACTIVE": "SUSPENDED"},
    "resume": {"SUSPENDED": "ACTIVE"},
    **(
        {
            "rescue": dict.fromkeys(("ACTIVE", "SHUTOFF", "ERROR"), "RESCUE"),
            "unrescue": {"RESCUE": "ACTIVE"},
        }
        if RESCUES
        else {}
    ),
}
"""From which status each deed leads to which; from all others it is refused."""

ON_HOST = {
    "ACTIVE": ("running", False),
    "RESCUE": ("running", False),
    "SHUTOFF": ("shut off", False),
    "PAUSED": ("paused", False),
    "SUSPENDED": ("shut off", True),
}
TOLD = ("rescue", "unrescue")
BY_HAND = {"SHUTOFF": "start", "PAUSED": "unpause", "SUSPENDED": "resume", "RESCUE": "unrescue"}
"""What leads back from each state."""


class KeptApp(App):
    """The product's App, which keeps its connections from one command to the next."""

    def close(self) -> None:
        """Be kept: `let_go` is the end."""

    def let_go(self) -> None:
        super().close()


@dataclass(frozen=True)
class Acted:
    """One small guest, and what is seen of it from inside, outside and on record."""

    mine: Vmctl
    lab: Lab
    app: KeptApp
    said: pytest.CaptureFixture[str]

    def do(self, deed: str, *words: str) -> Ended:
        """Run the command in this process: so many are too many to connect anew for each."""
        command, *flags = deed.split()
        line = ["server", command, *flags, *words, NAME]
        began = time.monotonic()
        self.said.readouterr()
        code = dispatch(line, COMMANDS, lambda _: self.app, environ=self.mine.environ)
        out, err = self.said.readouterr()
        return Ended(code=code, out=out, err=err, took=time.monotonic() - began)

    @property
    def status(self) -> str:
        return self.mine.ok("server", "list", "-f", "value", "-c", "Status").strip()

    @property
    def on_host(self) -> tuple[str, bool]:
        said = self.lab.virsh_ok(HOST, "dominfo", NAME)
        told = dict(line.split(":", 1) for line in said.splitlines() if ":" in line)
        return told["State"].strip(), told["Managed save"].strip() == "yes"

    @property
    def boot(self) -> str:
        """The boot that the guest is in, said by itself."""
        key = str(self.lab.plan.key)
        ask = ("ssh", NAME, "-i", key, "--", "cat", "/proc/sys/kernel/random/boot_id")
        self.mine.ok("server", "wait", NAME, "--for", "ssh", "--timeout", "60")
        return self.mine.ok(*ask).strip()

    def inside(self, *words: str) -> None:
        self.mine.ok("ssh", NAME, "-i", str(self.lab.plan.key), "--", *words)

    def is_now(self, status: str) -> None:
        assert (self.status, self.on_host) == (status, ON_HOST[status])

    def fail(self) -> None:
        """Have it in ERROR on record, as a deed that went wrong leaves it."""
        with sqlite3.connect(self.mine.db) as db:
            db.execute("UPDATE servers SET state = 'error', fault = 'made to fail'")

    def enter(self, state: str) -> None:
        """Lead it from ACTIVE to a state."""
        if state == "ERROR":
            self.fail()
        elif state != "ACTIVE":
            deed = next(name for name, leads in PERMITTED.items() if leads.get("ACTIVE") == state)
            assert self.do(deed).code == 0
        assert self.status == state

    def refused(self, state: str) -> int:
        """See every deed refused that the state forbids, and nothing changed; how many it were."""
        there = self.on_host
        forbidden = [deed for deed, leads in PERMITTED.items() if state not in leads]
        for deed in forbidden:
            ended = self.do(deed)
            assert ended.code == 1, (deed, state)
            assert f"{NAME} cannot be " in ended.err, (deed, state)
            assert f" while it is {state}: it must be " in ended.err, (deed, state)
        assert (self.status, self.on_host) == (state, there)
        return len(forbidden)


@pytest.fixture
def acted(shared_lab: Lab, maker: Vmctl, capfd: pytest.CaptureFixture[str]) -> Iterator[Acted]:
    key = ("--key-name", stock.KEYPAIR, "--wait-for", "ssh")
    ended = create(maker, NAME, "--network", "default", *key, on=HOST)
    assert ended.code == 0, ended.err
    app = KeptApp(load(maker.environ))
    yield Acted(maker, shared_lab, app, capfd)
    app.let_go()
    maker.ok("server", "delete", NAME)
    assert_clean(shared_lab, HOST)


@pytest.mark.timeout(900)
def test_every_deed_in_every_state_is_done_or_refused_and_the_host_agrees(
    acted: Acted, *, torture: bool
) -> None:
    if not torture:
        pytest.skip("every state on a real guest is entered and left in `make torture`")
    done, refused = set(), 0
    for state in STATES:
        leads = [(deed, leads[state]) for deed, leads in PERMITTED.items() if state in leads]
        for turn, (deed, after) in enumerate(leads):
            acted.enter(state)
            if turn == 0:
                refused += acted.refused(state)
            ended = acted.do(deed)
            assert (ended.code, ended.out) == (0, ""), (deed, state, ended.err)
            # What has steps that take long tells them where there is no terminal, too.
            assert ended.err == "" or deed in TOLD, (deed, state, ended.err)
            acted.is_now(after)
            done.add((deed, state))
            if after != "ACTIVE":
                assert acted.do(BY_HAND[after]).code == 0
    assert len(done) + refused == len(PERMITTED) * len(STATES)

    acted.mine.ok("server", "lock", "--reason", "no hands", NAME)
    for deed in PERMITTED:
        ended = acted.do(deed)
        assert (ended.code, "is locked: no hands" in ended.err) == (15, True), deed
    acted.is_now("ACTIVE")
    acted.mine.ok("server", "unlock", NAME)


@pytest.mark.timeout(400)
def test_a_guest_goes_on_where_it_was_or_boots_anew_even_if_it_is_deaf(acted: Acted) -> None:
    first = acted.boot
    for deed in ("pause", "unpause", "suspend", "resume"):
        assert acted.do(deed).code == 0
    assert acted.boot == first

    asked = acted.do("reboot", "--timeout", "30")
    second = acted.boot
    assert asked.code == 0
    assert asked.took < 30, "it obeyed its power button"
    assert second != first

    acted.inside("killall", "acpid")
    began = acted.do("reboot", "--timeout", "2")
    third = acted.boot
    assert began.code == 0
    assert third != second

    acted.inside("killall", "acpid")
    assert acted.do("suspend").code == 0
    assert acted.do("reboot --hard").code == 0
    acted.is_now("ACTIVE")
    assert acted.boot != third
