"""One command on one ssh channel: bytes in, bytes out, an end within its limit."""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING

from vmctl.adapters.scripts import OUTPUT_LIMIT
from vmctl.domain.completed import Completed

if TYPE_CHECKING:
    from paramiko import Channel

_CHUNK = 32768
_LOOK = 1.0
_WINDOW_LOOK = 0.01


class Overrun(Exception):
    """A command wrote more than the limit allows."""


class OutOfTime(Exception):
    """A command had not ended when its time was over."""


class CutOff(Exception):
    """The connection ended before the command did, as far as is known."""


def converse(channel: Channel, line: str, data: bytes, deadline: float) -> Completed:
    """Run a command line with these bytes on its stdin, to its end or to its deadline."""
    channel.exec_command(line)
    # Both streams and the end wake this: without it the loop would have to look again and again.
    wake = channel.fileno()
    out, err = bytearray(), bytearray()
    unsent = memoryview(data)
    closed = False
    while True:
        unsent = _send(channel, unsent)
        if not unsent and not closed:
            channel.shutdown_write()
            closed = True
        _drain(channel, out, err)
        if channel.eof_received or channel.closed:
            _drain(channel, out, err)
            break
        left = deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime
        select.select([wake], [], [], min(left, _WINDOW_LOOK if unsent else _LOOK))
    while not channel.status_event.wait(min(max(deadline - time.monotonic(), 0), _LOOK)):
        if channel.closed or not channel.get_transport().is_active():
            break
        if time.monotonic() >= deadline:
            raise OutOfTime
    if not channel.exit_status_ready() or channel.exit_status < 0:
        raise CutOff
    return Completed(exit_code=channel.exit_status, stdout=bytes(out), stderr=bytes(err))


def _send(channel: Channel, unsent: memoryview) -> memoryview:
    while unsent and channel.send_ready():
        try:
            sent = channel.send(bytes(unsent[:_CHUNK]))
        except OSError:
            # The command ended without reading it all; its exit code tells what that means.
            return unsent[:0]
        if not sent:
            return unsent[:0]
        unsent = unsent[sent:]
    return unsent


def _drain(channel: Channel, out: bytearray, err: bytearray) -> None:
    while channel.recv_ready():
        out += channel.recv(_CHUNK)
        _bound(out, err)
    while channel.recv_stderr_ready():
        err += channel.recv_stderr(_CHUNK)
        _bound(out, err)


def _bound(out: bytearray, err: bytearray) -> None:
    if len(out) + len(err) > OUTPUT_LIMIT:
        raise Overrun
