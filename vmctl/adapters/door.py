"""A port of this machine's own, for this machine alone, that leads to a screen on a host."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from typing import TYPE_CHECKING

from vmctl.domain.rfb import Handshake
from vmctl.errors import HostError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from vmctl.ports import Passage

HERE = "127.0.0.1"
_PIECE = 65536


class LocalDoor:
    """See the port for what each call means; at the end of the block everybody inside goes."""

    def __init__(self, way: Callable[[], Passage], *, port: int = 0) -> None:
        self._way = way
        self._visits: list[LocalVisit] = []
        try:
            self._listener = socket.create_server((HERE, port))
        except OSError as error:
            raise UsageError(
                f"--port {port}: {error.strerror}", hint="another one, or none: one is found then"
            ) from error

    @property
    def port(self) -> int:
        """The port at which viewers come."""
        return int(self._listener.getsockname()[1])

    def visit(self, seconds: float) -> LocalVisit | None:
        """Wait for a viewer, for so many seconds."""
        if not select.select([self._listener], [], [], seconds)[0]:
            return None
        viewer, _ = self._listener.accept()
        try:
            visit = LocalVisit(viewer, self._way())
        except BaseException:
            viewer.close()
            raise
        self._visits.append(visit)
        return visit

    def shut(self) -> None:
        """Let nobody come any more."""
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.shut()
        for visit in self._visits:
            visit.end()


class LocalVisit:
    """One viewer: a thread for each direction, and an ear for how it was received."""

    def __init__(self, viewer: socket.socket, passage: Passage) -> None:
        self._viewer = viewer
        self._passage = passage
        self._handshake = Handshake()
        self._over = threading.Event()
        viewer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for direction in (self._inwards, self._outwards):
            threading.Thread(target=direction, daemon=True).start()

    @property
    def let_in(self) -> bool | None:
        """Whether the screen's server let it in."""
        return self._handshake.let_in

    @property
    def over(self) -> bool:
        """Whether it is gone."""
        return self._over.is_set()

    def end(self) -> None:
        """Show it out."""
        if not self._over.is_set():
            self._over.set()
            self._passage.close()
            with contextlib.suppress(OSError):
                self._viewer.shutdown(socket.SHUT_RDWR)
            self._viewer.close()

    def _inwards(self) -> None:
        with contextlib.suppress(OSError, HostError):
            while said := self._viewer.recv(_PIECE):
                self._handshake.of_viewer(said)
                self._passage.write(said)
        self.end()

    def _outwards(self) -> None:
        with contextlib.suppress(OSError):
            while said := self._passage.read():
                self._handshake.of_server(said)
                self._viewer.sendall(said)
        self.end()
