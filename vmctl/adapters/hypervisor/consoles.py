"""A machine's serial console: libvirt's stream at one end, a socket of our own at the other.

All that goes through the stream is done by the one thread that hears libvirt's events. Two threads
on one connection are not safe before libvirt 10, and its callbacks come in that one.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import libvirt

from vmctl.adapters.hypervisor import domains
from vmctl.adapters.hypervisor.link import ABSENT
from vmctl.adapters.libvirt_errors import libvirt_errors
from vmctl.domain.console import CONSOLE_HELD, NO_CONSOLE, ConsoleEnd
from vmctl.errors import RemoteFailed

if TYPE_CHECKING:
    from vmctl.adapters.hypervisor.link import Link

_PIECE = 65536
_MOST = 4 * _PIECE
"""Bytes that are kept for an end that does not take them, before no more are taken from the other.
"""

_CLOSING = 2.0
_HELD = "active console session"
_NONE = ("cannot find character device", "is not using a pty")

_IN, _OUT = libvirt.VIR_STREAM_EVENT_READABLE, libvirt.VIR_STREAM_EVENT_WRITABLE
_OVER = libvirt.VIR_STREAM_EVENT_ERROR | libvirt.VIR_STREAM_EVENT_HANGUP
_OURS_IN, _OURS_OUT = libvirt.VIR_EVENT_HANDLE_READABLE, libvirt.VIR_EVENT_HANDLE_WRITABLE
_OURS_OVER = libvirt.VIR_EVENT_HANDLE_ERROR | libvirt.VIR_EVENT_HANDLE_HANGUP


def attach(link: Link, uuid: str, *, force: bool) -> StreamConsole:
    """Attach to a machine's console; the link is the console's from then on."""
    domain = domains.find(link, uuid)
    if domain is None:
        name = link.host.name
        raise RemoteFailed(name, f"{name}: machine {uuid} is not defined there", reason=ABSENT)
    stream = link.connection.newStream(libvirt.VIR_STREAM_NONBLOCK)
    flags = libvirt.VIR_DOMAIN_CONSOLE_FORCE if force else 0
    try:
        link.call(
            f"attaching to the console of machine {uuid}",
            lambda: domain.openConsole(None, stream, flags),
            limit=link.limits.ask,
        )
    except RemoteFailed as error:
        raise _told(link.host.name, uuid, error) from error.__cause__
    with libvirt_errors(link.host.name, "hearing a console"):
        return StreamConsole(link, stream)


def _told(host: str, uuid: str, error: RemoteFailed) -> RemoteFailed:
    said = error.message.lower()
    if _HELD in said:
        return RemoteFailed(
            host,
            f"{host}: somebody else has the console of machine {uuid}",
            reason=CONSOLE_HELD,
        )
    if any(words in said for words in _NONE):
        return RemoteFailed(
            host,
            f"{host}: machine {uuid} has no serial port that one can attach to",
            reason=NO_CONSOLE,
        )
    return error


class StreamConsole:
    """See the port for what each call means."""

    def __init__(self, link: Link, stream: libvirt.virStream) -> None:
        self._link = link
        self._stream = stream
        self._ours, self._theirs = socket.socketpair()
        self._ours.setblocking(False)
        self._theirs.setblocking(False)
        self._said, self._typed = bytearray(), bytearray()
        self._how: ConsoleEnd | None = None
        self._stopped = False
        self._gone = threading.Event()
        self._heeded = (_OVER | _IN, _OURS_IN)
        self._watch = libvirt.virEventAddHandle(
            self._theirs.fileno(), self._heeded[1], self._of_ours, None
        )
        # From here on the other thread comes in.
        link.connection.registerCloseCallback(self._lost, None)
        stream.eventAddCallback(self._heeded[0], self._of_stream, None)

    def fileno(self) -> int:
        """Give the descriptor to wait on."""
        return self._ours.fileno()

    def read(self) -> bytes | None:
        """Give what the machine said."""
        try:
            return self._ours.recv(_PIECE) or None
        except BlockingIOError:
            return b""
        except OSError:
            return None

    def write(self, data: bytes) -> int:
        """Say something to the machine."""
        try:
            return self._ours.send(data)
        except OSError:
            # Full, or over: reading tells which.
            return 0

    def end(self) -> ConsoleEnd | None:
        """Say how it ended."""
        return self._how

    def close(self) -> None:
        """Let go of it: the other end hears that, and ends the stream."""
        self._ours.close()
        if self._gone.wait(_CLOSING):
            with contextlib.suppress(libvirt.libvirtError):
                self._link.connection.unregisterCloseCallback()
            self._link.close()
        else:
            self._link.leave()

    # What follows happens in the thread of libvirt's events alone.

    def _of_stream(self, _stream: object, events: int, _opaque: object) -> None:
        if self._stopped:
            return
        if events & _OUT:
            self._type()
        if events & (_IN | _OVER) and not self._listen() and events & _OVER:
            self._stop(ConsoleEnd.TAKEN)
        self._heed()

    def _of_ours(self, _watch: int, _fd: int, events: int, _opaque: object) -> None:
        if events & _OURS_OUT:
            self._tell()
        if events & (_OURS_IN | _OURS_OVER):
            self._take()
        self._heed()

    def _lost(self, _connection: object, _reason: int, _opaque: object) -> None:
        self._stop(ConsoleEnd.LOST)
        self._heed()

    def _listen(self) -> bool:
        """Take in what it says, or its end; False if there is neither."""
        try:
            data = self._stream.recv(_PIECE)
        except libvirt.libvirtError:
            self._stop(ConsoleEnd.TAKEN)
            return True
        if isinstance(data, int):
            return False
        if not data:
            self._stop(ConsoleEnd.CLOSED)
            return True
        self._said += data
        self._tell()
        return True

    def _type(self) -> None:
        while self._typed:
            try:
                sent = self._stream.send(bytes(self._typed[:_PIECE]))
            except libvirt.libvirtError:
                self._stop(ConsoleEnd.TAKEN)
                return
            if sent < 0:
                return
            del self._typed[:sent]

    def _take(self) -> None:
        try:
            data = self._theirs.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            # Let go of: nobody hears what is still to be said.
            self._said.clear()
            self._stop(None)
            return
        self._typed += data
        if not self._stopped:
            self._type()

    def _tell(self) -> None:
        while self._said:
            try:
                sent = self._theirs.send(self._said[:_PIECE])
            except BlockingIOError:
                return
            except OSError:
                self._said.clear()
                return
            del self._said[:sent]

    def _stop(self, how: ConsoleEnd | None) -> None:
        """End the stream; what it said before goes on to whoever listens."""
        if self._stopped:
            return
        self._stopped, self._how = True, how
        if how is ConsoleEnd.LOST:
            return  # and the stream with its connection
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.eventRemoveCallback()
        with contextlib.suppress(libvirt.libvirtError):
            self._stream.finish() if how is ConsoleEnd.CLOSED else self._stream.abort()

    def _heed(self) -> None:
        """Wait for what can be gone on with, and for nothing else."""
        if self._stopped and not self._said:
            if not self._gone.is_set():
                libvirt.virEventRemoveHandle(self._watch)
                self._theirs.close()
                self._gone.set()
            return
        room = _IN if len(self._said) < _MOST else 0
        of_stream = _OVER | room | (_OUT if self._typed else 0)
        of_ours = _OURS_IN if len(self._typed) < _MOST else 0
        of_ours |= _OURS_OUT if self._said else 0
        if self._stopped:
            of_stream = self._heeded[0]
        if of_stream != self._heeded[0]:
            self._stream.eventUpdateCallback(of_stream)
        if of_ours != self._heeded[1]:
            libvirt.virEventUpdateHandle(self._watch, of_ours)
        self._heeded = (of_stream, of_ours)
