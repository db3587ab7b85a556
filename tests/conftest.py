"""What holds for every test: no test touches the operator's own files."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = ["tests.support.bounded", "tests.support.sharing", "tests.support.stores"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--torture",
        action="store_true",
        help="kill and break things at every moment, not at a seeded sample of them",
    )


def pytest_configure() -> None:
    """Let what the tests start hear its signals, however the tests were started.

    A shell has what it starts in the background ignore ^C, nohup has it ignore a hangup, and what
    is ignored stays so in every program that is started from there.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _HEARD.get(number, signal.SIG_DFL))


_HEARD = {
    signal.SIGINT: signal.default_int_handler,
    # A handler ends with exec: what we start hears it, and we outlive our terminal as was wished.
    signal.SIGHUP: lambda _number, _frame: None,
}


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
