"""A server on the stage whose record is changed, and what then is where."""

from __future__ import annotations

from tests.support.stage import SPEC, Stage
from vmctl.domain import deed
from vmctl.domain.deed import Deed
from vmctl.domain.edits import Edits
from vmctl.domain.operation import OperationState
from vmctl.domain.plain import from_plain
from vmctl.domain.record import Server
from vmctl.domain.server_record import ServerRecord, from_xml
from vmctl.domain.spec import ServerSpec
from vmctl.sagas import power
from vmctl.sagas.saga import Saga
from vmctl.sagas.work import Work
from vmctl.services.acting import Errand, act
from vmctl.services.setting import Edited, planned, set_server

TELLING = Edits(description="the shop", tags=("new",), properties={"tier": "2"})


def server(stage: Stage) -> Server:
    return stage.sql.server(SPEC.id)


def spec(stage: Stage) -> ServerSpec:
    return from_plain(ServerSpec, server(stage).spec)


def change(stage: Stage, edits: Edits) -> Edited:
    return set_server(stage.recovery, planned(stage.sql, server(stage), edits))


def do(stage: Stage, what: Deed, saga: Saga[Work]) -> None:
    act(stage.recovery, server(stage), Errand(deed=what, saga=saga))


def stop(stage: Stage) -> None:
    do(stage, deed.STOP, power.STOP)


def on_host(stage: Stage) -> ServerRecord:
    machine = stage.fleet.on(stage.hosts["kvm1"]).machine(SPEC.id)
    assert machine is not None
    return from_xml(machine.record or "")


def domain(stage: Stage) -> str:
    machine = stage.fleet.on(stage.hosts["kvm1"]).machine(SPEC.id)
    assert machine is not None
    return machine.name


def planned_domain(stage: Stage) -> object:
    return stage.sql.attempts(SPEC.id)[-1].plan["name"]


def known_as(stage: Stage) -> str:
    (name,) = {
        name
        for mac, (_, name) in stage.fleet.picture("kvm1")["networks"]["default"]["promises"].items()
        if mac != "52:54:00:ff:ff:ff"
    }
    return str(name)


def unfinished(stage: Stage) -> list[OperationState]:
    return [one.state for one in stage.sql.operations(unfinished=True)]
