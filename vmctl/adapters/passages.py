"""Connections to what a host reaches: through the ssh connection that there is, or from here."""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING

from vmctl.errors import HostUnreachable, RemoteFailed

if TYPE_CHECKING:
    from paramiko import Channel

    from vmctl.adapters.ssh_config import Hop
    from vmctl.adapters.ssh_connect import Link

_PIECE = 65536
_FORBIDDEN = 1


class SocketPassage:
    """See the port for what each call means; a channel of ssh does as a socket does."""

    def __init__(self, host: str, line: socket.socket | Channel) -> None:
        self._host = host
        self._line = line

    def read(self) -> bytes:
        """Wait for what comes, and give it; b"" at the end."""
        try:
            return self._line.recv(_PIECE)
        except (OSError, EOFError):
            return b""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        try:
            self._line.sendall(data)
        except (OSError, EOFError) as error:
            raise HostUnreachable(
                self._host, f"{self._host}: the connection was lost", reason="lost"
            ) from error

    def close(self) -> None:
        """End it, for whoever waits at it too."""
        with contextlib.suppress(OSError, EOFError):  # ended already
            self._line.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError, EOFError):
            self._line.close()


def through(link: Link, hop: Hop, host: str, *, to: tuple[str, int], limit: float) -> SocketPassage:
    """Connect to an address as a host reaches it; no shell and no rights are needed there."""
    from paramiko.ssh_exception import ChannelException

    from vmctl.adapters.limited import limited
    from vmctl.adapters.ssh_connect import about
    from vmctl.adapters.ssh_errors import ssh_errors

    def opening() -> Channel | ChannelException:
        try:
            return link.transport.open_channel("direct-tcpip", to, ("127.0.0.1", 0), timeout=limit)
        except ChannelException as error:
            return error

    def discard(late: Channel | ChannelException) -> None:
        if not isinstance(late, ChannelException):
            late.close()

    with ssh_errors(about(hop, host, limit, jump=False)):
        made = limited(opening, limit + 1, discard=discard)
    if isinstance(made, ChannelException):
        raise _refused(host, *to, forbidden=made.code == _FORBIDDEN) from made
    made.settimeout(None)
    return SocketPassage(host, made)


def from_here(host: str, address: str, port: int, limit: float) -> SocketPassage:
    """Connect to an address that this machine reaches."""
    try:
        made = socket.create_connection((address, port), timeout=limit)
    except OSError as error:
        raise _refused(host, address, port, forbidden=False) from error
    made.settimeout(None)
    return SocketPassage(host, made)


def _refused(host: str, address: str, port: int, *, forbidden: bool) -> RemoteFailed:
    if forbidden:
        return RemoteFailed(
            host,
            f"{host}: its sshd lets nobody through to {address} port {port}",
            hint=f"on {host}: AllowTcpForwarding local (or yes) in sshd_config, for this login",
            reason="forwarding",
        )
    return RemoteFailed(
        host, f"{host}: nothing answers there at {address} port {port}", reason="port"
    )
