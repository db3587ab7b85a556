"""What befalls a process at work on a stage: death, failure, a host that goes down, a ^C."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.support.built import Deed, on_site
from tests.support.children import must_end_within
from tests.support.stage import Stage
from tests.support.watched import COMMITS, Watch, watched
from vmctl.errors import Interrupted, RemoteFailed

_MINTED = re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
LIMIT = 60.0
"""Seconds for one process, which takes a fraction of one."""


@dataclass(frozen=True)
class Strike:
    """What befalls one process, at which of its moments or effects."""

    how: str = "none"  # kill, dead, lost, fail, fail-after, down, down-after or interrupt
    at: int = -1


@dataclass(frozen=True)
class Seen:
    """What a process came through: its moments, its effects, and how often it asked for a ^C."""

    moments: list[str] = field(default_factory=list)
    effects: list[str] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def strikes(self, hows: Iterable[str]) -> list[Strike]:
        """Give all that could have befallen it in these ways."""
        counts = {"kill": len(self.moments), "interrupt": len(self.asked)}
        return [Strike(how, at) for how in hows for at in range(counts.get(how, len(self.effects)))]

    def name(self, strike: Strike) -> str:
        """Say what a strike would have struck, in words that are the same for any process."""
        where = {"kill": self.moments, "interrupt": [str(one) for one in self.asked]}
        return f"{strike.how} {_MINTED.sub('', where.get(strike.how, self.effects)[strike.at])}"


@contextlib.contextmanager
def struck(folder: Path, strike: Strike) -> Iterator[tuple[Stage, Seen]]:
    """Open a stage in a process that something befalls."""
    watch = Watch(kill_at=strike.at if strike.how == "kill" else None)
    seen = Seen(moments=watch.moments)
    effects = seen.effects
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
        seen.asked.append(len(watch.moments))
        if strike.how == "interrupt" and len(seen.asked) > strike.at:
            raise Interrupted("interrupted")

    with on_site(folder) as stage:
        stage.check = check
        stage.fleet.on_effect = moment
        stage.fleet.lose = lose
        stage.store = watched(stage.sql, COMMITS, watch, "store")
        yield stage, seen


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
        with struck(folder, strike) as (stage, _):
            deed(stage)

    ended, _ = in_child(act)
    assert ended in (None, signal.SIGKILL), f"ended by signal {ended}"
    return ended is not None


def look_on(folder: Path, deed: Deed) -> Seen:
    """See a deed through that nothing befalls."""

    def act() -> dict[str, object]:
        with struck(folder, Strike()) as (stage, seen):
            deed(stage)
            return asdict(seen)

    return Seen(**json.loads(in_child(act)[1]))
