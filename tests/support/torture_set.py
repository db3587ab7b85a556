"""Kill and break a change of what is said of a server at every moment: all of it is there, or none.

`python -m tests.support.torture_set FOLDER [all]`, as `tests.support.torture`.
"""

from __future__ import annotations

import contextlib
import copy
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.changed import do, server
from tests.support.stage import SPEC, Stage, copy_stage, on_stage
from tests.support.striking import Deed
from tests.support.torture import (
    RESUME,
    Torture,
    doubled,
    failing,
    pay,
    stubborn,
)
from tests.support.verdict import LATE
from vmctl.adapters.schema import secrets
from vmctl.domain import deed
from vmctl.domain.edits import Edits
from vmctl.errors import VmctlError
from vmctl.sagas import power
from vmctl.sagas.saga import Saga
from vmctl.sagas.setting import PASSWORD, SET
from vmctl.sagas.work import Work
from vmctl.services.acting import Errand, act
from vmctl.services.recovery import orphans
from vmctl.services.setting import planned, set_password, set_server

TOLD = Edits(name="shop", description="the shop", tags=("new",), properties={"tier": "2"})
ALL = replace(TOLD, hostname="shop", autostart=False)
ENDS = ("old", "new")

Ideal = tuple[dict[str, dict[str, Any]], dict[str, object]]


def changing(saga: Saga[Work] = SET) -> Deed:
    """Change all that can be changed, by this workflow."""

    def change(stage: Stage) -> None:
        plan = planned(stage.sql, server(stage), ALL)
        errand = Errand(deed=deed.SET, saga=saga, params=plan.params)
        act(stage.recovery, server(stage), errand)

    return tolerant(change)


def telling(stage: Stage) -> None:
    """Say something else of the server, whether its host answers or not."""
    set_server(stage.recovery, planned(stage.sql, server(stage), TOLD))


def password(stage: Stage) -> None:
    """Give the guest another password."""
    set_password(stage.recovery, server(stage), "secret1")


def tolerant(change: Deed) -> Deed:
    """Have a failure be what it is to an operator: told, and over with."""

    def told(stage: Stage) -> None:
        with contextlib.suppress(VmctlError):
            change(stage)

    return told


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


class SetTorture(Torture):
    """The cases of servers that are changed: one that runs, one that is off, one out of reach."""

    def templates(self) -> None:
        super().templates()
        self.ideals: dict[str, list[Ideal]] = {"old": [], "new": []}
        self.begin("runs", lambda _: None, changing())
        self.begin("off", lambda stage: do(stage, deed.STOP, power.STOP), changing())
        self.begin("guest", _with_agent, password)
        self.begin("far", lambda stage: stage.fleet.set_down("kvm1", down=True), telling, up)

    def begin(self, name: str, prepare: Callable[[Stage], object], *deeds: Deed) -> None:
        """Make a stage to begin on, and see what it is like before and after."""
        with on_stage(copy_stage(self.folder / "made", self.folder / name)) as stage:
            stage.fleet.sleep(time.time() + LATE)
            prepare(stage)
        for end, then in (("old", ()), ("new", deeds)):
            with on_stage(copy_stage(self.folder / name, self.folder / "x")) as stage:
                for one in (*then, up, RESUME):
                    one(stage)
                stage.fleet.sleep(LATE)
                self.ideals[end].append(look(stage))

    def plan(self) -> None:
        for name, sample in (("runs", 20), ("off", 0)):
            case = f"change {name}"
            self.strike_all(case, name, changing(), ends=ENDS, resumed="new", sample=sample)
            for step in SET.steps:
                for acts in (False, True):
                    saga = failing(SET, step.name, acts=acts)
                    case = f"{name}, failing at {step.name}"
                    self.add(case, name, changing(saga), ends=("old",))
                saga = stubborn(failing(SET, "autostart", acts=True), [step.name])
                case = f"{name}, undo failing at {step.name}"
                self.add(case, name, changing(saga), RESUME, ends=("old",))
            self.add(f"{name}, all twice", name, changing(doubled(SET)), ends=("new",))
            undone = doubled(failing(SET, "autostart", acts=True))
            self.add(f"{name}, undone twice", name, changing(undone), ends=("old",))
        self.strike_all("tell later", "far", _then(telling, up), ends=ENDS)
        self.make("owed", "far", _then(telling, up))
        self.strike_all("pay", "owed", pay, ends=("new",), resumed="new")
        self.strike_all("password", "guest", tolerant(password), ends=("old",))
        for acts in (False, True):
            failed = _password_by(failing(PASSWORD, "password", acts=acts))
            self.add("password, failing", "guest", failed, ends=("old",))
        self.cases = [
            one if set(one.ends) <= set(ENDS) else replace(one, ends=ENDS) for one in self.cases
        ]

    def end(self, folder: Path, deeds: Sequence[Deed]) -> str:
        with on_stage(folder) as stage:
            for one in (*deeds, up, RESUME):
                one(stage)
            stage.fleet.sleep(LATE)
            assert stage.sql.operations(unfinished=True) == (), "an operation is not over"
            assert orphans(stage.sql, stage.world.leases) == ()
            with stage.sql.reading() as tx:
                assert not tx.connection.execute(secrets.select()).all(), "secrets are left"
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


def _password_by(saga: Saga[Work]) -> Deed:
    def give(stage: Stage) -> None:
        errand = Errand(deed=deed.SET_PASSWORD, saga=saga, params={"user": "root"})
        act(stage.recovery, server(stage), errand)

    return tolerant(give)


def main(folder: str, everything: str = "") -> None:
    torture = SetTorture(Path(folder), everything=bool(everything))
    torture.plan()
    sys.stdout.write(json.dumps(torture.run(), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
