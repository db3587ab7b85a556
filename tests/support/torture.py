"""Kill and break every workflow at every moment, recover, and compare the world with the ideal.

`python -m tests.support.torture FOLDER [all]` prints its figures as JSON, with every case after
which something was left, lost or half done. Each case is real processes on a real database: one
that is killed or meets a failure, one that recovers, and for some of them one that recovers after
the recovery was killed as well.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.stage import Stage, a_stage, copy_stage, create, delete
from tests.support.stage import on_stage as open_stage
from tests.support.striking import Deed, Strike, befall, in_child, moments_of
from tests.support.verdict import judge, pristine_of
from vmctl.errors import Conflict, RemoteFailed
from vmctl.sagas import CREATE, DELETE
from vmctl.sagas.saga import Saga, Step
from vmctl.sagas.work import Work
from vmctl.services.recovery import pay_owed, resume, unwind

WORKERS = 2
SEED = 7


@dataclass(frozen=True)
class Case:
    """One thing to try: what is done where, what befalls it, and how it is recovered."""

    name: str
    template: str
    deeds: tuple[tuple[Deed, Strike], ...]
    ends: tuple[str, ...] = ("whole", "gone")
    """What the world may be like afterwards."""


# What is done


def recover_by(act: Callable[..., object]) -> Deed:
    """Recover every operation that is not over, until there is none."""

    def deed(stage: Stage) -> None:
        for operation in stage.sql.operations(unfinished=True):
            with contextlib.suppress(Conflict):
                act(stage.recovery, operation)

    return deed


RESUME, UNWIND = recover_by(resume), recover_by(unwind)
RECOVERIES = (("resume", RESUME), ("unwind", UNWIND))


def pay(stage: Stage) -> None:
    """Pay what is owed to the first host, as a next create there does."""
    pay_owed(stage.recovery, {"kvm1"})


def failing(saga: Saga[Work], name: str, *, acts: bool) -> Saga[Work]:
    """Have the step of that name fail, before or after its effect."""

    def do(work: Work, step: Step[Work]) -> None:
        if acts:
            step.do(work)
        raise RemoteFailed(work.host.name, f"{name} was made to fail")

    return _each(
        saga, lambda one: replace(one, do=lambda w: do(w, one)) if one.name == name else one
    )


def stubborn(saga: Saga[Work], names: Sequence[str]) -> Saga[Work]:
    """Have the undo of these steps fail."""

    def undo(work: Work) -> None:
        raise RemoteFailed(work.host.name, "the undo was made to fail")

    return _each(saga, lambda one: replace(one, undo=undo) if one.name in names else one)


class Killed(BaseException):
    """Ends a process at once."""


def dying(saga: Saga[Work], name: str) -> Saga[Work]:
    """Have the process end when it is about to do the step of that name."""

    def die(work: Work) -> None:
        raise Killed(work.build.name)

    return _each(saga, lambda one: replace(one, do=die) if one.name == name else one)


def doubled(saga: Saga[Work]) -> Saga[Work]:
    """Have everything done and undone twice."""

    def twice(act: Callable[[Work], None]) -> Callable[[Work], None]:
        def both(work: Work) -> None:
            act(work)
            act(work)

        return both

    return _each(
        saga, lambda one: replace(one, do=twice(one.do), undo=one.undo and twice(one.undo))
    )


def _each(saga: Saga[Work], change: Callable[[Step[Work]], Step[Work]]) -> Saga[Work]:
    return replace(saga, steps=tuple(change(one) for one in saga.steps))


def creating(saga: Saga[Work] = CREATE) -> Deed:
    """Create by this workflow on the first host."""
    return lambda stage: create(stage, saga=saga)


def deleting(saga: Saga[Work] = DELETE) -> Deed:
    """Delete by this workflow."""
    return lambda stage: delete(stage, saga=saga)


# What is tried


class Torture:
    """All the cases, and what became of them."""

    hows: Sequence[str] = ("dead", "lost", "fail", "fail-after")
    recoveries: Sequence[tuple[str, Deed]] = RECOVERIES

    def __init__(self, folder: Path, *, everything: bool) -> None:
        self.folder = folder
        self.everything = everything
        self.luck = random.Random(SEED)
        self.cases: list[Case] = []
        self.templates()
        self.pristine = pristine_of(folder / "empty")

    def templates(self) -> None:
        """Make the stages that cases begin on."""
        shutil.rmtree(self.folder, ignore_errors=True)
        a_stage(self.folder / "empty")
        self.make("made", "empty", creating())
        every = [one.name for one in CREATE.steps if one.undo]
        debris = stubborn(failing(CREATE, "start", acts=False), every)
        # Its start is never begun: the next host has it, and the first one has all the rest.
        self.make("owed", "empty", creating(debris))

    def make(self, name: str, source: str, deed: Deed) -> None:
        copy_stage(self.folder / source, self.folder / name)
        assert not befall(self.folder / name, deed, Strike())

    def plan(self) -> None:
        """Think of everything that can befall anything."""
        bad_start = failing(CREATE, "autostart", acts=True)
        elsewhere = failing(CREATE, "seed", acts=True)
        self.strike_all("create", "empty", creating(), resumed="whole")
        self.strike_all("create, elsewhere", "empty", creating(elsewhere), sample=40)
        self.strike_all("create, undone", "empty", creating(bad_start), sample=40)
        self.strike_all("delete", "made", deleting(), resumed="gone")
        self.strike_all("cleanup", "owed", pay, resumed="whole", ends=("whole",))
        for step in CREATE.steps:
            for acts in (False, True):
                saga = failing(CREATE, step.name, acts=acts)
                end = (
                    "gone"
                    if step.name == "autostart" or (acts and step.name == "start")
                    else "whole"
                )
                self.add(f"create failing at {step.name}", "empty", creating(saga), ends=(end,))
            if step.undo:
                saga = stubborn(bad_start, [step.name])
                self.add(
                    f"undo failing at {step.name}", "empty", creating(saga), RESUME, ends=("gone",)
                )
        for step in DELETE.steps:
            for acts in (False, True):
                saga = failing(DELETE, step.name, acts=acts)
                self.add(
                    f"delete failing at {step.name}", "made", deleting(saga), RESUME, ends=("gone",)
                )
        self.add("create, all twice", "empty", creating(doubled(CREATE)), ends=("whole",))
        self.add("undone twice", "empty", creating(doubled(bad_start)), ends=("gone",))
        self.add("delete, all twice", "made", deleting(doubled(DELETE)), ends=("gone",))
        self.add("cleanup twice", "owed", pay, pay, ends=("whole",))

    def add(self, name: str, template: str, *deeds: Deed, ends: tuple[str, ...]) -> None:
        self.cases.append(Case(name, template, tuple((one, Strike()) for one in deeds), ends))

    def strike_all(
        self,
        name: str,
        template: str,
        deed: Deed,
        *,
        ends: tuple[str, ...] = ("whole", "gone"),
        resumed: str = "",
        sample: int = 0,
    ) -> None:
        """Strike a deed at each of its moments, or at so many, and some recoveries at theirs.

        `resumed` is how all ends where the deed was on record, was killed, and is resumed.
        """
        moments, effects = moments_of(copy_stage(self.folder / template, self.folder / "x"), deed)
        first = next(at for at, what in enumerate(moments) if what.startswith("after store"))
        strikes = [Strike("kill", at) for at in range(len(moments))]
        for how in self.hows:
            found = moments if how == "interrupt" else effects
            strikes += [Strike(how, at) for at in range(len(found))]
        again = set(strikes if self.everything else self.luck.sample(strikes, 1))
        if not self.everything and sample:
            strikes = sorted({*self.luck.sample(strikes, sample), *again}, key=strikes.index)
        for number, strike in enumerate(strikes):
            for word, recovery in self.ways(number):
                what = f"{name}, {strike.how} {strike.at}, {word}"
                # A delete that was begun is not unwound: it is then resumed.
                deeds = ((deed, strike), (recovery, Strike()), (RESUME, Strike()))
                on_record = strike.how == "dead" or (strike.how == "kill" and strike.at >= first)
                sure = resumed and word == "resume" and on_record
                self.cases.append(Case(what, template, deeds, (resumed,) if sure else ends))
                if strike in again:
                    self.strike_recovery(replace(self.cases[-1], ends=ends))

    def ways(self, number: int) -> Sequence[tuple[str, Deed]]:
        """Give how a case is recovered: in each way where there is time for everything."""
        every = self.recoveries
        return every if self.everything else [every[number % len(every)]]

    def strike_recovery(self, case: Case) -> None:
        """Kill a recovery at each of its moments."""
        first, (recovery, _), *_ = case.deeds
        folder = copy_stage(self.folder / case.template, self.folder / "x")
        befall(folder, *first)
        moments, effects = moments_of(folder, recovery)
        strikes = [Strike("kill", at) for at in range(len(moments))]
        strikes += [Strike(how, at) for how in ("dead", "fail") for at in range(len(effects))]
        strikes = self.luck.sample(strikes, min(len(strikes), 4 if self.everything else 10))
        for strike in strikes:
            deeds = (first, (recovery, strike), (RESUME, Strike()))
            what = f"{case.name}, recovery {strike.how} {strike.at}"
            self.cases.append(replace(case, name=what, deeds=deeds))

    def run(self) -> dict[str, Any]:
        """Try every case, several at a time."""
        said = []
        pipes = []
        for worker in range(WORKERS):
            read, write = os.pipe()
            if os.fork() == 0:
                os.close(read)
                with os.fdopen(write, "w") as pipe:
                    json.dump(self.work(worker), pipe)
                os._exit(0)
            os.close(write)
            pipes.append(read)
        for read in pipes:
            with os.fdopen(read) as pipe:
                said.append(json.load(pipe))
        ended = Counter[str]()
        for one in said:
            ended.update(one["ended"])
        return {
            "cases": len(self.cases),
            "processes killed": sum(one["killed"] for one in said),
            "ended": ended,
            "problems": [problem for one in said for problem in one["problems"]],
        }

    def work(self, worker: int) -> dict[str, Any]:
        killed, ended, problems = 0, Counter[str](), []
        for case in self.cases[worker::WORKERS]:
            folder = copy_stage(self.folder / case.template, self.folder / f"case-{worker}")
            try:
                rest = list(case.deeds)
                while rest and rest[0][1].how != "none":
                    killed += befall(folder, *rest.pop(0))
                deeds = [deed for deed, _ in rest]
                end = json.loads(in_child(lambda: self.end(folder, deeds))[1])  # noqa: B023
                assert end in case.ends, f"{end}, not {case.ends}"
            except AssertionError as error:
                problems.append(f"{case.name}: {error}")
            else:
                ended[f"{case.name.partition(',')[0]}: {end}"] += 1
        return {"killed": killed, "ended": ended, "problems": problems}

    def end(self, folder: Path, deeds: Sequence[Deed]) -> str:
        """Do what nothing befalls any more, and say what the world is like then."""
        with open_stage(folder) as stage:
            for deed in deeds:
                deed(stage)
            return self.judge(stage)

    def judge(self, stage: Stage) -> str:
        """Say what the world is like after a case, in one of the words for its ends."""
        return judge(stage, self.pristine)


def main(folder: str, everything: str = "") -> None:
    torture = Torture(Path(folder), everything=bool(everything))
    torture.plan()
    sys.stdout.write(json.dumps(torture.run(), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
