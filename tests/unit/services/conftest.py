"""What most tests of what is done to a server begin with: one that stands, for a minute already."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stage import Stage, a_stage, create, on_stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path / "stage")
    with on_stage(tmp_path / "stage") as opened:
        opened.fleet.sleep(time.time() + 60)
        create(opened)
        yield opened
