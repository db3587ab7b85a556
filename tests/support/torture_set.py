"""The torture of a change of what is said of a server: all of it is there, or none.

`python -m tests.support.torture_set FOLDER [all]` prints its figures as JSON.
"""

from __future__ import annotations

import contextlib
import copy
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tests.support.built import Deed, creating, on_site, paying
from tests.support.changed import do, server
from tests.support.stage import SPEC, Stage, copy_stage
from tests.support.torture import Torture, Trial, main, of_all_versions
from tests.support.torture_power import failed
from tests.support.trying import RESUME
from tests.support.verdict import LATE, assert_over, judge, seen_again
from vmctl.domain import deed
from vmctl.domain.edits import Edits
from vmctl.domain.spec import Secrets
from vmctl.errors import VmctlError
from vmctl.sagas import power
from vmctl.sagas.saga import Saga
from vmctl.sagas.setting import PASSWORD, SET
from vmctl.sagas.work import Work
from vmctl.services.acting import Errand, act
from vmctl.services.setting import planned, set_server

TOLD = Edits(name="shop", description="the shop", tags=("new",), properties={"tier": "2"})
ALL = replace(TOLD, hostname="shop", autostart=False)

Ideal = tuple[dict[str, dict[str, Any]], dict[str, object]]


def changing(saga: Saga[Work] = SET) -> Deed:
    """Change all that can be changed, by this workflow."""

    def change(stage: Stage) -> None:
        plan = planned(stage.sql, server(stage), ALL)
        errand = Errand(deed=deed.SET, saga=saga, params=plan.params, check=stage.check)
        act(stage.recovery, server(stage), errand)

    return tolerant(change)


def telling(stage: Stage) -> None:
    """Say something else of the server, whether its host answers or not."""
    set_server(stage.recovery, planned(stage.sql, server(stage), TOLD))


pay = paying()


def tolerant(change: Deed) -> Deed:
    """Have a failure be what it is to an operator: told, and over with."""

    def told(stage: Stage) -> None:
        with contextlib.suppress(VmctlError):
            change(stage)

    return told


def giving(saga: Saga[Work] = PASSWORD) -> Deed:
    """Give the guest another password, by this workflow."""

    def give(stage: Stage) -> None:
        errand = Errand(
            deed=deed.SET_PASSWORD,
            saga=saga,
            params={"user": "root"},
            secrets=Secrets(password_hash="$6$salt$hash"),  # noqa: S106 - a test's
            check=stage.check,
        )
        act(stage.recovery, server(stage), errand)

    return tolerant(give)


def up(stage: Stage) -> None:
    """Have the hosts answer again."""
    for name in stage.hosts:
        stage.fleet.set_down(name, down=False)


def look(stage: Stage) -> Ideal:
    """See all that is on the hosts, and what is on record of the server."""
    hosts = {}
    for name in stage.hosts:
        with stage.fleet.state(name, always=True) as state:
            hosts[name] = copy.deepcopy(state)
        for machine in hosts[name]["machines"].values():
            machine.pop("passwords", None)
    held = server(stage)
    record: dict[str, object] = {
        "name": held.name,
        "spec": held.spec,
        "state": held.state,
        "task": held.task,
        "fault": held.fault,
        "domain": [one.plan["name"] for one in stage.sql.attempts(SPEC.id)],
    }
    return hosts, record


def _trial(name: str, saga: Saga[Work], by: Callable[[Saga[Work]], Deed], **how: Any) -> Trial:
    return Trial(name=name, saga=saga, by=by, **{"undone": ("old",), "after": "new", **how})


TRIALS = of_all_versions(
    _trial("change runs", SET, changing, template="runs", sample=20),
    _trial("change off", SET, changing, template="off", sample=60),
    _trial("change failed", SET, changing, template="failed"),
    _trial(
        "tell later",
        SET,
        lambda _: telling,
        template="far",
        undone=("old", "new"),
        sure=False,
        derived=False,
    ),
    _trial("pay", SET, lambda _: pay, template="owed", undone=("new",), derived=False),
    _trial("password", PASSWORD, giving, template="guest", after="old"),
)


class SetTorture(Torture):
    """Servers that are changed: one that runs, one that is off, one in ERROR, one out of reach."""

    trials = TRIALS

    def templates(self) -> None:
        self.make("made", "empty", creating())
        self.ideals: dict[str, list[Ideal]] = {"old": [], "new": []}
        self.begin("runs", lambda _: None, changing())
        self.begin("off", lambda stage: do(stage, deed.STOP, power.STOP), changing())
        self.begin("failed", failed, changing())
        self.begin("guest", _with_agent, giving())
        self.begin("far", lambda stage: stage.fleet.set_down("kvm1", down=True), telling)
        self.make("owed", "far", _then(telling, up))

    def begin(self, name: str, prepare: Deed, deed: Deed) -> None:
        """Make a stage to begin on, and see what it is like before and after."""
        with on_site(copy_stage(self.folder / "made", self.folder / name)) as stage:
            stage.fleet.sleep(time.time() + LATE)
            prepare(stage)
        for end, then in (("old", ()), ("new", (deed,))):
            with on_site(copy_stage(self.folder / name, self.folder / "x")) as stage:
                for one in (*then, up, RESUME):
                    one(stage)
                self.ideals[end].append(look(stage))

    def judge(self, stage: Stage, template: str) -> str:
        del template
        if server(stage).deleted is not None:
            return judge(stage, self.pristine)
        assert_over(stage)
        seen_again(stage)
        found = look(stage)
        for end, ideals in self.ideals.items():
            if found in ideals:
                return end
        wrong = [told for ideals in self.ideals.values() for told in (_apart(found, ideals),)]
        raise AssertionError(f"neither old nor new: {' OR '.join(wrong)}")


def _apart(found: Ideal, ideals: Sequence[Ideal]) -> str:
    """Say in what a world differs from the ideal that is nearest."""
    (hosts, record), told = found, []
    for ideal_hosts, ideal in ideals:
        words = [f"{key}: {record[key]}" for key in record if record[key] != ideal[key]]
        for name in hosts:
            machine = hosts[name]["machines"].get(SPEC.id, {})
            wanted = ideal_hosts[name]["machines"].get(SPEC.id, {})
            words += [
                f"{name} {key}: {machine.get(key)}"
                for key in {*machine, *wanted}
                if machine.get(key) != wanted.get(key)
            ]
            words += [
                f"{name} {key}"
                for key in hosts[name]
                if key != "machines" and hosts[name][key] != ideal_hosts[name][key]
            ]
        told.append("; ".join(words)[:3000])
    return min(told, key=len)


def _then(*deeds: Deed) -> Deed:
    def each(stage: Stage) -> None:
        for one in deeds:
            one(stage)

    return each


def _with_agent(stage: Stage) -> None:
    with stage.fleet.state("kvm1") as state:
        machine = state["machines"][SPEC.id]
        channel = "<channel type='unix'><target name='org.qemu.guest_agent.0'/></channel>"
        machine["xml"] = machine["xml"].replace("</devices>", f"{channel}</devices>")
        machine["agent"] = "answers"


if __name__ == "__main__":
    main(SetTorture, *sys.argv[1:])
