"""What this machine reaches by itself, and a door that leads there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from vmctl.adapters.door import LocalDoor
from vmctl.adapters.local_shell import LocalShell
from vmctl.adapters.passages import SocketPassage
from vmctl.domain.host import Host
from vmctl.errors import HostUnreachable, RemoteFailed, TimedOut, UsageError
from vmctl.services.viewing import serve

VERSION = b"RFB 003.008\n"
MIB = 1 << 20


def to(port: int) -> SocketPassage:
    return LocalShell(Host(name="here", address="here", connection="local")).reach(
        "127.0.0.1", port
    )


@contextmanager
def echoing() -> Iterator[int]:
    """A port that says back all it is told."""
    listener = socket.create_server(("127.0.0.1", 0))

    def answer(one: socket.socket) -> None:
        with one:
            while said := one.recv(65536):
                one.sendall(said)

    def serve() -> None:
        while True:
            try:
                one, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(one,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def test_bytes_go_both_ways_and_an_end_is_told() -> None:
    with echoing() as port:
        passage = to(port)
        passage.write(b"hello")
        said = passage.read()
        passage.close()

    assert said == b"hello"
    assert passage.read() == b""
    with pytest.raises(HostUnreachable, match="here: the connection was lost"):
        passage.write(b"more")
    passage.close()


def test_a_port_that_nobody_answers_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]

    with pytest.raises(RemoteFailed, match=f"nothing answers there at 127.0.0.1 port {port}"):
        to(port)


def until(what: Callable[[], object]) -> None:
    end = time.monotonic() + 20
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_door_leads_there_for_each_who_comes_and_both_ways_at_once() -> None:
    data = bytes(range(256)) * (4 * MIB // 256)
    with echoing() as port, LocalDoor(lambda: to(port)) as door:
        where = ("127.0.0.1", door.port)
        viewers = [socket.create_connection(where) for _ in range(2)]
        visits = [door.visit(5) for _ in viewers]
        sender = threading.Thread(target=viewers[0].sendall, args=(data,))
        sender.start()
        viewers[1].sendall(b"second")
        second = viewers[1].recv(6, socket.MSG_WAITALL)
        first = viewers[0].recv(len(data), socket.MSG_WAITALL)
        sender.join()
        for viewer in viewers:
            viewer.close()
        until(lambda: all(visit is not None and visit.over for visit in visits))

    assert (second, first) == (b"second", data)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(where)


def test_whoever_is_inside_goes_when_the_door_does() -> None:
    with echoing() as port:
        with LocalDoor(lambda: to(port)) as door:
            viewer = socket.create_connection(("127.0.0.1", door.port))
            visit = door.visit(5)
            door.shut()
            viewer.sendall(b"inside")
            said = viewer.recv(6, socket.MSG_WAITALL)
        with viewer:
            ended = viewer.recv(1)

    assert (said, ended) == (b"inside", b"")
    assert visit is not None
    assert visit.over


def test_nobody_at_the_door_is_told_after_a_while() -> None:
    with LocalDoor(lambda: to(1)) as door:
        assert door.visit(0.01) is None


def test_a_port_that_is_taken_is_refused() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(UsageError, match=r"--port \d+: Address already in use"),
    ):
        LocalDoor(lambda: to(1), port=taken.getsockname()[1])


class Guest:
    """A viewer whose visit is written down beforehand."""

    def __init__(self, *story: tuple[bool | None, bool]) -> None:
        self.story = list(story)

    @property
    def let_in(self) -> bool | None:
        return self.story[0][0]

    @property
    def over(self) -> bool:
        return self.story[0][1]

    def go_on(self) -> None:
        if len(self.story) > 1:
            self.story.pop(0)


class Street:
    """A door, and a clock that goes on by a second at each look."""

    def __init__(self, *guests: Guest) -> None:
        self.coming = list(guests)
        self.inside: list[Guest] = []
        self.now = 0.0
        self.told: list[str] = []

    def visit(self, seconds: float) -> Guest | None:
        self.sleep(seconds)
        if not self.coming:
            return None
        self.inside.append(self.coming.pop(0))
        return self.inside[-1]

    def shut(self) -> None:
        self.told.append("shut")

    def sleep(self, seconds: float) -> None:
        del seconds
        self.now += 1
        for one in self.inside:
            one.go_on()

    def serve(self) -> None:
        serve(
            self,
            patience=10,
            clock=lambda: self.now,
            sleep=self.sleep,
            received=lambda: self.told.append("received"),
        )


WAITING, TURNED_AWAY, INSIDE, LEFT = (None, False), (False, True), (True, False), (True, True)


@pytest.mark.parametrize(
    "guests",
    [
        [Guest(WAITING, INSIDE, INSIDE, LEFT)],
        [Guest(WAITING, TURNED_AWAY), Guest(WAITING, INSIDE, LEFT)],
        [Guest(WAITING), Guest(WAITING, WAITING, INSIDE, LEFT)],
        [Guest(WAITING, LEFT)],
    ],
    ids=["stays a while", "the second tries better", "the first only waits", "looks and leaves"],
)
def test_one_viewer_is_let_in_and_waited_for(guests: list[Guest]) -> None:
    street = Street(*guests)

    street.serve()

    assert street.told == ["shut", "received"]
    assert any(one.story == [LEFT] for one in guests)


@pytest.mark.parametrize(
    "guests", [[], [Guest(WAITING)], [Guest(WAITING, TURNED_AWAY)]], ids=["none", "waits", "wrong"]
)
def test_who_is_not_let_in_in_time_is_waited_for_no_more(guests: list[Guest]) -> None:
    street = Street(*guests)

    with pytest.raises(TimedOut, match="no viewer was let in within 10 s"):
        street.serve()

    assert street.told == []
    assert 10 <= street.now < 13
