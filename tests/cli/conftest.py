"""What most tests of commands begin with: a server on hosts that are folders, and the product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fake_app import on_fakes
from tests.support.product import Product
from tests.support.stage import Stage, a_stage, create, on_stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path)
    with on_stage(tmp_path) as opened:
        create(opened)
        yield opened


@pytest.fixture
def vmctl(stage: Stage) -> Product:
    return on_fakes(stage)
