"""One ssh connection inside another: a channel of the outer one is its socket."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from paramiko import SSHException

if TYPE_CHECKING:
    from paramiko import Channel


class InnerSocket:
    """A channel in a socket's place, which may be closed at any time.

    A channel says goodbye when it is closed, and fails where the connection around it ends at
    that moment: in the thread of the inner connection, or in place of what is to be told.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def __getattr__(self, name: str) -> Any:
        return getattr(self._channel, name)

    def close(self) -> None:
        """End it; the other side learns of it, if by nothing else then by the outer one's end."""
        with contextlib.suppress(SSHException, EOFError, OSError):
            self._channel.close()
