"""The torture of create, delete and cleanup: a server is whole, or nothing of it is anywhere.

`python -m tests.support.torture_create FOLDER [all]` prints its figures as JSON.
"""

from __future__ import annotations

import sys
from dataclasses import replace

from tests.support.built import Deed, creating, deleting, paying
from tests.support.stage import Stage
from tests.support.tables import failing, stubborn
from tests.support.torture import GONE, Torture, Trial, main, of_all_versions
from tests.support.verdict import judge
from vmctl.sagas import CLEANUP, CREATE, DELETE
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work

WHOLE = "whole"


def elsewhere(step: str) -> Saga[Work]:
    """Have that step fail on the first host."""
    return failing(CREATE, step, acts=True, on="kvm1")


def as_is(deed: Deed) -> Deed:
    return deed


CREATING = Trial(
    name="create",
    saga=CREATE,
    by=creating,
    template="empty",
    undone=(GONE,),
    after=WHOLE,
    sample=150,
)
BROKEN = replace(CREATING, sample=30, sure=False, derived=False)
TRIALS = of_all_versions(
    CREATING,
    replace(BROKEN, name="create, elsewhere", saga=elsewhere("seed")),
    replace(BROKEN, name="create, undone", saga=failing(CREATE, "autostart", acts=True)),
    Trial(
        name="delete",
        saga=DELETE,
        by=deleting,
        template="made",
        undone=(WHOLE,),
        after=GONE,
        sample=40,
    ),
    Trial(
        name="cleanup",
        saga=CLEANUP,
        by=paying,
        template="owed",
        undone=(WHOLE,),
        after=WHOLE,
        sample=30,
    ),
)


class CreateTorture(Torture):
    """A server that is made, deleted, and cleaned up behind."""

    trials = TRIALS

    def templates(self) -> None:
        self.make("made", "empty", creating())
        every = [one.name for one in CREATE.steps if one.undo]
        debris = stubborn(failing(CREATE, "start", acts=False, on="kvm1"), every)
        # Its start is never begun: the next host has it, and the first one has all the rest.
        self.make("owed", "empty", creating(debris))

    def plan(self) -> None:
        super().plan()
        for step in CREATE.steps:
            for acts in (False, True):
                begun = step.name == "autostart" or (acts and step.name == "start")
                self.add(
                    f"create, {step.name} failing on the first host",
                    CREATING,
                    creating(failing(CREATE, step.name, acts=acts, on="kvm1")),
                    (GONE,) if begun else (WHOLE,),
                )

    def judge(self, stage: Stage, template: str) -> str:
        del template
        return judge(stage, self.pristine)


if __name__ == "__main__":
    main(CreateTorture, *sys.argv[1:])
