"""Images of a few bytes."""

from __future__ import annotations

import struct


def a_qcow2(
    *,
    version: int = 3,
    size: int = 1 << 20,
    backing: int = 0,
    cluster_bits: int = 16,
    crypt: int = 0,
    table: int = 196608,
    features: int = 0,
    extensions: tuple[tuple[int, bytes], ...] = (),
) -> bytes:
    """A qcow2 that holds nothing yet, or one that is wrong in a way."""
    head = b"QFI\xfb" + struct.pack(
        ">IQIIQIIQQIIQ",
        *(version, backing, 8 if backing else 0, cluster_bits, size, crypt),
        *(1, table, 65536, 1, 0, 0),
    )
    if version > 2:
        head += struct.pack(">QQQII", features, 0, 0, 4, 104)
        for kind, value in extensions:
            padded = value.ljust((len(value) + 7) // 8 * 8, b"\0")
            head += struct.pack(">II", kind, len(value)) + padded
        head += bytes(8)
    return head.ljust(262144, b"\0")
