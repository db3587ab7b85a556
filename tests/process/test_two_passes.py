"""`vmctl sync` while another one is at it, each a process."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import by_hand
from tests.support.fake_app import on_fakes
from tests.support.stage import SPEC, Stage, a_stage, create, on_stage
from tests.support.whole_files import locked
from vmctl.adapters.leases import open_leases
from vmctl.domain.record import ServerState
from vmctl.services.syncing import LEASE


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    a_stage(tmp_path)
    with on_stage(tmp_path) as opened:
        opened.fleet.sleep(time.time() + 60)
        create(opened)
        on_fakes(opened)
        yield opened


def a_pass(stage: Stage) -> subprocess.Popen[str]:
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(stage.folder),
        "PYTHONPATH": str(Path.cwd()),
        "VMCTL_DB": str(stage.folder / "state.db"),
        "VMCTL_INVENTORY": str(stage.folder / "inventory.yaml"),
    }
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.run_on_fakes", str(stage.folder), "sync"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
    )


def test_the_second_of_two_passes_says_who_is_at_it_and_does_nothing(stage: Stage) -> None:
    by_hand.switch_off(stage.fleet, "kvm1", SPEC.id)
    leases = open_leases(stage.sql.location)
    with locked(stage.folder / "hosts/kvm1/lock"):  # the first one waits for its answer
        first = a_pass(stage)
        until = time.monotonic() + 60
        while leases.holder(LEASE) is None:
            assert time.monotonic() < until
            assert first.poll() is None
            time.sleep(0.05)
        second = a_pass(stage)
        out, err = second.communicate(timeout=60)
        assert (second.returncode, out.strip()) == (17, "")
        assert "bob@desk is at it just now: nothing was done" in err
        assert stage.sql.server(SPEC.id).state is ServerState.ACTIVE
    out, err = first.communicate(timeout=60)

    assert (first.returncode, err) == (0, "")
    assert "ACTIVE -> SHUTOFF" in out
    assert stage.sql.server(SPEC.id).state is ServerState.STOPPED
    told = [one for one in stage.sql.events() if one.action == "server-refresh"]
    assert len(told) == 1
