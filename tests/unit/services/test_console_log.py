"""A console log read from a place on: while it grows, is moved aside, and after it is gone."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.support.fake_host import FakeFleet
from vmctl.domain.host import Host
from vmctl.services.console_log import ConsoleLog

NAME = "a-console.log"


class Kept:
    """The log of a guest on a host, and the hand that writes it."""

    def __init__(self, fleet: FakeFleet, host: Host) -> None:
        self.fleet = fleet
        self.log = ConsoleLog(hypervisor=fleet.on(host), pool="default", name=NAME)

    def write(self, text: bytes, *, more: int = 0) -> None:
        """Write on; the volume may be longer than what was written."""
        with self.fleet.state("kvm1") as state:
            volumes = state["pools"]["default"]["volumes"]
            was = base64.b64decode(volumes.get(NAME, {}).get("content", ""))
            content = base64.b64encode(was + text).decode()
            volumes[NAME] = {"size": len(was + text) + more, "content": content}

    def move_aside(self) -> None:
        with self.fleet.state("kvm1") as state:
            volumes = state["pools"]["default"]["volumes"]
            for number in (1, 0):
                if f"{NAME}.{number}" in volumes:
                    volumes[f"{NAME}.{number + 1}"] = volumes.pop(f"{NAME}.{number}")
            volumes[f"{NAME}.0"] = volumes.pop(NAME)
        self.write(b"")

    def forget(self, name: str) -> None:
        with self.fleet.state("kvm1") as state:
            del state["pools"]["default"]["volumes"][name]


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    fleet = FakeFleet(tmp_path)
    return Kept(fleet, fleet.add("kvm1"))


def test_what_was_not_begun_has_said_nothing(kept: Kept) -> None:
    said, place = kept.log.last()

    assert (said, place.at) == (b"", 0)
    assert kept.log.since(place) is None


@pytest.mark.parametrize(
    ("lines", "last"),
    [
        (None, b"1\n2\r\n3\nlogin: "),
        (0, b""),
        (1, b"login: "),
        (2, b"3\nlogin: "),
        (9, b"1\n2\r\n3\nlogin: "),
    ],
)
def test_the_last_lines_are_of_all_its_parts(kept: Kept, lines: int | None, last: bytes) -> None:
    kept.write(b"1\n2\r")
    kept.move_aside()
    kept.write(b"\n3")
    kept.move_aside()
    kept.write(b"\nlogin: ", more=4000)

    assert kept.log.last(lines)[0] == last


def test_what_comes_is_told_once(kept: Kept) -> None:
    kept.write(b"boot\n", more=100)
    _, place = kept.log.last()
    told = []
    for piece in (b"", b"login: ", b"", b"\0root\n"):
        kept.write(piece, more=100)
        found = kept.log.since(place)
        assert found is not None
        more, place = found
        told.append(more)

    assert told == [b"", b"login: ", b"", b"\0root\n"]


def test_nothing_is_lost_when_it_is_moved_aside(kept: Kept) -> None:
    kept.write(b"first\n" * 100)
    _, place = kept.log.last()
    kept.write(b"before\n")
    kept.move_aside()
    kept.write(b"after\n")

    once = kept.log.since(place)
    assert once is not None
    kept.write(b"more\n")
    again = kept.log.since(once[1])

    assert once[0] == b"before\nafter\n"
    assert again is not None
    assert again[0] == b"more\n"


def test_nothing_is_lost_when_it_is_moved_aside_more_than_once(kept: Kept) -> None:
    kept.write(b"first\n" * 100)
    _, place = kept.log.last()
    for piece in (b"2\n", b"3\n", b"4\n"):
        kept.write(piece)
        kept.move_aside()
    kept.write(b"5\n")

    found = kept.log.since(place)

    assert found is not None
    assert found[0] == b"2\n3\n4\n5\n"


def test_one_that_began_anew_is_told_from_its_beginning(kept: Kept) -> None:
    kept.write(b"first\n" * 100)
    _, place = kept.log.last()
    kept.forget(NAME)
    kept.write(b"anew\n" * 400)

    found = kept.log.since(place)

    assert found is not None
    assert found[0] == b"anew\n" * 400


def test_one_that_is_gone_is_told_as_that(kept: Kept) -> None:
    kept.write(b"first\n")
    _, place = kept.log.last()
    kept.forget(NAME)

    assert kept.log.since(place) is None
