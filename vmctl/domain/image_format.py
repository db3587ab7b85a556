"""What an image is, told by its bytes and never by its name.

A server is made from qcow2 or raw. A qcow2 that names another file is refused: on a host it would
be opened there, and a guest would read what was never given to it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vmctl.errors import UsageError

HEAD = 65536
"""So many bytes from the beginning tell the format; fewer are enough of a shorter file."""

_SECTOR = 512
_QCOW2 = b"QFI\xfb"
_V2, _V3 = 72, 104
"""Bytes of the two versions' headers."""
_CLUSTER_BITS = range(9, 22)
_MAX_SIZE = 1 << 62

_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED = (1 << bit for bit in range(5))
_KNOWN = _DIRTY | _CORRUPT | _DATA_FILE | _COMPRESSION | _EXTENDED
_DATA_FILE_NAME = 0x44415441

_CONVERT = "qemu-img convert -O qcow2 {old} IMAGE.qcow2 makes one that can be used"
_UNPACK = "unpack it first: {old}"

_OTHERS: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"KDMV", "a VMDK", _CONVERT),
    (0, b"COWD", "a VMDK", _CONVERT),
    (0, b"# Disk DescriptorFile", "a VMDK", _CONVERT),
    (64, b"\x7f\x10\xda\xbe", "a VDI", _CONVERT),
    (0, b"vhdxfile", "a VHDX", _CONVERT),
    (0, b"conectix", "a VHD", _CONVERT),
    (0, b"QED\0", "a QED", _CONVERT),
    (0, b"WithoutFreeSpace", "a Parallels disk", _CONVERT),
    (0, b"WithouFreSpacExt", "a Parallels disk", _CONVERT),
    (0, b"LUKS\xba\xbe", "encrypted (LUKS)", _CONVERT),
    (0, b"\x1f\x8b", "packed with gzip", _UNPACK.format(old="gunzip")),
    (0, b"\xfd7zXZ\0", "packed with xz", _UNPACK.format(old="unxz")),
    (0, b"BZh", "packed with bzip2", _UNPACK.format(old="bunzip2")),
    (0, b"\x28\xb5\x2f\xfd", "packed with zstd", _UNPACK.format(old="unzstd")),
    (0, b"7z\xbc\xaf\x27\x1c", "packed with 7-Zip", _UNPACK.format(old="7z x")),
    (0, b"PK\x03\x04", "a ZIP archive", _UNPACK.format(old="unzip")),
    (257, b"ustar", "a tar archive (an OVA is one too)", _UNPACK.format(old="tar -x")),
)
"""What is no disk, by the bytes at a place: what it is, and what to do."""

_PAGES = (b"<!doctype", b"<html", b"<?xml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """What the bytes are; the size is that of the disk in them, in bytes."""

    format: str  # qcow2 or raw
    virtual_size: int


def detect(head: bytes, size: int, what: str = "the image", *, tail: bytes = b"") -> Detected:
    """Tell what bytes are by their beginning, their number and, if it is at hand, their end.

    Raises UsageError, which names them `what`, for all that no server can safely be made from.
    """
    if not size or not head:
        raise UsageError(f"{what} is empty")
    if head.startswith(_QCOW2):
        return _qcow2(head, size, what)
    for place, mark, kind, hint in _OTHERS:
        if head[place : place + len(mark)] == mark:
            raise _refused(
                what, f"is {kind}, and images are qcow2 or raw", hint.format(old="IMAGE")
            )
    if tail[-_SECTOR:].startswith(b"conectix"):
        raise _refused(what, "is a VHD, and images are qcow2 or raw", _CONVERT.format(old="IMAGE"))
    if head[:_SECTOR].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith(_PAGES):
        raise _refused(what, "is a web page, and no disk", "was the way to it right?")
    if size < _SECTOR:
        raise _refused(what, f"has {size} bytes, less than one sector of a disk", None)
    return Detected(format="raw", virtual_size=-(-size // _SECTOR) * _SECTOR)


def _qcow2(head: bytes, size: int, what: str) -> Detected:
    if min(len(head), size) < _V2:
        raise _refused(what, "is a qcow2 that is cut short", "get it again")
    version, backing, _, cluster_bits, virtual, crypt, entries, table = struct.unpack_from(
        ">IQIIQIIQ", head, 4
    )
    if version not in (2, 3):
        raise _refused(
            what, f"is a qcow of version {version}, not 2 or 3", _CONVERT.format(old="IMAGE")
        )
    if backing:
        raise _refused(
            what,
            "is a qcow2 on top of another file, which hosts do not have and guests must not read",
            "qemu-img convert -O qcow2 IMAGE WHOLE.qcow2 makes it whole",
        )
    if crypt:
        raise _refused(what, "is an encrypted qcow2", _CONVERT.format(old="IMAGE"))
    if cluster_bits not in _CLUSTER_BITS or not 0 < virtual < _MAX_SIZE:
        raise _refused(what, "is a damaged qcow2: its header makes no sense", "get it again")
    if table + 8 * entries > size:
        raise _refused(what, "is a qcow2 that is cut short", "get it again")
    if version > 2:
        _check_features(head, what)
    return Detected(format="qcow2", virtual_size=virtual)


def _check_features(head: bytes, what: str) -> None:
    if len(head) < _V3:
        raise _refused(what, "is a qcow2 that is cut short", "get it again")
    (features,) = struct.unpack_from(">Q", head, 72)
    (length,) = struct.unpack_from(">I", head, 100)
    if features & _DATA_FILE or _DATA_FILE_NAME in _extensions(head, length):
        raise _refused(
            what,
            "is a qcow2 whose data is in another file, which a guest must not be led to",
            "qemu-img convert -O qcow2 IMAGE WHOLE.qcow2 makes it whole",
        )
    if features & _CORRUPT:
        raise _refused(what, "is a qcow2 that is marked corrupt", "qemu-img check -r all IMAGE")
    if features & ~_KNOWN:
        raise _refused(
            what,
            f"is a qcow2 with features that are unknown here ({features & ~_KNOWN:#x})",
            _CONVERT.format(old="IMAGE"),
        )


def _extensions(head: bytes, at: int) -> list[int]:
    """List the types of the header's extensions, as far as they can be followed."""
    found = []
    while at >= _V3 and at + 8 <= len(head):
        kind, length = struct.unpack_from(">II", head, at)
        if not kind:
            break
        found.append(kind)
        at += 8 + (length + 7) // 8 * 8
    return found


def _refused(what: str, why: str, hint: str | None) -> UsageError:
    return UsageError(f"{what} {why}", hint=hint)
