"""Another system in a server's place, on real hosts: what is kept, what is new, and no third."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import stock
from tests.lab.outside import Lab
from tests.lab.servers import (
    LONG,
    Running,
    assert_clean,
    create,
    left,
    operator,
    owed,
    servers,
    show,
    until,
    wipe,
)
from tests.lab.vmctl import Ended, Vmctl

HOST = "kvm2"
AT_ONCE = ("--timeout", "0")
SEEDS = "#!/bin/sh\necho told >>/data/told\n"


@pytest.fixture(scope="module")
def mine(shared_lab: Lab, model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vmctl]:
    """An operator with one server, `web`, that was given user data and has a file of its own."""
    folder = tmp_path_factory.mktemp("rescue")
    (folder / "user-data").write_text(SEEDS)
    one = operator(shared_lab, folder / "home", model)
    words = ("--key-name", stock.KEYPAIR, "--user-data", str(folder / "user-data"))
    made = create(one, "web", "--network", "default", *words, "--wait-for", "ssh", on=HOST)
    assert made.code == 0
    yield one
    wipe(shared_lab)


@pytest.fixture
def web(mine: Vmctl) -> Vmctl:
    """The same, the server up and its file there."""
    inside(mine, "echo mine >/data/word; sync")
    return mine


def inside(mine: Vmctl, command: str) -> str:
    """What a command says in the system that runs, once it lets in."""
    key = str(mine.lab.plan.key)
    last: list[Ended] = []

    def answers() -> bool:
        last.append(mine("ssh", "web", "-l", "root", "-i", key, "--", command))
        return last[-1].code == 0

    until(answers, seconds=LONG)
    return last[-1].out.strip()


def status(mine: Vmctl) -> object:
    return servers(mine)["web"]["Status"]


def volumes(lab: Lab) -> set[str]:
    """The server's volumes, without its id."""
    return {one.split("-", 5)[5] for one in left(lab, HOST).volumes}


def killed(mine: Vmctl, at: str, *words: str) -> None:
    """Run a command on the server that is killed once a step of it has begun."""
    run = Running(mine, *words)
    run.says(f"web: {at}")
    run.process.kill()
    run.end()


def unrescuing(mine: Vmctl, at: str) -> Running:
    """The end of a rescue in the midst of a step: it tells none, so its journal is read."""
    words = "SELECT count(*) FROM journal JOIN operations o ON o.id = journal.operation"
    steps = f"{words} WHERE o.kind = 'unrescue' AND journal.step = ? AND o.finished IS NULL"
    run = Running(mine, "server", "unrescue", "web", *AT_ONCE)
    with contextlib.closing(sqlite3.connect(mine.db)) as db:
        while not db.execute(steps, (f"act/{at}",)).fetchone()[0]:
            assert run.process.poll() is None, run.err
            time.sleep(0.02)
    return run


def test_a_rescued_server_has_its_own_disk_beside_another_systems_though_killed_on_the_way(
    shared_lab: Lab, web: Vmctl
) -> None:
    before = volumes(shared_lab)
    killed(web, "define", "server", "rescue", "web")
    assert status(web) == "RESCUE"
    assert [one["Kind"] for one in owed(web)] == ["rescue"]

    web.ok("operation", "resume", "--all")

    assert (status(web), owed(web)) == ("RESCUE", [])
    refused = web("server", "stop", "web")
    assert refused.code == 1
    assert "cannot be stopped while it is RESCUE" in refused.err
    # The small guest's own label is on both disks, and it takes the data of the server's.
    command = "cat /sys/block/vd?/size; cat /sys/block/vdb/serial; echo; cat /data/word"
    disks = inside(web, f"{command}; echo mended >/data/word; sync").split()
    assert disks[:2] == ["131072", str(2 * 1024**2)]
    assert disks[-2:] == ["vmctl-root", "mine"]

    done = web("server", "unrescue", "web", *AT_ONCE)

    assert (done.code, done.out, status(web)) == (0, "", "ACTIVE")
    assert inside(web, "cat /data/word; ls /sys/block | grep -c vd") == "mended\n2"
    assert volumes(shared_lab) == before


def test_a_rebuilt_server_is_new_where_it_was(shared_lab: Lab, web: Vmctl) -> None:
    before, others = show(web, "web"), volumes(shared_lab)

    done = web("server", "rebuild", "web", "--hostname", "anew", *AT_ONCE, "-f", "json")

    assert done.code == 0, done.err
    after = show(web, "web")
    # What was seen of the old system says nothing of the new one.
    planned = [[card["planned"] for card in one["vmctl:addresses"]] for one in (before, after)]
    assert planned[0] == planned[1]
    for same in ("id", "addresses", "OS-EXT-SRV-ATTR:host", "image", "flavor"):
        assert done.json[same] == before[same], same
    assert (after["status"], after["OS-EXT-SRV-ATTR:hostname"]) == ("ACTIVE", "anew")
    assert inside(web, "uname -n; cat /data/told; ls /data/word 2>&1 | wc -l") == "anew\ntold\n1"
    assert "No such file" in inside(web, "ls /data/word 2>&1; true")
    assert len(volumes(shared_lab)) == len(others)
    assert not volumes(shared_lab) & others


def test_a_rebuild_that_is_stopped_leaves_the_server_as_it_was(shared_lab: Lab, web: Vmctl) -> None:
    before, others = show(web, "web"), volumes(shared_lab)
    run = Running(web, "server", "rebuild", "web", "--name", "other", *AT_ONCE)
    run.says("web: run")
    run.process.send_signal(signal.SIGINT)

    assert run.end().code == 130
    assert "undoing what was begun" in run.err
    assert (status(web), owed(web)) == ("ACTIVE", [])
    assert show(web, "web")["addresses"] == before["addresses"]
    assert volumes(shared_lab) == others
    assert inside(web, "cat /data/word") == "mine"


def test_a_rescue_that_is_stopped_leaves_the_server_as_it_was(shared_lab: Lab, web: Vmctl) -> None:
    others = volumes(shared_lab)
    run = Running(web, "server", "rescue", "web", *AT_ONCE)
    run.says("web: disks")
    run.process.send_signal(signal.SIGINT)

    assert run.end().code == 130
    assert "undoing what was begun" in run.err
    assert (status(web), owed(web)) == ("ACTIVE", [])
    assert volumes(shared_lab) == others
    assert inside(web, "cat /data/word; ls /sys/block | grep -c vd") == "mine\n2"


def test_an_unrescue_that_is_stopped_or_dies_leaves_it_rescued_or_ends_the_rescue(
    shared_lab: Lab, web: Vmctl
) -> None:
    others = volumes(shared_lab)
    web.ok("server", "rescue", "web", *AT_ONCE)
    rescued = volumes(shared_lab)

    run = unrescuing(web, "define")
    run.process.send_signal(signal.SIGINT)
    assert run.end().code == 130
    assert "undoing what was begun" in run.err
    assert (status(web), owed(web)) == ("RESCUE", [])
    assert volumes(shared_lab) == rescued
    assert inside(web, "cat /sys/block/vdb/serial") == "vmctl-root"

    run = unrescuing(web, "define")
    run.process.kill()
    run.end()
    web.ok("operation", "unwind", "--all")
    assert (status(web), owed(web), volumes(shared_lab)) == ("RESCUE", [], rescued)

    run = unrescuing(web, "remove")
    run.process.kill()
    run.end()
    assert web("operation", "unwind", "--all").code != 0
    web.ok("operation", "resume", "--all")
    assert (status(web), owed(web), volumes(shared_lab)) == ("ACTIVE", [], others)
    assert inside(web, "cat /data/word; ls /sys/block | grep -c vd") == "mine\n2"


def test_what_is_killed_is_undone_or_goes_with_its_server(shared_lab: Lab, web: Vmctl) -> None:
    others = volumes(shared_lab)
    killed(web, "define", "server", "rebuild", "web", *AT_ONCE)
    assert status(web) == "REBUILD"
    assert len(volumes(shared_lab)) == 2 * len(others)

    web.ok("operation", "unwind", "--all")
    assert (status(web), owed(web)) == ("ACTIVE", [])
    assert volumes(shared_lab) == others
    assert inside(web, "cat /data/word") == "mine"

    assert web("server", "rescue", "web", *AT_ONCE).out == ""
    assert status(web) == "RESCUE"
    web.ok("server", "delete", "web")
    assert_clean(shared_lab)
    assert owed(web) == []
