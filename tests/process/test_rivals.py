"""Two databases and many processes on the same hosts: the last word is the hosts' own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
HOSTS, DATABASES, EACH = 3, 2, 12
WON, REFUSED = 0, 10


def race(folder: Path, *, room: int, addresses: int) -> dict[str, Any]:
    """Let them all want a server; see to it that nothing was given away twice."""
    words = [str(folder), *map(str, (DATABASES, EACH, room, addresses))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.rivals", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said: dict[str, Any] = json.loads(done.stdout)
    there = said["standing"]
    on_host = Counter(one["host"] for one in there)
    assert max(on_host.values()) <= room
    for things in ("macs", "addresses"):
        held = [thing for one in there for thing in one[things]]
        assert len(held) == len(set(held)) == len(there)
    assert sorted(one["name"] for one in there) == sorted(said["active"])
    assert said["owed"] == []
    return said


def told(what: str, said: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> Counter[int]:
    codes = Counter(code for _, code, _ in said["ended"])
    others = [one for one in said["ended"] if one[1] not in (WON, REFUSED)]
    with capsys.disabled():
        sys.stdout.write(
            f"\n{DATABASES} databases with {EACH} processes each, {what}:"
            f" {codes[WON]} won, {codes[REFUSED]} refused, {len(others)} otherwise\n"
        )
    assert others == []
    return codes


@pytest.mark.timeout(400)
def test_two_databases_never_oversell_a_host_and_leave_no_place_empty(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = race(folder, room=3, addresses=200)

    assert told(f"{3 * HOSTS} places", said, capsys) == {WON: 9, REFUSED: 15}


@pytest.mark.timeout(400)
def test_two_databases_never_give_an_address_twice_and_give_all_there_are(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = race(folder, room=20, addresses=9)

    assert told("9 addresses on their common LAN", said, capsys) == {WON: 9, REFUSED: 15}
    addresses = {one for server in said["standing"] for one in server["addresses"]}
    assert addresses == {f"10.1.0.{number}" for number in range(10, 19)}
