"""Whether a viewer was let in, read from what it and its server said."""

from __future__ import annotations

import pytest

from vmctl.domain.rfb import Handshake

OLD, NOW = b"RFB 003.003\n", b"RFB 003.008\n"
SEVEN = b"RFB 003.007\n"
CHALLENGE = bytes(range(16))
RESPONSE = bytes(16)
OK, BAD, NONE, PASSWORD = b"\0\0\0\0", b"\0\0\0\1", b"\0\0\0\1", b"\0\0\0\2"
WHY = b"\0\0\0\x06Denied"

VISITS = {
    "3.8, a password": (NOW + b"\1\2" + CHALLENGE + OK, NOW + b"\2" + RESPONSE, True),
    "3.8, a wrong one": (NOW + b"\1\2" + CHALLENGE + BAD + WHY, NOW + b"\2" + RESPONSE, False),
    "3.8, not judged yet": (NOW + b"\1\2" + CHALLENGE, NOW + b"\2" + RESPONSE, None),
    "3.8, half judged": (NOW + b"\1\2" + CHALLENGE + OK[:3], NOW + b"\2" + RESPONSE, None),
    "3.8, nothing chosen yet": (NOW + b"\1\2", NOW, None),
    "3.8, one of three": (NOW + b"\3\5\2\x13" + CHALLENGE + OK, NOW + b"\2" + RESPONSE, True),
    "3.8, open to all": (NOW + b"\1\1" + OK, NOW + b"\1", True),
    "3.8, nobody is wanted": (NOW + b"\0" + WHY, NOW, False),
    "3.7, open to all": (NOW + b"\1\1", SEVEN + b"\1", True),
    "3.7, a wrong one": (NOW + b"\1\2" + CHALLENGE + BAD, SEVEN + b"\2" + RESPONSE, False),
    "3.3, a password": (NOW + PASSWORD + CHALLENGE + OK, OLD + RESPONSE, True),
    "3.3, a wrong one": (NOW + PASSWORD + CHALLENGE + BAD, OLD + RESPONSE, False),
    "3.3, open to all": (NOW + NONE, OLD, True),
    "3.3, nobody is wanted": (NOW + OK + WHY, OLD, False),
    "nothing yet": (b"", b"", None),
    "no viewer yet": (NOW, b"", None),
    "not a viewer": (NOW, b"GET / HTTP/1.1\r\n\r\n", None),
    "by TLS": (NOW + b"\1\x13" + bytes(200), NOW + b"\x13" + bytes(200), None),
    "by TLS, with pictures": (NOW + b"\1\x13" + bytes(70_000), NOW + b"\x13" + bytes(200), True),
}


@pytest.mark.parametrize(("server", "viewer", "let_in"), VISITS.values(), ids=VISITS.keys())
@pytest.mark.parametrize("piece", [1, 4096], ids=["byte by byte", "at once"])
def test_a_viewer_was_let_in_or_not(
    server: bytes, viewer: bytes, let_in: bool | None, piece: int
) -> None:
    handshake = Handshake()
    for at in range(0, len(server), piece):
        handshake.of_server(server[at : at + piece])
    for at in range(0, len(viewer), piece):
        handshake.of_viewer(viewer[at : at + piece])

    assert handshake.let_in is let_in
