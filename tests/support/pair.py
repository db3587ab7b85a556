"""Two servers side by side, each on a host of its own, and a third of another project."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.stood import identity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WEB = SPEC
"""On kvm1, tagged blue."""

DB = replace(SPEC, id=identity("db"), name="db", hostname="db", tags=("blue", "books"))
"""On kvm2."""

SHOP = replace(SPEC, id=identity("shop"), name="shop", hostname="shop", project="shop")
"""On kvm1, tagged blue, of the project shop."""


@contextmanager
def a_pair(folder: Path) -> Iterator[Stage]:
    """Open a stage on which they all run."""
    a_stage(folder, ("kvm1", "kvm2", "kvm3"))
    with on_stage(folder) as stage:
        stage.fleet.sleep(time.time() + 60)
        hosts = stage.hosts
        for place, (spec, host) in enumerate(((WEB, "kvm1"), (DB, "kvm2"), (SHOP, "kvm1")), 1):
            stage.hosts = {host: hosts[host]}
            create(stage, spec=spec, only=host, place=place)
        stage.hosts = hosts
        yield stage
