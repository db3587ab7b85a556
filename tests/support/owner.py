"""An owner at work: `python -m tests.support.owner DATABASE`, told by lines on stdin what to do.

First it says the ids of its operation and of a child that outlives it, then how each deed went.
"""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.stores import a_new, a_wanted, anything_fits
from vmctl.adapters.leases import open_leases
from vmctl.adapters.store import open_store
from vmctl.domain.operation import Mark, OperationState
from vmctl.domain.record import Change, NewServer, ServerState
from vmctl.errors import VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable

OPERATION = "5c0ff1ce-0000-4000-8000-000000000001"


def main(database: str) -> None:
    with open_store(database) as store, open_leases(store.location).hold(OPERATION) as lease:
        new = NewServer(id="s1", name="web")
        token = store.admit(lease, a_new(owner="first"), new, a_wanted(), anything_fits)
        # As the ssh that libvirt starts: it lives on when its parent is killed.
        child = subprocess.Popen(["sleep", "120"])
        runs = Change(state=ServerState.ACTIVE, launched=True)
        deeds: dict[str, Callable[[], object]] = {
            "check": lease.check,
            "journal": lambda: store.journal(token, "define", Mark.STARTED),
            "finish": lambda: store.finish(token, OperationState.DONE, change=runs, release=[1]),
        }
        say(f"{OPERATION} {child.pid}")
        for line in sys.stdin:
            try:
                deeds[line.strip()]()
            except VmctlError as error:
                say(error.code)
            else:
                say("done")
        child.kill()
        child.wait()


def say(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
