"""Kill and break a workflow at every moment, recover, and compare the world with the ideal.

Each saga's table is taken in by a trial: how it is begun, and what the server is before and after.
Of the trial's deed, real processes on a real database are killed, broken, cut off and interrupted
at each of their moments, and from its table come steps that fail and undos that do. What each of
them left is then recovered in every way, and some recoveries are killed as well. Where two left
exactly the same, it is recovered once for both.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.built import Deed, a_site, deleting
from tests.support.stage import Stage, copy_stage
from tests.support.striking import Seen, Strike, befall, look_on
from tests.support.tables import failing, stubborn, variants
from tests.support.trying import (
    RESUME,
    SEED,
    UNWIND,
    Case,
    Hand,
    Trial,
    Way,
    answering,
    side_by_side,
)
from tests.support.verdict import pristine_of
from vmctl.sagas import SAGAS

WORKERS = 2
GONE = "gone"
OLDER = 4
"""So many strikes at what nobody begins any more, where there is no time for everything."""


def of_all_versions(*trials: Trial) -> tuple[Trial, ...]:
    """Give these trials, and the same by older versions of their workflows."""
    older = [
        replace(one, name=f"{one.name}, version {saga.version}", saga=saga, sample=OLDER)
        for one in trials
        for saga in SAGAS.values()
        if one.derived and saga.name == one.saga.name and saga.version != one.saga.version
    ]
    return (*trials, *older)


class Torture(ABC):
    """All the cases, and what became of them."""

    hows: Sequence[str] = (
        *("kill", "dead", "lost", "fail", "fail-after", "down", "down-after", "interrupt"),
    )
    again: Sequence[str] = ("kill", "dead", "fail")
    recoveries: Sequence[tuple[str, Deed]] = (
        ("resume", answering(RESUME)),
        ("unwind", answering(UNWIND)),
        ("delete", answering(deleting())),
    )

    def __init__(self, folder: Path, *, everything: bool) -> None:
        self.folder = folder
        self.everything = everything
        self.luck = random.Random(SEED)
        self.cases: list[Case] = []
        shutil.rmtree(folder, ignore_errors=True)
        a_site(folder / "empty")
        self.pristine = pristine_of(folder / "empty")
        self.templates()

    @abstractmethod
    def templates(self) -> None:
        """Make the stages that cases begin on."""

    trials: Sequence[Trial]
    """What is tried."""

    @abstractmethod
    def judge(self, stage: Stage, template: str) -> str:
        """Say what the world is like after a case, in one of the words for its ends."""

    def fits(self, end: str, ends: Sequence[str]) -> bool:
        """Whether a case may end so."""
        return end in ends

    def make(self, name: str, source: str, deed: Deed) -> None:
        copy_stage(self.folder / source, self.folder / name)
        assert not befall(self.folder / name, deed, Strike())

    # What is tried

    def plan(self) -> None:
        """Think of everything that can befall anything."""
        taken = set[str]()
        for trial in self.trials:
            self.strike_all(trial)
            if trial.derived and (self.everything or trial.saga.name not in taken):
                self.take_apart(trial)
                taken.add(trial.saga.name)

    def strike_all(self, trial: Trial) -> None:
        """Strike a deed at each of its moments, or at so many."""
        deed = trial.by(trial.saga)
        seen = look_on(copy_stage(self.folder / trial.template, self.folder / "x"), deed)
        first = next((at for at, one in enumerate(seen.moments) if one.startswith(_BEGUN)), 0)
        strikes = seen.strikes(self.hows)
        if not self.everything:
            strikes = self.luck.sample(strikes, min(trial.sample, len(strikes)))
        for number, strike in enumerate(strikes):
            killed = strike.how == "dead" or (strike.how == "kill" and strike.at >= first)
            sure = trial.sure and killed
            ways = tuple(
                replace(way, ends=(trial.after,)) if sure and way.name == "resume" else way
                for way in self.ways(trial, (*trial.undone, trial.after), number)
            )
            case = Case(
                name=f"{trial.name}, {seen.name(strike)} ({strike.at})",
                trial=trial,
                deeds=((deed, strike),),
                ways=ways,
                again=self.everything or not number,
            )
            self.cases.append(case)

    def take_apart(self, trial: Trial) -> None:
        """Try all that the table of a trial's workflow makes go wrong."""
        for number, one in enumerate(variants(trial.saga)):
            ends = trial.undone if one.back else (trial.after,)
            self.add(f"{trial.name}, {one.name}", trial, trial.by(one.saga), ends, number)

    def add(
        self, name: str, trial: Trial, deed: Deed, ends: tuple[str, ...], number: int = 0
    ) -> None:
        """Try a deed that nothing befalls but what is in it; resumed it has one of these ends."""
        ways = self.ways(trial, ends, 0)
        if not self.everything and number % 3 == 1:
            ways = self.ways(trial, ends, len(self.recoveries) - 1)
        self.cases.append(Case(name=name, trial=trial, deeds=((deed, Strike()),), ways=ways))

    def ways(self, trial: Trial, ends: tuple[str, ...], number: int) -> tuple[Way, ...]:
        """Give how a case is recovered: in each way where there is time for everything."""
        del trial
        every = tuple(
            Way(name=name, deed=deed, ends=(GONE,) if name == "delete" else ends)
            for name, deed in self.recoveries
        )
        return every if self.everything else (every[number % len(every)],)

    def ends_again(self, way: Way, trial: Trial, seen: Seen, strike: Strike) -> tuple[str, ...]:
        """Say what the server may be where a recovery like this was struck, and resumed."""
        came = seen.moments[: strike.at + 1] if strike.how == "kill" else []
        if way.name == "delete" and any(one.startswith("after store begin") for one in came):
            return (GONE,)
        return (*trial.undone, trial.after, *way.ends)

    # How it is tried

    def run(self) -> dict[str, Any]:
        """Try every case, several at a time."""
        began = time.monotonic()
        (self.folder / "known").mkdir()
        said = list(side_by_side(self.work, WORKERS))
        ended = Counter[str]()
        sagas = Counter[str]()
        for one in said:
            ended.update(one["ended"])
            sagas.update(one["sagas"])
        whole = ("cases", "struck", "killed", "recovered", "cpu")
        return {
            **{name: round(sum(one[name] for one in said)) for name in whole},
            "seconds": round(time.monotonic() - began),
            "sagas": sagas,
            "ended": ended,
            "problems": [problem for one in said for problem in one["problems"]],
        }

    def work(self, worker: int) -> dict[str, Any]:
        """Try every so-manieth case."""
        hand = Hand(self, self.folder / f"hand-{worker}")
        hand.warm_up()
        for case in self.cases[worker::WORKERS]:
            hand.attempt(case)
        spent = resource.getrusage(resource.RUSAGE_CHILDREN)
        return {**vars(hand.done), "cpu": spent.ru_utime + spent.ru_stime}


_BEGUN = ("after store admit", "after store begin", "after store adopt")


def main(torture: Callable[..., Torture], folder: str, everything: str = "") -> None:
    """Try all of a torture, and print its figures as JSON, with every problem."""
    tried = torture(Path(folder), everything=bool(everything))
    tried.plan()
    sys.stdout.write(json.dumps(tried.run(), indent=1) + "\n")


__all__ = ["RESUME", "UNWIND", "Torture", "Trial", "failing", "stubborn"]
