"""The world compared with the ideal: a server is whole, or nothing of it is anywhere."""

from __future__ import annotations

import base64
import copy
import re
from pathlib import Path
from typing import Any

from tests.support.built import USER_DATA
from tests.support.fake_effects import POOL
from tests.support.fake_host import FakeFleet
from tests.support.plain_renderer import PlainRenderer
from tests.support.stage import NETWORKS, SPEC, Stage
from vmctl.adapters.schema import secrets
from vmctl.adapters.server_record import find_record
from vmctl.domain.build import READY_SUFFIX, Build
from vmctl.domain.plain import from_plain
from vmctl.domain.record import UNSEEN, AttemptState, Power, Server, ServerState, shown_status
from vmctl.domain.sample import BASE_IMAGE_PREFIX
from vmctl.domain.server_record import made_by
from vmctl.domain.spec import Secrets, ServerSpec
from vmctl.services.believing import now
from vmctl.services.recovery import orphans

LATE = 60.0
"""Seconds that are let pass first: what was in flight has landed by then."""


def judge(stage: Stage, pristine: dict[str, dict[str, Any]]) -> str:
    """Say whether the server is whole or gone; AssertionError names whatever is neither."""
    assert_over(stage)
    found = [one for one in stage.sql.servers(deleted=True) if one.id == SPEC.id]
    server = found[0] if found else None
    whole = server is not None and server.state is ServerState.ACTIVE
    live = [one for one in stage.sql.attempts(SPEC.id) if one.state is not AttemptState.RELEASED]
    for name in stage.hosts:
        here = whole and server is not None and server.host == name
        with stage.fleet.state(name, always=True) as state:
            left = without_bases(state)
        if here and server is not None and live:
            build = from_plain(Build, live[-1].plan)
            take_out(left, server, build, stage.sql.uuid())
        assert left == pristine[name], difference(name, left, pristine[name])
    claims = stage.sql.claims()
    held = [one for scope in ("nat@kvm1", "nat@kvm2", "lan") for one in stage.sql.addresses(scope)]
    assert len(live) == len(claims) == int(whole), f"{live} {claims}"
    assert len(held) == (2 if whole else 0), f"addresses held: {held}"
    if server is not None and not whole:
        assert server.state in {ServerState.ERROR, ServerState.DELETED}, server.state
        assert server.fault or server.state is ServerState.DELETED, "an error without a fault"
    return "whole" if whole else "gone"


def assert_over(stage: Stage) -> None:
    """See to it that all is over, and that nobody is at anything."""
    stage.fleet.sleep(LATE)
    assert stage.sql.operations(unfinished=True) == (), "an operation is not over"
    assert orphans(stage.sql, stage.world.leases) == ()
    for lease in (stage.folder / "leases").glob("*"):
        assert stage.world.leases.is_dead(lease.stem), f"{lease} is held"
    with stage.sql.reading() as tx:
        assert not tx.connection.execute(secrets.select()).all(), "secrets are left"


def judge_standing(stage: Stage, before: dict[str, dict[str, Any]]) -> str:
    """Say what the server is shown as; AssertionError if its machine is not that.

    Nothing else may be another than it was before.
    """
    assert_over(stage)
    server = seen_again(stage)
    assert server.task is None, f"the task {server.task} is left"
    status = shown_status(server.state, server.task)
    assert server.fault is None or status == "ERROR", server.fault
    machine = stage.fleet.picture(server.host or "")["machines"][SPEC.id]
    is_on, is_paused, is_saved = (bool(machine.get(key)) for key in ("on", "paused", "saved"))
    seen = STATUS.get((is_on, is_paused, is_saved), "no state at all")
    assert status in (seen, "ERROR"), f"shown as {status}, and its machine is {seen}"
    powers = {"ACTIVE": Power.RUNNING, "PAUSED": Power.PAUSED}
    assert server.power is powers.get(seen, Power.SHUTDOWN), server.power
    for name in stage.hosts:
        left, then = stage.fleet.picture(name), copy.deepcopy(before[name])
        for state in (left, then):
            lying(state["machines"].get(SPEC.id, {}))
        assert left == then, difference(name, left, then)
    live = [one for one in stage.sql.attempts(SPEC.id) if one.state is not AttemptState.RELEASED]
    assert len(live) == len(stage.sql.claims()) == 1
    called = live[0].plan["name"]
    assert machine["name"] == called, f"its domain is {machine['name']}, on record {called}"
    return status


def lying(machine: dict[str, Any]) -> None:
    """Leave of a machine what it has whether it runs or not, by whatever name."""
    for key in ("on", "paused", "saved", "saving", "ending", "name"):
        machine.pop(key, None)
    for key in {"xml", "live"} & set(machine):
        machine[key] = re.sub("<name>.*?</name>", "", machine[key])
        machine[key] = re.sub(r'("build":.*?"name":)"[^"]*"(,"number")', r"\1\2", machine[key])


def seen_again(stage: Stage) -> Server:
    """Give the server as the next to act finds it, who looks first where nobody saw what it is."""
    server = stage.sql.server(SPEC.id)
    unseen = server.boot == UNSEEN or server.state is ServerState.ERROR
    return now(stage.recovery, server) if unseen and server.deleted is None else server


STATUS = {
    (True, False, False): "ACTIVE",
    (True, True, False): "PAUSED",
    (False, False, False): "SHUTOFF",
    (False, False, True): "SUSPENDED",
}
"""What a server is shown as, whose machine is on, paused, saved."""


def take_out(left: dict[str, Any], server: Server, build: Build, owner: str) -> None:
    """Take everything out that the whole server is made of; AssertionError if some is missing."""
    spec = from_plain(ServerSpec, server.spec)
    machine = left["machines"].pop(SPEC.id, None)
    assert machine is not None, "the domain is missing"
    assert machine["on"], "it does not run"
    assert machine["autostart"], "it would not start with its host"
    assert made_by(find_record(machine["xml"]) or "") == (owner, SPEC.id, server.attempt)
    volumes = left["pools"][build.pool]["volumes"]
    for volume in build.volumes:
        there = volumes.pop(volume.name, None)
        assert there is not None, f"{volume.name} is missing"
        if volume.role == "seed":
            told = Secrets(user_data=USER_DATA if spec.has_user_data else None)
            seed = PlainRenderer().seed(spec, build, networks=NETWORKS, secrets=told)
            assert there["content"] == base64.b64encode(seed).decode(), "the seed is not whole"
    for card in build.cards:
        assert left["filters"].pop(card.filter or "", None), f"{card.filter} is missing"
        if card.reserved:
            promise = left["networks"][card.source]["promises"].pop(card.mac, None)
            assert promise == [list(card.addresses), SPEC.hostname], promise


def without_bases(state: dict[str, Any]) -> dict[str, Any]:
    """Leave out the cache; one that is said to be whole must be there."""
    left = copy.deepcopy(state)
    for pool in left["pools"].values():
        volumes = pool["volumes"]
        for name in [one for one in volumes if one.startswith(BASE_IMAGE_PREFIX)]:
            if name.endswith(READY_SUFFIX):
                assert name.removesuffix(READY_SUFFIX) in state["pools"]["default"]["volumes"]
            del volumes[name]
    return left


def pristine_of(folder: Path) -> dict[str, dict[str, Any]]:
    """See the hosts of a stage on which nothing was done yet."""
    fleet = FakeFleet(folder / "hosts")
    return {one.name: fleet.picture(one.name) for one in fleet.folder.iterdir() if one.is_dir()}


def difference(host: str, left: dict[str, Any], pristine: dict[str, Any]) -> str:
    """Name what is on a host and should not be, or is missing."""
    found = [
        f"{host}: {key} is {left[key]!r}, should be {pristine[key]!r}"
        for key in pristine
        if left[key] != pristine[key]
    ]
    return "; ".join(found).replace(POOL, "")
