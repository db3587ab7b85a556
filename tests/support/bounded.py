"""Every test has a limit: one that is over it fails, and one that hangs even then ends the run.

A test has pytest-timeout's `timeout`, or that of its mark. Where what hangs is not Python, or hangs
again in what should clean up after it, no test can be failed: then the traceback of all threads
names it, and the process ends. In the torture there is no limit.
"""

from __future__ import annotations

import faulthandler
import os
from collections.abc import Generator

import pytest

GRACE = 30.0
_STDERR = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    # Nothing is captured yet: this is where the run itself was told to write.
    config.stash[_STDERR] = os.dup(2)


def pytest_unconfigure(config: pytest.Config) -> None:
    os.close(config.stash[_STDERR])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.torture:
        for item in items:
            item.add_marker(pytest.mark.timeout(0), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    limit = _limit(item)
    if limit:
        stderr = item.config.stash[_STDERR]
        faulthandler.dump_traceback_later(limit + GRACE, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _limit(item: pytest.Item) -> float:
    mark = item.get_closest_marker("timeout")
    return float(mark.args[0] if mark else item.config.getini("timeout") or 0)
