"""The torture of what is done to the power of servers that stand: record and host agree then.

`python -m tests.support.torture_power FOLDER [all]` prints its figures as JSON.
"""

from __future__ import annotations

import contextlib
import sys
from typing import Any

from tests.support import by_hand
from tests.support.built import Deed as Act
from tests.support.built import creating, on_site
from tests.support.stage import SPEC, Stage
from tests.support.striking import Seen, Strike
from tests.support.torture import Torture, Trial, main, of_all_versions
from tests.support.trying import Way
from tests.support.verdict import judge, judge_standing
from vmctl.domain import deed as deeds
from vmctl.domain.deed import Deed
from vmctl.domain.edits import Edits
from vmctl.domain.record import ServerState
from vmctl.errors import VmctlError
from vmctl.sagas import power
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.services import marking
from vmctl.services.acting import Errand
from vmctl.services.acting import act as do_deed
from vmctl.services.believing import now
from vmctl.services.setting import planned, set_server

PATIENCE = 20.0


def doing(deed: Deed, saga: Saga[Work], *, patience: float = PATIENCE) -> Act:
    """Do a deed to the server; what is in its way is not this one's to tell."""

    def do(stage: Stage) -> None:
        errand = Errand(deed=deed, saga=saga, params={"patience": patience}, check=stage.check)
        with contextlib.suppress(VmctlError):
            do_deed(stage.recovery, stage.sql.server(SPEC.id), errand)

    return do


def obeying(seconds: float | None) -> Act:
    """Have a guest that takes its time to obey its power button, or never does."""

    def do(stage: Stage) -> None:
        with stage.fleet.state("kvm1") as state:
            state["machines"][SPEC.id]["obeys"] = seconds

    return do


NOW = 4e9
"""Later than whatever the record says by this machine's own clock, however long all takes."""


def older(stage: Stage) -> None:
    """Have what is on record be older than what is seen from now on."""
    stage.fleet.sleep(NOW)


def failed(stage: Stage) -> None:
    """Have it in ERROR on record, as an operator may say that it is."""
    server = stage.sql.server(SPEC.id)
    marking.reset(stage.sql, server, stage.recovery.actor, None, ServerState.ERROR)


def renamed(stage: Stage) -> None:
    """Have it called otherwise; its domain follows when it is off."""
    server = stage.sql.server(SPEC.id)
    set_server(stage.recovery, planned(stage.sql, server, Edits(name="renamed")))


def ended(stage: Stage) -> None:
    """Have the guest end by itself, and see it so."""
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    stage.fleet.sleep(1)
    now(stage.recovery, stage.sql.server(SPEC.id))


def trial(
    name: str,
    deed: Deed,
    saga: Saga[Work],
    ends: tuple[str, str],
    *amid: str,
    template: str = "",
    patience: float = PATIENCE,
) -> Trial:
    """Try a deed from one state to another; `amid` is what else it may be where it is undone."""
    before, after = ends
    return Trial(
        name=name,
        saga=saga,
        by=lambda like: doing(deed, like, patience=patience),
        template=template or before,
        # Nothing is undone by force: it is then what it is seen to be.
        undone=tuple({before, after, *amid}),
        after=after,
    )


START, STOP = (deeds.START, power.START), (deeds.STOP, power.STOP)
REBOOT, HARD = (deeds.REBOOT, power.REBOOT), (deeds.REBOOT_HARD, power.REBOOT_HARD)
ON, OFF = "ACTIVE", "SHUTOFF"
FOLLOWED = ", its domain renamed"
ON_AND_CALLED, OFF_AND_CALLED = ON + FOLLOWED, OFF + FOLLOWED
TRIALS = of_all_versions(
    trial("start", *START, (OFF, ON)),
    trial(
        "start of a renamed one",
        *START,
        (OFF, ON_AND_CALLED),
        *(ON, OFF_AND_CALLED),
        template="ended",
    ),
    trial("stop", *STOP, (ON, OFF)),
    trial("stop of a deaf guest", *STOP, (ON, OFF), template="deaf"),
    trial("stop of a slow guest", *STOP, (ON, OFF), template="slow"),
    trial("stop by force", *STOP, (ON, OFF), patience=0),
    trial("stop of a renamed one", *STOP, (ON, OFF_AND_CALLED), OFF, template="renamed"),
    trial("stop from ERROR", *STOP, ("ERROR", OFF), ON, template="failed"),
    trial("reboot", *REBOOT, (ON, ON)),
    trial("reboot of a deaf guest", *REBOOT, (ON, ON), template="deaf"),
    trial("reboot of a slow guest", *REBOOT, (ON, ON), template="slow"),
    trial("reboot of a renamed one", *REBOOT, (ON, ON_AND_CALLED), template="renamed"),
    trial("hard reboot", *HARD, (ON, ON)),
    trial("hard reboot of one that is off", *HARD, (OFF, ON)),
    trial("hard reboot of one that is paused", *HARD, ("PAUSED", ON), OFF),
    trial("hard reboot of one that sleeps", *HARD, ("SUSPENDED", ON), OFF),
    trial("hard reboot of a renamed one", *HARD, (ON, ON_AND_CALLED), template="renamed"),
    trial("hard reboot from ERROR", *HARD, ("ERROR", ON), OFF, template="failed"),
    trial("pause", deeds.PAUSE, power.PAUSE, (ON, "PAUSED")),
    trial("unpause", deeds.UNPAUSE, power.UNPAUSE, ("PAUSED", ON)),
    trial("suspend", deeds.SUSPEND, power.SUSPEND, (ON, "SUSPENDED")),
    trial("resume", deeds.RESUME, power.RESUME, ("SUSPENDED", ON)),
)


class PowerTorture(Torture):
    """All that can befall a server that stands."""

    trials = TRIALS

    def templates(self) -> None:
        """Make a server in each state."""
        self.make("new", "empty", creating())
        self.make(ON, "new", older)
        every = (
            ("deaf", ON, obeying(None)),
            ("slow", ON, obeying(5)),
            (OFF, ON, doing(*STOP)),
            ("PAUSED", ON, doing(deeds.PAUSE, power.PAUSE)),
            ("SUSPENDED", ON, doing(deeds.SUSPEND, power.SUSPEND)),
            ("failed", ON, failed),
            ("renamed", ON, renamed),
            ("ended", "renamed", ended),
        )
        for name, source, act in every:
            self.make(name, source, act)
        self.before: dict[str, dict[str, Any]] = {}
        for name in (ON, *(one for one, _, _ in every)):
            with on_site(self.folder / name) as stage:
                self.before[name] = {one: stage.fleet.picture(one) for one in stage.hosts}
                judge_standing(stage, self.before[name])

    def ends_again(self, way: Way, trial: Trial, seen: Seen, strike: Strike) -> tuple[str, ...]:
        ends = super().ends_again(way, trial, seen, strike)
        # Where its host refuses to have it run again, a server stays off.
        off = strike.how == "fail" and way.name != "delete"
        return (*ends, OFF, OFF_AND_CALLED) if off else ends

    def judge(self, stage: Stage, template: str) -> str:
        """Say what the server is shown as and is, or that it is gone."""
        if stage.sql.server(SPEC.id).deleted is not None:
            return judge(stage, self.pristine)
        status = judge_standing(stage, self.before[template])
        called = stage.fleet.picture("kvm1")["machines"][SPEC.id]["name"]
        return status + (FOLLOWED if called != SPEC.name else "")


if __name__ == "__main__":
    main(PowerTorture, *sys.argv[1:])
