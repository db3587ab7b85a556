"""Two runs that share the tests: each takes the next file that neither has begun.

`--share FOLDER` names where they leave word of it; one of them begins with the tests on the lab,
the other, with `--lab-last`, with those that need none. Each has a lab of its own.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_TAKEN = pytest.StashKey[dict[str, bool]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--share", type=Path, metavar="FOLDER", help="run what no other run with this folder has"
    )
    parser.addoption("--lab-last", action="store_true", help="begin with what needs no lab")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TAKEN] = {}


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.option.share is None:
        return
    slow = {_part(item) for item in items if item.get_closest_marker("slow")}

    def order(item: pytest.Item) -> tuple[bool, bool]:
        # What takes long is not begun last: the other run would wait for its end.
        return _on_lab(item) is config.option.lab_last, _part(item) not in slow

    items.sort(key=order)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool | None:
    """Pass over what is another run's: True is all that there is to do about it."""
    folder: Path | None = item.config.option.share
    if folder is None:
        return None
    taken, part = item.config.stash[_TAKEN], _part(item)
    if part not in taken:
        taken[part] = _take(folder / part)
    if not taken[part]:
        return True
    _now(item.config, folder).write_text(item.nodeid)
    return None


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Leave the name of the test that was the last to begin only where it was not ended."""
    folder: Path | None = session.config.option.share
    if folder is not None and exitstatus != pytest.ExitCode.INTERRUPTED:
        _now(session.config, folder).unlink(missing_ok=True)


def _now(config: pytest.Config, folder: Path) -> Path:
    return folder / ("now.lab-last" if config.option.lab_last else "now")


def _take(file: Path) -> bool:
    try:
        os.close(os.open(file, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True


def _on_lab(item: pytest.Item) -> bool:
    return item.get_closest_marker("lab") is not None


def _part(item: pytest.Item) -> str:
    """Name what is taken as a whole: a file, or all of the contracts on one kind of ground."""
    path = item.path.relative_to(item.config.rootpath)
    whole = path.parent if path.parent.name == "contract" else path
    return str(whole).replace("/", ".") + (".lab" if _on_lab(item) else "")
