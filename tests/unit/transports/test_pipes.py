"""Bytes in bulk: every one of them, and no hanging where nobody gives or takes any."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vmctl.adapters import pipes
from vmctl.adapters.libvirt_wrapper import piped
from vmctl.adapters.pipes import HostPipes, pump
from vmctl.adapters.shells import HostShells
from vmctl.adapters.ssh_config import Hop, Route
from vmctl.domain.host import Host

if TYPE_CHECKING:
    from collections.abc import Callable

MUCH = os.urandom(3_000_001)
HERE = Host(name="here", address="localhost", connection="local")


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_file_goes_through_whole(tmp_path: Path) -> None:
    (tmp_path / "much").write_bytes(MUCH)
    reader, writer = os.pipe()
    found = bytearray()

    def read() -> None:
        while more := os.read(reader, 65536):
            found.extend(more)

    thread = threading.Thread(target=read)
    thread.start()
    with (tmp_path / "much").open("rb") as file:
        assert pump(file.fileno(), writer, lambda _: None) == len(MUCH)
    os.close(writer)
    thread.join()
    os.close(reader)

    assert found == MUCH


def test_bytes_that_do_not_move_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipes, "_STALLED", 0.2)
    monkeypatch.setattr(pipes, "_TICK", 0.05)
    ends = [*os.pipe(), *os.pipe()]
    told: list[int] = []

    with pytest.raises(TimeoutError):
        pump(ends[0], ends[3], told.append)  # nobody writes

    assert told  # whoever waits is told that we are there
    os.set_blocking(ends[3], False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(ends[3], bytes(65536))
    os.write(ends[1], b"x")
    with pytest.raises(TimeoutError):
        pump(ends[0], ends[3], told.append)  # nobody reads
    for end in ends:
        os.close(end)


def test_a_reader_who_is_gone_is_an_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    source, other = os.pipe()
    os.write(other, b"x")
    os.close(other)

    with pytest.raises(BrokenPipeError):
        pump(source, writer, lambda _: None)
    os.close(source)
    os.close(writer)


def test_a_script_gets_what_follows_it_and_nothing_else(tmp_path: Path) -> None:
    shells = HostShells()
    (tmp_path / "much").write_bytes(MUCH)
    target = tmp_path / "there"
    with (
        HostPipes(shells, str(tmp_path)).open(HERE, f"cat > '{target}'; echo no >&2; exit 3") as it,
        (tmp_path / "much").open("rb") as file,
    ):
        pump(file.fileno(), it.stdin.fileno(), lambda _: None)
        assert it.end() == (3, "no")
    shells.close()

    assert target.read_bytes() == MUCH


def test_a_script_reads_a_file_of_ours_and_how_far_it_is_can_be_seen(tmp_path: Path) -> None:
    shells = HostShells()
    (tmp_path / "much").write_bytes(MUCH)
    target = tmp_path / "there"
    head = f"dd bs=1000 count=100 of='{target}'"
    script = f"{head}; sleep 1.2; cat >> '{target}'; echo no >&2; exit 3"
    seen: list[int] = []
    with (
        (tmp_path / "much").open("rb") as file,
        HostPipes(shells, str(tmp_path)).open(HERE, script, file.fileno()) as it,
    ):
        it.watch(file.fileno(), seen.append)
        assert it.end() == (3, "no")
    shells.close()

    assert target.read_bytes() == MUCH
    assert seen == [100_000]


def test_a_script_that_reads_no_more_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    shells = HostShells()
    (tmp_path / "much").write_bytes(MUCH)
    there = HostPipes(shells, str(tmp_path))
    with (tmp_path / "much").open("rb") as file, there.open(HERE, "exit 4", file.fileno()) as it:
        it.watch(file.fileno(), lambda _: None)
        assert it.end() == (4, "")
    with (
        pytest.raises(TimeoutError),
        (tmp_path / "much").open("rb") as file,
        there.open(HERE, "sleep 60", file.fileno()) as it,
    ):
        it.watch(file.fileno(), lambda _: None, stalled=0.3)
    shells.close()
    assert it._process.poll() is not None


def test_what_reads_a_file_of_ours_ends_when_we_are_killed(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    words = ["sh", "-c", f"echo $$ > {told}; exec sleep 60"]
    code = (
        "import subprocess; from vmctl.adapters.pipes import mortal;"
        f" subprocess.run(mortal({words!r}))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as child:
        until(lambda: told.exists() and told.read_text())
        pid = told.read_text().strip()
        assert Path(f"/proc/{pid}").exists()
        child.kill()

    until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_block_that_fails_ends_its_script(tmp_path: Path) -> None:
    shells = HostShells()
    with (
        pytest.raises(ZeroDivisionError),
        HostPipes(shells, str(tmp_path)).open(HERE, f"cat; touch '{tmp_path}/late'") as it,
    ):
        raise ZeroDivisionError
    assert it._process.poll() is not None


@pytest.mark.parametrize(
    ("known", "said"),
    [
        (("chacha", "gcm", "ctr"), "Ciphers=gcm,chacha,ctr"),
        (("chacha", "ctr"), None),
        ((), None),
    ],
)
def test_only_ciphers_that_ssh_would_offer_are_preferred(
    tmp_path: Path, known: tuple[str, ...], said: str | None
) -> None:
    route = Route(hops=(Hop(alias="h", hostname="h.example", ciphers=known),))

    words, _ = piped(route, str(tmp_path), "a line", limit=5, pinned=None, quick=("gcm", "none"))

    assert [word for word in words if word.startswith("Ciphers=")] == ([said] if said else [])
    assert words[-3:] == ["--", "h", "a line"]
    assert "BatchMode=yes" in words
    assert "StrictHostKeyChecking=yes" in words
