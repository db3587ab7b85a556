"""The same for what is done to servers that stand: record and host agree, and nothing is touched.

`python -m tests.support.torture_power FOLDER [all]`. Beside deaths and failures, hosts go down and
come back, and someone presses ^C; beside resuming and unwinding, the server is deleted.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.support.stage import SPEC, Stage, on_stage
from tests.support.striking import Deed as Act
from tests.support.torture import RESUME, UNWIND, Case, Torture, creating
from tests.support.verdict import judge, judge_standing
from vmctl.domain import deed as deeds
from vmctl.domain.deed import Deed
from vmctl.errors import Busy, HostError, Interrupted
from vmctl.sagas import power
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.services.acting import Errand
from vmctl.services.acting import act as do_deed
from vmctl.services.delete import delete_server

PATIENCE = 20.0
SAMPLE = 12
NAME = "template"
"""A file in each folder: the stage that it began as."""


def doing(deed: Deed, saga: Saga[Work], *, patience: float = PATIENCE) -> Act:
    """Do a deed to the server; what is in its way is not this one's to tell."""

    def do(stage: Stage) -> None:
        errand = Errand(deed=deed, saga=saga, params={"patience": patience}, check=stage.check)
        with contextlib.suppress(HostError, Interrupted):
            do_deed(stage.recovery, stage.sql.server(SPEC.id), errand)

    return do


START = doing(deeds.START, power.START)
STOP = doing(deeds.STOP, power.STOP)
FORCED = doing(deeds.STOP, power.STOP, patience=0)
REBOOT = doing(deeds.REBOOT, power.REBOOT)
HARD = doing(deeds.REBOOT_HARD, power.REBOOT_HARD)
PAUSE = doing(deeds.PAUSE, power.PAUSE)
UNPAUSE = doing(deeds.UNPAUSE, power.UNPAUSE)
SUSPEND = doing(deeds.SUSPEND, power.SUSPEND)
RESUMING = doing(deeds.RESUME, power.RESUME)


def answering(act: Act) -> Act:
    """Do something once every host answers again."""

    def do(stage: Stage) -> None:
        for name in stage.hosts:
            stage.fleet.set_down(name, down=False)
        act(stage)

    return do


def delete(stage: Stage) -> None:
    """Delete the server, whoever died at work on it."""
    server = stage.sql.server(SPEC.id)
    if server.deleted is None:
        with contextlib.suppress(Busy, HostError):
            delete_server(stage.recovery, server)


def obeying(seconds: float | None) -> Act:
    """Have a guest that takes its time to obey its power button, or never does."""

    def do(stage: Stage) -> None:
        with stage.fleet.state("kvm1") as state:
            state["machines"][SPEC.id]["obeys"] = seconds

    return do


def older(stage: Stage) -> None:
    """Have what is on record be older than what is seen from now on."""
    stage.fleet.sleep(time.time() + 60)


@dataclass(frozen=True)
class Trial:
    """A deed from one state to another; `amid` is what else it may end in if it is not resumed."""

    name: str
    act: Act
    before: str
    after: str
    template: str = ""
    amid: tuple[str, ...] = ()

    @property
    def ends(self) -> tuple[str, ...]:
        return tuple({self.before, self.after, *self.amid})


TRIALS = (
    Trial("start", START, "SHUTOFF", "ACTIVE"),
    Trial("stop", STOP, "ACTIVE", "SHUTOFF"),
    Trial("stop of a deaf guest", STOP, "ACTIVE", "SHUTOFF", "deaf"),
    Trial("stop of a slow guest", STOP, "ACTIVE", "SHUTOFF", "slow"),
    Trial("stop by force", FORCED, "ACTIVE", "SHUTOFF"),
    Trial("reboot", REBOOT, "ACTIVE", "ACTIVE"),
    Trial("reboot of a deaf guest", REBOOT, "ACTIVE", "ACTIVE", "deaf"),
    Trial("reboot of a slow guest", REBOOT, "ACTIVE", "ACTIVE", "slow"),
    Trial("hard reboot", HARD, "ACTIVE", "ACTIVE"),
    Trial("hard reboot of one that is off", HARD, "SHUTOFF", "ACTIVE"),
    Trial("hard reboot of one that is paused", HARD, "PAUSED", "ACTIVE", amid=("SHUTOFF",)),
    Trial("hard reboot of one that sleeps", HARD, "SUSPENDED", "ACTIVE", amid=("SHUTOFF",)),
    Trial("pause", PAUSE, "ACTIVE", "PAUSED"),
    Trial("unpause", UNPAUSE, "PAUSED", "ACTIVE"),
    Trial("suspend", SUSPEND, "ACTIVE", "SUSPENDED"),
    Trial("resume", RESUMING, "SUSPENDED", "ACTIVE"),
)


class PowerTorture(Torture):
    """All that can befall a server that stands."""

    hows = ("dead", "lost", "fail", "fail-after", "down", "down-after", "interrupt")
    recoveries = (
        ("resume", answering(RESUME)),
        ("unwind", answering(UNWIND)),
        ("delete", answering(delete)),
    )

    def templates(self) -> None:
        """Make a server in each state."""
        super().templates()
        self.make("new", "empty", creating())
        self.make("ACTIVE", "new", older)
        self.make("deaf", "ACTIVE", obeying(None))
        self.make("slow", "ACTIVE", obeying(5))
        for name, act in (("SHUTOFF", STOP), ("PAUSED", PAUSE), ("SUSPENDED", SUSPEND)):
            self.make(name, "ACTIVE", act)
        self.before: dict[str, dict[str, Any]] = {}
        for name in ("ACTIVE", "deaf", "slow", "SHUTOFF", "PAUSED", "SUSPENDED"):
            (self.folder / name / NAME).write_text(name)
            with on_stage(self.folder / name) as stage:
                self.before[name] = {one: stage.fleet.picture(one) for one in stage.hosts}
                judge_standing(stage, self.before[name])

    def plan(self) -> None:
        """Think of everything that can befall any of it."""
        for trial in TRIALS:
            template = trial.template or trial.before
            self.strike_all(
                trial.name,
                template,
                trial.act,
                ends=(*trial.ends, "gone"),
                resumed=trial.after,
                sample=SAMPLE,
            )

    def strike_recovery(self, case: Case) -> None:
        """Kill a recovery at each of its moments; where its host refuses, a server stays off."""
        before = len(self.cases)
        super().strike_recovery(case)
        for at, one in enumerate(self.cases[before:], before):
            if one.deeds[1][1].how == "fail":
                self.cases[at] = replace(one, ends=(*case.ends, "SHUTOFF"))

    def judge(self, stage: Stage) -> str:
        """Say what the server is shown as and is, or that it is gone."""
        if stage.sql.server(SPEC.id).deleted is not None:
            return judge(stage, self.pristine)
        return judge_standing(stage, self.before[(stage.folder / NAME).read_text()])


def main(folder: str, everything: str = "") -> None:
    torture = PowerTorture(Path(folder), everything=bool(everything))
    torture.plan()
    sys.stdout.write(json.dumps(torture.run(), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
