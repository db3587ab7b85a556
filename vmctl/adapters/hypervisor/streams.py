"""The bytes of a volume, sent and received piece by piece, each piece within a limit."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from vmctl.errors import HostError

if TYPE_CHECKING:
    import libvirt

    from vmctl.adapters.hypervisor.link import Link

_PIECE = 256_000
"""Bytes in one message: libvirt's oldest limit is a little more."""

_ABORT = 2.0


def download(
    link: Link, volume: libvirt.virStorageVol, name: str, *, offset: int = 0, length: int = 0
) -> bytes:
    """Read a volume from an offset on; length 0 is to its end."""
    doing = f"reading volume {name}"
    stream = volume.connect().newStream(0)
    pieces: list[bytes] = []
    try:
        link.call(doing, lambda: volume.download(stream, offset, length, 0))
        while piece := link.call(doing, lambda: stream.recv(_PIECE)):
            pieces.append(piece)
        link.call(doing, stream.finish)
    except BaseException:
        _abort(link, stream)
        raise
    return b"".join(pieces)


def upload(link: Link, volume: libvirt.virStorageVol, name: str, content: bytes) -> None:
    """Write a volume from its beginning on."""
    doing = f"writing volume {name}"
    stream = volume.connect().newStream(0)
    rest = memoryview(content)
    try:
        link.call(doing, lambda: volume.upload(stream, 0, len(content), 0))
        while rest:
            piece = bytes(rest[:_PIECE])
            sent = link.call(doing, lambda piece=piece: stream.send(piece))  # type: ignore[misc] # a lambda with a default
            rest = rest[sent:]
        link.call(doing, stream.finish)
    except BaseException:
        _abort(link, stream)
        raise


def _abort(link: Link, stream: libvirt.virStream) -> None:
    # What is wrong with it was told already; a stream that is left open would hold the volume.
    with contextlib.suppress(HostError):
        link.call("ending a transfer", stream.abort, limit=_ABORT)
