"""vmctl run in the test's own process, its connections kept from one command to the next.

Where a test gives very many commands, connecting anew for each would be most of what it does.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import libvirt
import pytest

from tests.lab.operator import libvirt_uri
from tests.lab.vmctl import Ended, Vmctl
from vmctl.bootstrap import App
from vmctl.cli.commands import COMMANDS
from vmctl.cli.main import dispatch
from vmctl.config import load

_STATES = {
    libvirt.VIR_DOMAIN_RUNNING: "running",
    libvirt.VIR_DOMAIN_PAUSED: "paused",
    libvirt.VIR_DOMAIN_SHUTOFF: "shut off",
}


class KeptApp(App):
    """The product's App, which outlives its commands."""

    def close(self) -> None:
        """Be kept: `let_go` is the end."""

    def let_go(self) -> None:
        super().close()


@dataclass(frozen=True, kw_only=True)
class Kept:
    """One operator, and a look at one host that is none of vmctl's."""

    mine: Vmctl
    app: KeptApp
    host: libvirt.virConnect

    def do(self, said: pytest.CaptureFixture[str], *words: str) -> Ended:
        """Run a command; `said` is what captures all that this process says."""
        began = time.monotonic()
        said.readouterr()
        code = dispatch(words, COMMANDS, lambda _: self.app, environ=self.mine.environ)
        out, err = said.readouterr()
        took = time.monotonic() - began
        print(f"{took:5.1f} s  {code:3}  vmctl {' '.join(words)}\n{err}")
        return Ended(code=code, out=out, err=err, took=took)

    def on_host(self, name: str) -> tuple[str, bool] | None:
        """What libvirt says of a domain: its state, and whether its memory is saved."""
        found = [one for one in self.host.listAllDomains() if one.name() == name]
        if not found:
            return None
        state, _ = found[0].state()
        return _STATES[state], bool(found[0].hasManagedSaveImage())


@contextmanager
def kept(mine: Vmctl, host: str) -> Iterator[Kept]:
    """Have one for a test, or for many."""
    app = KeptApp(load(mine.environ))
    lab = mine.lab
    connection = libvirt.open(libvirt_uri(lab.plan, lab.host(host)))
    yield Kept(mine=mine, app=app, host=connection)
    connection.close()
    app.let_go()
