"""User data as the part of a message that it becomes where more is to be said to the guest."""

from __future__ import annotations

import base64
import zlib

from vmctl.errors import UsageError

MOST = 16 * 2**20
"""Bytes of user data; what is packed smaller must not unpack to more."""

_KINDS = (
    (b"#cloud-config-archive", "text/cloud-config-archive"),
    (b"#cloud-config-jsonp", "text/cloud-config-jsonp"),
    (b"#cloud-config", "text/cloud-config"),
    (b"#cloud-boothook", "text/cloud-boothook"),
    (b"#include-once", "text/x-include-once-url"),
    (b"#include", "text/x-include-url"),
    (b"#part-handler", "text/part-handler"),
    (b"## template: jinja", "text/jinja2"),
    (b"#!", "text/x-shellscript"),
)


def as_part(data: bytes) -> bytes:
    """Give user data as one part of a message; a message is a part as it stands.

    Raises UsageError where it is neither what it begins as nor anything that can be told.
    """
    whole = _unpacked(data)
    if _is_message(whole):
        try:
            whole.decode()
        except UnicodeDecodeError as error:
            raise UsageError("the user data is a MIME message, and no UTF-8") from error
        return whole
    start = whole.lstrip()[:40].lower()
    kind = next((kind for begin, kind in _KINDS if start.startswith(begin)), "text/plain")
    return part(kind, whole)


def part(kind: str, data: bytes) -> bytes:
    """Write something as a part of a message."""
    head = f"Content-Type: {kind}\nMIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n"
    return head.encode() + base64.encodebytes(data)


def _unpacked(data: bytes) -> bytes:
    """Unpack gzip, for only a part that stands by itself is taken for what it holds."""
    if not data.startswith(b"\x1f\x8b"):
        return data
    whole = b""
    while data:
        unpacker = zlib.decompressobj(wbits=31)
        try:
            whole += unpacker.decompress(data, MOST + 1 - len(whole))
        except zlib.error as error:
            raise UsageError(f"the user data begins as gzip does, and is none: {error}") from error
        if len(whole) > MOST:
            raise UsageError(f"the user data is gzip and holds more than {MOST} bytes")
        if not unpacker.eof:
            raise UsageError("the user data is gzip and ends too early")
        data = unpacker.unused_data
    return whole


def _is_message(data: bytes) -> bool:
    """Whether it begins with the headers of a MIME message."""
    from email.parser import BytesHeaderParser

    if b"mime-version:" not in data[:4096].lower():
        return False
    head = BytesHeaderParser().parsebytes(data)
    return head["MIME-Version"] is not None and head["Content-Type"] is not None
