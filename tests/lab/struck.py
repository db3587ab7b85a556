"""vmctl, made to die at one moment: before or after a commit, or something done on a host.

A test-only main that composes another App. STRIKE_AT is the number of the moment; without it the
moments are counted, and written to the file that STRIKE_LIST names.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.watched import HYPERVISOR, STORE, Watch, watched
from vmctl.bootstrap import App
from vmctl.cli.commands import COMMANDS
from vmctl.cli.main import run

if TYPE_CHECKING:
    from vmctl.config import Config
    from vmctl.domain.host import Host
    from vmctl.ports import Hypervisor, Hypervisors
    from vmctl.sagas.work import World

AT = os.environ.get("STRIKE_AT")
WATCH = Watch(kill_at=None if AT is None else int(AT))


class Fleet:
    """The hypervisors, each call announced."""

    def __init__(self, hypervisors: Hypervisors) -> None:
        self._hypervisors = hypervisors

    def on(self, host: Host) -> Hypervisor:
        return watched(self._hypervisors.on(host), HYPERVISOR, WATCH, "host")


class StruckApp(App):
    """The product's App, with ports that announce what passes through them."""

    @cached_property
    def world(self) -> World:
        world = super().world
        return replace(
            world,
            store=watched(world.store, STORE, WATCH, "store"),
            hypervisors=Fleet(world.hypervisors),
            bases=watched(world.bases, ("ensure",), WATCH, "bases"),
        )


def build(config: Config) -> App:
    """Compose it."""
    return StruckApp(config)


if __name__ == "__main__":
    code = run(sys.argv[1:], COMMANDS, build)
    if "STRIKE_LIST" in os.environ:
        Path(os.environ["STRIKE_LIST"]).write_text("\n".join(WATCH.moments), encoding="utf-8")
    sys.exit(code)
