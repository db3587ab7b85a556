"""A server on hosts that are folders, looked at before anything is done to it."""

from __future__ import annotations

from tests.support.stage import SPEC, Stage
from vmctl.domain.record import Power, Server, ServerState
from vmctl.domain.server_line import line_of, status_of, word_of
from vmctl.services.believing import now

HOSTS = ("kvm1", "kvm2", "kvm3")


def look(stage: Stage) -> Server:
    stage.fleet.sleep(1)
    return now(stage.recovery, stage.sql.server(SPEC.id))


def on_record(stage: Stage) -> tuple[str, str | None, ServerState, Power]:
    server = stage.sql.server(SPEC.id)
    return server.name, server.host, server.state, server.power


def told(stage: Stage) -> list[tuple[object, object, object]]:
    events = stage.sql.events(server=SPEC.id)
    seen = [one.detail for one in events if one.action == "server-refresh"]
    return [(one["what"], one["before"], one["after"]) for one in seen]


def status(stage: Stage) -> str:
    server = stage.sql.server(SPEC.id)
    words = {one.name: word_of(one) for one in stage.sql.hosts()}
    return status_of(line_of(server), words)
