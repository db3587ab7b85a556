"""A case of a torture tried: what befalls whom, in real processes, and how it is recovered."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import json
import os
import random
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.built import Deed, deleting
from tests.support.stage import Stage, copy_stage, keep_ready
from tests.support.striking import Seen, Strike, befall, in_child, struck
from tests.support.wrecks import wreck_of
from vmctl.errors import Conflict
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.services.recovery import resume, unwind

if TYPE_CHECKING:
    from tests.support.torture import Torture

SEED = 7
AGAIN = 4
"""Strikes at the recoveries of one trial, where there is no time for everything."""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A deed that is done by a workflow: where it begins, and what the server may be at the end."""

    name: str
    saga: Saga[Work]
    by: Callable[[Saga[Work]], Deed]
    template: str
    undone: tuple[str, ...]
    """What the server may be where the deed was undone."""

    after: str
    sample: int = 12
    """So many strikes, where there is no time for everything."""

    sure: bool = True
    """Whether it comes to its end where whoever did it was killed, and it is resumed."""

    derived: bool = True
    """Whether what its table makes go wrong is tried."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """How what is left is recovered, and what the server may be then."""

    name: str
    deed: Deed
    ends: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One thing to try: what befalls whom, and how it is recovered."""

    name: str
    trial: Trial
    deeds: tuple[tuple[Deed, Strike], ...]
    ways: tuple[Way, ...]
    again: bool = False
    """Whether its recoveries are struck as well."""


def recover_by(act: Callable[..., object]) -> Deed:
    """Recover every operation that is not over, and once more what others stood in the way of."""

    def deed(stage: Stage) -> None:
        for operation in (*stage.sql.operations(unfinished=True),) * 2:
            if not stage.sql.operation(operation.id).state.over:
                with contextlib.suppress(Conflict):
                    act(stage.recovery, operation)

    return deed


def answering(act: Deed) -> Deed:
    """Do something once every host answers again."""

    def do(stage: Stage) -> None:
        for name in stage.hosts:
            stage.fleet.set_down(name, down=False)
        act(stage)

    return do


RESUME, UNWIND = recover_by(resume), recover_by(unwind)


@dataclass
class Done:
    """What a worker has done."""

    cases: int = 0
    struck: int = 0
    killed: int = 0
    recovered: int = 0
    sagas: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)


class Hand:
    """A worker: each process of a case comes from it, and has all that it needs in memory."""

    def __init__(self, torture: Torture, folder: Path) -> None:
        self.torture = torture
        self.luck = random.Random(SEED)
        self.place, self.wreck = folder / "here", folder / "wreck"
        self.done = Done()

    def warm_up(self) -> None:
        """Do here, once, what the processes to come do: none of them need learn it again."""
        keep_ready(copy_stage(self.torture.folder / "empty", self.place))
        for trial in self.torture.trials:
            copy_stage(self.torture.folder / trial.template, self.place)
            with struck(self.place, Strike()) as (stage, _):
                trial.by(trial.saga)(stage)
                wreck_of(stage)
                with contextlib.suppress(AssertionError):
                    self.torture.judge(stage, trial.template)
                deleting()(stage)
        for thread in threading.enumerate():
            if thread is not threading.current_thread():
                thread.join()
        gc.collect()
        gc.freeze()

    def attempt(self, case: Case) -> None:
        """Have a case befall whom it befalls, and recover what is left in each of its ways."""
        copy_stage(self.torture.folder / case.trial.template, self.place)
        try:
            for deed, strike in case.deeds:
                self.befall(deed, strike)
        except AssertionError as error:
            self.done.problems.append(f"{case.name}: {error}")
            return
        copy_stage(self.place, self.wreck)
        print_ = ""
        for way in case.ways:
            print_, seen = self.recover(case, way, print_)
            if seen is not None and case.again:
                self.strike_recovery(case, way, seen)

    def befall(self, deed: Deed, strike: Strike) -> None:
        """Have something done here that something befalls."""
        self.done.struck += 1
        self.done.killed += befall(self.place, deed, strike)

    def recover(self, case: Case, way: Way, print_: str) -> tuple[str, Seen | None]:
        """Recover what was left, unless it is known how that ends; compare with what may be."""
        self.done.cases += 1
        self.done.sagas[case.trial.saga.name] += 1
        end, seen = self.known(case, way, print_) if print_ else None, None
        if end is None:
            if print_:
                copy_stage(self.wreck, self.place)
            try:
                _, text = in_child(lambda: self.tried(case, way))
            except AssertionError as error:
                self.done.problems.append(f"{case.name}, {way.name}: {error}")
                return print_, None
            print_, end, told = json.loads(text)
            if told is None:
                # Another one has left the same.
                end = self.known(case, way, print_)
            else:
                self.done.recovered += 1
                seen = Seen(**told)
                self.learn(case, way, print_, end)
        if end is not None and self.torture.fits(end, way.ends):
            self.done.ended[f"{case.trial.name}: {end}"] += 1
        else:
            wrong = f"{end}, not {' or '.join(way.ends)}"
            self.done.problems.append(f"{case.name}, {way.name}: {wrong}")
        return print_, seen

    def tried(self, case: Case, way: Way) -> tuple[str, str | None, dict[str, object] | None]:
        """Tell what was left here, and unless that is known how it ends, recover it."""
        with struck(self.place, Strike()) as (stage, seen):
            print_ = wreck_of(stage)
            if self.known(case, way, print_) is not None:
                return print_, None, None
            way.deed(stage)
            told = asdict(replace(seen, moments=list(seen.moments)))
            if way.name != "resume":
                answering(RESUME)(stage)
            try:
                end = self.torture.judge(stage, case.trial.template)
            except AssertionError as error:
                end = f"wrong: {error}"
        return print_, end, told

    def strike_recovery(self, case: Case, way: Way, seen: Seen) -> None:
        """Strike a recovery at what none of this trial was struck at before, then resume it."""
        strikes = seen.strikes(self.torture.again)
        if not self.torture.everything:
            strikes = self.luck.sample(strikes, min(len(strikes), AGAIN))
        for strike in strikes:
            words = f"{case.trial.name}, {way.name}, {seen.name(strike)}"
            if not self.is_first(words):
                continue
            then = Way(
                name="resume",
                deed=answering(RESUME),
                ends=self.torture.ends_again(way, case.trial, seen, strike),
            )
            again = replace(case, name=f"{case.name}, {way.name} {seen.name(strike)}", again=False)
            copy_stage(self.wreck, self.place)
            try:
                self.befall(way.deed, strike)
            except AssertionError as error:
                self.done.problems.append(f"{again.name}: {error}")
                continue
            self.recover(again, then, "")

    # What is known from other cases, of this worker or another one

    def known(self, case: Case, way: Way, print_: str) -> str | None:
        """Tell how that ends."""
        path = self.path(f"{case.trial.template}, {way.name}, {print_}")
        return path.read_text() if path.exists() else None

    def learn(self, case: Case, way: Way, print_: str, end: str) -> None:
        path = self.path(f"{case.trial.template}, {way.name}, {print_}")
        new = path.with_suffix(f".{os.getpid()}")
        new.write_text(end)
        new.replace(path)

    def is_first(self, words: str) -> bool:
        """Whether nobody has asked this before."""
        try:
            self.path(words).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True

    def path(self, words: str) -> Path:
        return self.torture.folder / "known" / hashlib.sha256(words.encode()).hexdigest()[:24]


def side_by_side(work: Callable[[int], object], count: int) -> Iterator[Any]:
    pipes = []
    for worker in range(count):
        read, write = os.pipe()
        if os.fork() == 0:
            try:
                os.close(read)
                with os.fdopen(write, "w") as pipe:
                    json.dump(work(worker), pipe)
            except BaseException:  # noqa: BLE001 - what it was to say is missing then
                traceback.print_exc()
            os._exit(0)
        os.close(write)
        pipes.append(read)
    for read in pipes:
        with os.fdopen(read) as pipe:
            yield json.load(pipe)
