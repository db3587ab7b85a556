"""What a VNC server and a viewer say before anything is shown, which tells who is let in.

The RFB protocol, as RFC 6143 has it, and its version 3.3.
"""

from __future__ import annotations

_VERSION = 12
_CHALLENGE = 16
_OPEN, _PASSWORD = 1, 2
_BEGINNING = 1024
"""Bytes that are kept of either side; a handshake by password takes less than a hundred."""

_PICTURES = 65536
"""Bytes of a server that can only be pictures, whatever was agreed on before."""


class Handshake:
    """The beginning of one viewer's visit, as it is heard from both sides."""

    def __init__(self) -> None:
        self._server = b""
        self._viewer = b""
        self._said = 0

    def of_server(self, data: bytes) -> None:
        """Take note of what the server said."""
        self._said += len(data)
        self._server = (self._server + data)[:_BEGINNING]

    def of_viewer(self, data: bytes) -> None:
        """Take note of what the viewer said."""
        self._viewer = (self._viewer + data)[:_BEGINNING]

    @property
    def let_in(self) -> bool | None:
        """Whether the server let the viewer in; None while that is open.

        Of a way in that is not known here, it is known once there were pictures.
        """
        version = _minor(self._viewer)
        if version is None or _minor(self._server) is None:
            return None
        return self._as_of_old() if version < 7 else self._as_of_now(version)

    def _as_of_old(self) -> bool | None:
        """Until 3.7 the server chose the way in."""
        chosen = _number(self._server, _VERSION)
        return None if chosen is None else self._by(chosen, _VERSION + 4, told=False)

    def _as_of_now(self, version: int) -> bool | None:
        """Since 3.7 the viewer chooses among those that the server names."""
        offered = self._server[_VERSION : _VERSION + 1]
        if not offered:
            return None
        if not offered[0]:
            return False
        chosen = self._viewer[_VERSION : _VERSION + 1]
        if not chosen:
            return None
        return self._by(chosen[0], _VERSION + 1 + offered[0], told=version >= 8)

    def _by(self, way: int, at: int, *, told: bool) -> bool | None:
        """Judge by the server's verdict, which stands behind what this way in takes."""
        if way == 0:
            return False
        if way == _OPEN and not told:
            return True
        if way not in (_OPEN, _PASSWORD):
            return True if self._said > _PICTURES else None
        verdict = _number(self._server, at + (_CHALLENGE if way == _PASSWORD else 0))
        return None if verdict is None else verdict == 0


def _minor(said: bytes) -> int | None:
    """Read the version that a side speaks: RFB 003.008 and a newline."""
    digits = said[8:11]
    if len(said) < _VERSION or not said.startswith(b"RFB 003.") or not digits.isdigit():
        return None
    return int(digits)


def _number(said: bytes, at: int) -> int | None:
    digits = said[at : at + 4]
    return int.from_bytes(digits) if len(digits) == 4 else None
