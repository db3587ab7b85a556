"""What holds for every test: no test touches the operator's own files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.support.stores"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--torture",
        action="store_true",
        help="kill and break things at every moment, not at a seeded sample of them",
    )


@pytest.fixture
def torture(request: pytest.FixtureRequest) -> bool:
    """Whether this run takes its time to kill things at every moment."""
    return bool(request.config.getoption("--torture"))


@pytest.fixture(autouse=True, scope="session")
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Send everything that would go to the operator's home to a folder of this run's own."""
    home: Path = tmp_path_factory.mktemp("home")
    kept = dict(os.environ)
    for name in [n for n in os.environ if n.startswith(("VMCTL_", "OS_", "XDG_"))]:
        if not name.startswith("VMCTL_LAB_"):
            del os.environ[name]
    os.environ["HOME"] = str(home)
    for name in ("STATE", "CONFIG", "CACHE", "DATA"):
        os.environ[f"XDG_{name}_HOME"] = str(home / name.lower())
    yield
    os.environ.clear()
    os.environ.update(kept)
