"""The same for rescue, its end, and rebuild: a server is wholly what it was, or what was asked.

`python -m tests.support.torture_rebuild FOLDER [all]`. What a server was before and what it is
after a deed that nothing befalls are pictures of the whole world: hosts, volumes with what is in
them, and the record. After every case the world must look like one of them.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.support.stage import NETWORKS, SPEC, Stage, create, on_stage
from tests.support.striking import Deed
from tests.support.torture import (
    RECOVERIES,
    RESUME,
    Torture,
    doubled,
    failing,
    stubborn,
)
from tests.support.verdict import assert_over, without_bases
from vmctl.domain import deed as deeds
from vmctl.domain.catalog import Image
from vmctl.domain.inventory import Inventory
from vmctl.domain.record import Server
from vmctl.errors import NotFound, VmctlError
from vmctl.sagas.exchange import REBUILD, RESCUE, UNRESCUE
from vmctl.sagas.power import STOP
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.scheduler.policy import Policy
from vmctl.services.acting import Errand, act
from vmctl.services.delete import delete_server
from vmctl.services.exchanging import Rebuilder, to_rescue, to_unrescue
from vmctl.services.judging import Judge
from vmctl.services.makeover import Changes, makeover_of
from vmctl.services.wish import Wish

NOW = 4e9
"""Later than whatever the record says by this machine's own clock."""

PATIENT = {"patience": 60}
INVENTORY = Inventory(path="", networks=NETWORKS)
OTHER = Image(
    id="2",
    name="other",
    status="active",
    checksum="cd" * 32,
    format="qcow2",
    size=20_000_000,
    virtual_size=128 * 2**20,
)
WISH = Wish(name="renamed", flavor="", image="other", hostname="renamed", password="new")  # noqa: S106 - a test's


class Known:
    """A catalog with one image."""

    def image(self, word: str) -> Image:
        if word != OTHER.name:
            raise NotFound(word)
        return OTHER


# What is done


def rescuing(saga: Saga[Work] = RESCUE) -> Deed:
    """Rescue by this workflow with another image and a password."""

    def deed(stage: Stage) -> None:
        ready = to_rescue(INVENTORY, OTHER.use, "$6$salt$hash")
        doing(Errand(deed=deeds.RESCUE, saga=saga, params=PATIENT, ready=ready))(stage)

    return deed


def unrescuing(saga: Saga[Work] = UNRESCUE) -> Deed:
    """End a rescue by this workflow."""

    def deed(stage: Stage) -> None:
        ready = to_unrescue(INVENTORY)
        doing(Errand(deed=deeds.UNRESCUE, saga=saga, params=PATIENT, ready=ready))(stage)

    return deed


def rebuilding(saga: Saga[Work] = REBUILD) -> Deed:
    """Rebuild by this workflow with another image, name, host name and password."""

    def deed(stage: Stage) -> None:
        rebuilder = Rebuilder(
            world=stage.world,
            inventory=INVENTORY,
            judge=Judge(INVENTORY, Policy(), stage.fleet.now),
            makeover=makeover_of(Changes(wish=WISH, rename=True), Known()),  # type: ignore[arg-type]  # nothing else is asked
        )
        ready = rebuilder.ready
        doing(Errand(deed=deeds.REBUILD, saga=saga, params=PATIENT, ready=ready))(stage)

    return deed


def doing(errand: Errand) -> Deed:
    """Do it to the server; that it fails is told by what the world is like then."""

    def deed(stage: Stage) -> None:
        with contextlib.suppress(VmctlError):
            act(stage.recovery, stage.sql.server(SPEC.id), errand)

    return deed


def stopping(stage: Stage) -> None:
    """Stop the server."""
    doing(Errand(deed=deeds.STOP, saga=STOP))(stage)


def deleting(stage: Stage) -> None:
    """Delete the server, whatever died at work on it."""
    server = stage.sql.server(SPEC.id)
    if server.deleted is None:
        with contextlib.suppress(VmctlError):
            delete_server(stage.recovery, server)


def making(stage: Stage) -> None:
    """Create a server whose disk has been written to."""
    stage.fleet.sleep(NOW)
    create(stage, spec=replace(SPEC, has_user_data=True))
    with stage.fleet.state("kvm1") as state:
        state["pools"]["default"]["volumes"][f"{SPEC.id}-root"]["content"] = "bXkgZGF0YQ=="


# What it is like then


def picture(stage: Stage) -> dict[str, Any]:
    """See all that is on the hosts and on record of the server, without times and counters."""
    hosts = {}
    for name in stage.hosts:
        with stage.fleet.state(name, always=True) as state:
            hosts[name] = without_bases(state)
        for machine in hosts[name]["machines"].values():
            if not machine["on"]:
                machine.pop("live", None)  # how it was when it ran last: nobody can ask for that
    server = next((one for one in stage.sql.servers() if one.id == SPEC.id), None)
    found = {
        "hosts": hosts,
        "server": None if server is None else seen(server),
        "plans": [one.plan for one in stage.sql.attempts(SPEC.id) if one.claims],
        "addresses": sorted(stage.sql.addresses("lan") | stage.sql.addresses("nat@kvm1")),
    }
    text = json.dumps(found, sort_keys=True)
    plain: dict[str, Any] = json.loads(re.sub(r'\\*"generation\\*": ?\d+,', "", text))
    return plain


def seen(server: Server) -> list[object]:
    """Give what is on record of a server."""
    what = (server.name, server.state.value, server.task, server.power.value, server.fault)
    return [*what, server.host, server.spec]


# What is tried


class Exchanges(Torture):
    """Rescue, unrescue and rebuild, of a server that runs and of one that is off."""

    recoveries = (*RECOVERIES, ("delete", deleting))

    def templates(self) -> None:
        super().templates()
        every = (
            ("made", "empty", making),
            ("off", "made", stopping),
            ("gone", "made", deleting),
            ("rescued", "made", rescuing()),
            ("unrescued", "rescued", unrescuing()),
            ("rebuilt", "made", rebuilding()),
            ("rebuilt off", "off", rebuilding()),
        )
        self.ideals = {}
        for name, source, deed in every:
            self.make(name, source, deed)
            with on_stage(self.folder / name) as stage:
                assert_over(stage)
                self.ideals[name] = picture(stage)
        assert self.ideals["unrescued"] == self.ideals["made"]
        assert self.ideals["gone"]["hosts"] == self.ideals_of("empty")["hosts"]
        different = {json.dumps(one, sort_keys=True) for one in self.ideals.values()}
        assert len(different) == len(self.ideals) - 1

    def ideals_of(self, name: str) -> dict[str, Any]:
        with on_stage(self.folder / name) as stage:
            return picture(stage)

    def plan(self) -> None:
        rounds = (
            ("rescue", "made", RESCUE, rescuing, "rescued", 40),
            ("rescue", "off", RESCUE, rescuing, "rescued", 10),
            ("unrescue", "rescued", UNRESCUE, unrescuing, "made", 40),
            ("rebuild", "made", REBUILD, rebuilding, "rebuilt", 60),
            ("rebuild", "off", REBUILD, rebuilding, "rebuilt off", 15),
        )
        for name, source, _, deed, after, sample in rounds:
            ends = (source, after, "gone")
            self.strike_all(name, source, deed(), ends=ends, resumed=after, sample=sample)
        for name, source, saga, deed, after, _ in rounds:
            pivot = next((at for at, one in enumerate(saga.steps) if one.pivot), len(saga.steps))
            for at, step in enumerate(saga.steps):
                end = source if at < pivot else after
                for acts in (False, True):
                    broken = deed(failing(saga, step.name, acts=acts))
                    what = f"{name} failing at {step.name}"
                    self.add(what, source, broken, RESUME, ends=(end,))
                    if acts and source != "off":
                        self.add(f"{what}, deleted", source, broken, deleting, ends=("gone",))
                if step.undo:
                    last = saga.steps[pivot - 1].name
                    broken = deed(stubborn(failing(saga, last, acts=True), [step.name]))
                    what = f"{name}, undo failing at {step.name}"
                    self.add(what, source, broken, RESUME, ends=(source,))
                    if source != "off":
                        self.add(f"{what}, deleted", source, broken, deleting, ends=("gone",))
            self.add(f"{name}, all twice", source, deed(doubled(saga)), ends=(after,))
            undone = doubled(failing(saga, saga.steps[pivot - 1].name, acts=True))
            self.add(f"{name}, undone twice", source, deed(undone), ends=(source,))
        for source in ("made", "rescued"):
            self.strike_all(
                f"delete of {source}", source, deleting, ends=(source, "gone"), sample=10
            )

    def end(self, folder: Path, deeds: Sequence[Deed]) -> str:
        with on_stage(folder) as stage:
            for deed in deeds:
                deed(stage)
            assert_over(stage)
            found = picture(stage)
        like = [name for name, ideal in self.ideals.items() if ideal == found]
        assert like, self.difference(found)
        return like[0]

    def difference(self, found: dict[str, Any]) -> str:
        """Say how it differs from the picture that it is most like."""
        best = min(
            (list(differences(ideal, found, name)) for name, ideal in self.ideals.items()),
            key=len,
        )
        return "; ".join(best)


def differences(wanted: Any, found: Any, where: str) -> list[str]:
    """Say where two pictures differ."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            one
            for key in sorted({*wanted, *found})
            for one in differences(wanted.get(key), found.get(key), f"{where}/{key}")
        ]
    return [] if wanted == found else [f"{where}: {found!r:.600}, not {wanted!r:.600}"]


def main(folder: str, everything: str = "") -> None:
    torture = Exchanges(Path(folder), everything=bool(everything))
    torture.plan()
    sys.stdout.write(json.dumps(torture.run(), indent=1) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
