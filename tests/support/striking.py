"""What befalls a process at work on a stage: death, failure, a host that goes down, a ^C."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.children import must_end_within
from tests.support.stage import Stage
from tests.support.stage import on_stage as open_stage
from tests.support.watched import STORE, Watch, watched
from vmctl.errors import Interrupted, RemoteFailed

Deed = Callable[[Stage], None]
LIMIT = 60.0
"""Seconds for one process, which takes a fraction of one."""


@dataclass(frozen=True)
class Strike:
    """What befalls one process, at which of its moments or effects."""

    how: str = "none"  # kill, dead, lost, fail, fail-after, down, down-after or interrupt
    at: int = -1


@contextlib.contextmanager
def struck(folder: Path, strike: Strike) -> Iterator[tuple[Stage, Watch, list[str]]]:
    """Open a stage in a process that something befalls."""
    watch = Watch(kill_at=strike.at if strike.how == "kill" else None)
    effects: list[str] = []
    stage: Stage

    def lose(effect: str) -> str:
        effects.append(effect)
        mine = len(effects) - 1 == strike.at
        return strike.how if mine and strike.how in ("dead", "lost") else ""

    def moment(name: str) -> None:
        watch.moment(name)
        host = name.partition(" ")[0]
        # Of this effect `lose` is asked next, or has been asked just now.
        before = name.endswith("before") and len(effects) == strike.at
        after = name.endswith("after") and len(effects) - 1 == strike.at
        if before and strike.how == "fail":
            effects.append(name)
            raise RemoteFailed(host, f"{name} was made to fail")
        if after and strike.how == "fail-after":
            raise RemoteFailed(host, f"{name} was made to fail")
        if (before and strike.how == "down") or (after and strike.how == "down-after"):
            stage.fleet.set_down(host, down=True)

    def check() -> None:
        if strike.how == "interrupt" and len(watch.moments) >= strike.at:
            raise Interrupted("interrupted")

    with open_stage(folder) as stage:
        stage.check = check
        stage.fleet.on_effect = moment
        stage.fleet.lose = lose
        stage.store = watched(stage.sql, STORE, watch, "store")
        yield stage, watch, effects


def in_child(act: Callable[[], object]) -> tuple[int | None, str]:
    """Do something in a process of its own; give the signal that ended it, and what it said."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        must_end_within(LIMIT)
        said: object = None
        code = 0
        try:
            said = act()
        except BaseException:  # noqa: BLE001 - told to the parent
            said, code = traceback.format_exc(), 1
        os.write(write, json.dumps(said).encode()[:60_000])
        os._exit(code)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return os.WTERMSIG(status), ""
    if os.WEXITSTATUS(status):
        raise AssertionError(json.loads(text) if text else "it hung: stderr tells where")
    return None, text


def befall(folder: Path, deed: Deed, strike: Strike) -> bool:
    """Do a deed in a process of its own, and say whether it was killed."""

    def act() -> None:
        with struck(folder, strike) as (stage, _, _):
            deed(stage)

    ended, _ = in_child(act)
    assert ended in (None, signal.SIGKILL), f"ended by signal {ended}"
    return ended is not None


def moments_of(folder: Path, deed: Deed) -> tuple[list[str], list[str]]:
    """List the moments and the effects of a deed that nothing befalls."""

    def act() -> tuple[list[str], list[str]]:
        with struck(folder, Strike()) as (stage, watch, effects):
            deed(stage)
            return watch.moments, effects

    _, text = in_child(act)
    moments, effects = json.loads(text)
    return moments, effects
