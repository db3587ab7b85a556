"""The torture of rescue, its end, and rebuild: a server is what it was, or what was asked.

`python -m tests.support.torture_rebuild FOLDER [all]` prints its figures as JSON. What a server was
before and what it is after a deed that nothing befalls are pictures of the whole world: hosts,
volumes with what is in them, and the record. After every case the world must look like one of them.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tests.support import by_hand
from tests.support.built import INVENTORY, Deed, creating, deleting, on_site
from tests.support.stage import SPEC, Stage
from tests.support.tables import failing
from tests.support.torture import GONE, Torture, Trial, main, of_all_versions
from tests.support.torture_power import NOW, failed
from tests.support.verdict import assert_over, seen_again, without_bases
from vmctl.domain import deed as deeds
from vmctl.domain.catalog import Image
from vmctl.domain.record import Server
from vmctl.errors import NotFound, VmctlError
from vmctl.sagas import DELETE
from vmctl.sagas.exchange import REBUILD, RESCUE, UNRESCUE
from vmctl.sagas.power import REBOOT_HARD, STOP
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.scheduler.policy import Policy
from vmctl.services.acting import Errand, act
from vmctl.services.believing import now
from vmctl.services.exchanging import Rebuilder, to_rescue, to_unrescue
from vmctl.services.judging import Judge
from vmctl.services.makeover import Changes, makeover_of
from vmctl.services.wish import Wish

PATIENT = {"patience": 60}
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
            act(stage.recovery, stage.sql.server(SPEC.id), replace(errand, check=stage.check))

    return deed


def stopping(stage: Stage) -> None:
    """Stop the server."""
    doing(Errand(deed=deeds.STOP, saga=STOP))(stage)


def losing(stage: Stage) -> None:
    """Have somebody undefine its domain, and see that it is gone."""
    stage.fleet.sleep(1)
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    by_hand.undefine(stage.fleet, "kvm1", SPEC.id)
    now(stage.recovery, stage.sql.server(SPEC.id))


def making(stage: Stage) -> None:
    """Create a server whose disk has been written to."""
    creating()(stage)
    stage.fleet.sleep(NOW)
    with stage.fleet.state("kvm1") as state:
        state["pools"]["default"]["volumes"][f"{SPEC.id}-root"]["content"] = "bXkgZGF0YQ=="


# What it is like then


def picture(stage: Stage) -> dict[str, Any]:
    """See all that is on the hosts and on record of the server, without times and counters."""
    assert_over(stage)
    seen_again(stage)
    held = next((one for one in stage.sql.servers() if one.id == SPEC.id), None)
    found = {
        "hosts": on_hosts(stage),
        "server": None if held is None else seen(held),
        "plans": [one.plan for one in stage.sql.attempts(SPEC.id) if one.claims],
        "addresses": sorted(stage.sql.addresses("lan") | stage.sql.addresses("nat@kvm1")),
    }
    text = json.dumps(found, sort_keys=True)
    plain: dict[str, Any] = json.loads(re.sub(r'\\*"generation\\*": ?\d+,', "", text))
    return plain


def on_hosts(stage: Stage) -> dict[str, Any]:
    hosts = {}
    for name in stage.hosts:
        with stage.fleet.state(name, always=True) as state:
            hosts[name] = without_bases(state)
        for machine in hosts[name]["machines"].values():
            machine.update({key: machine.get(key, False) for key in ("paused", "saved")})
            if not machine["on"]:
                machine.pop("live", None)  # how it was when it ran last: nobody can ask for that
    return hosts


def seen(server: Server) -> list[object]:
    """Give what is on record of a server."""
    what = (server.name, server.state.value, server.task, server.power.value, server.fault)
    return [*what, server.host, server.spec]


# What is tried

ERROR, LOST = "failed", "lost"


def _trial(
    name: str,
    saga: Saga[Work],
    by: Callable[[Saga[Work]], Deed],
    ends: tuple[str, str],
    *amid: str,
    sample: int = 10,
) -> Trial:
    before, after = ends
    return Trial(
        name=name,
        saga=saga,
        by=by,
        template=before,
        undone=(before, *amid),
        after=after,
        sample=sample,
    )


def hard(saga: Saga[Work] = REBOOT_HARD) -> Deed:
    """Reboot it hard by this workflow."""
    return doing(Errand(deed=deeds.REBOOT_HARD, saga=saga))


TRIALS = of_all_versions(
    _trial("rescue", RESCUE, rescuing, ("made", "rescued"), sample=30),
    _trial("rescue of one that is off", RESCUE, rescuing, ("off", "rescued")),
    _trial("rescue from ERROR", RESCUE, rescuing, (ERROR, "rescued")),
    _trial("unrescue", UNRESCUE, unrescuing, ("rescued", "made"), sample=30),
    _trial("rebuild", REBUILD, rebuilding, ("made", "rebuilt"), sample=50),
    _trial("rebuild of one that is off", REBUILD, rebuilding, ("off", "rebuilt off")),
    _trial("rebuild from ERROR", REBUILD, rebuilding, (ERROR, "rebuilt")),
    _trial("rebuild of one that is gone", REBUILD, rebuilding, (LOST, "rebuilt"), "off"),
    _trial(
        "hard reboot of one that is gone",
        REBOOT_HARD,
        hard,
        (LOST, "made"),
        *("off", "made"),  # nothing is undone by force: it is then what it is seen to be
    ),
    _trial("delete", DELETE, deleting, ("made", GONE), sample=8),
    _trial("delete of one that is rescued", DELETE, deleting, ("rescued", GONE), sample=8),
    _trial("delete of one that is gone", DELETE, deleting, (LOST, GONE), sample=8),
)


class Exchanges(Torture):
    """Rescue, unrescue and rebuild, of a server that runs, is off, in ERROR, or undefined."""

    trials = TRIALS

    def templates(self) -> None:
        every = (
            ("made", "empty", making),
            ("off", "made", stopping),
            (ERROR, "made", failed),
            (LOST, "made", losing),
            (GONE, "made", deleting()),
            ("rescued", "made", rescuing()),
            ("unrescued", "rescued", unrescuing()),
            ("rebuilt", "made", rebuilding()),
            ("rebuilt off", "off", rebuilding()),
            ("rebuilt anew", LOST, rebuilding()),
            ("run again", LOST, hard()),
            ("defined again", LOST, hard(failing(REBOOT_HARD, "run", acts=False))),
        )
        self.ideals = {}
        for name, source, deed in every:
            self.make(name, source, deed)
            with on_site(self.folder / name) as stage:
                self.ideals[name] = picture(stage)
        same = (
            ("unrescued", "made"),
            ("run again", "made"),
            ("defined again", "off"),
            ("rebuilt anew", "rebuilt"),
        )
        for one, other in same:
            assert self.ideals[one] == self.ideals[other], one
        with on_site(self.folder / "empty") as stage:
            assert self.ideals[GONE]["hosts"] == on_hosts(stage)
        different = {json.dumps(one, sort_keys=True) for one in self.ideals.values()}
        assert len(different) == len(self.ideals) - len(same)

    def judge(self, stage: Stage, template: str) -> str:
        del template
        found = picture(stage)
        like = [name for name, ideal in self.ideals.items() if ideal == found]
        assert like, self.difference(found)
        return like[0]

    def fits(self, end: str, ends: Sequence[str]) -> bool:
        """Whether it is one of these: what was done from another beginning may end the same."""
        if end not in self.ideals:
            return False
        return any(self.ideals[one] == self.ideals[end] for one in ends)

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


if __name__ == "__main__":
    main(Exchanges, *sys.argv[1:])
