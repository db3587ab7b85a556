"""An initramfs archive (cpio, new format) made in memory: needs no root and no tree on disk."""

import stat
from pathlib import PurePosixPath


class Archive:
    """Files, folders, links and devices as they were added; parents are made as needed."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._seen: set[PurePosixPath] = set()

    def folder(self, path: str, mode: int = 0o755, owner: int = 0) -> None:
        self._add(PurePosixPath(path), stat.S_IFDIR | mode, b"", owner=owner)

    def file(self, path: str, data: bytes, mode: int = 0o644, owner: int = 0) -> None:
        self._add(PurePosixPath(path), stat.S_IFREG | mode, data, owner=owner)

    def link(self, path: str, target: str) -> None:
        self._add(PurePosixPath(path), stat.S_IFLNK | 0o777, target.encode())

    def device(self, path: str, major: int, minor: int, mode: int = 0o600) -> None:
        self._add(PurePosixPath(path), stat.S_IFCHR | mode, b"", device=(major, minor))

    def whole(self) -> bytes:
        """The archive with its trailer."""
        return bytes(self._bytes) + _entry("TRAILER!!!", 0, b"")

    def _add(
        self,
        path: PurePosixPath,
        mode: int,
        data: bytes,
        *,
        owner: int = 0,
        device: tuple[int, int] = (0, 0),
    ) -> None:
        path = path.relative_to("/")
        for parent in reversed(path.parents[:-1]):
            if parent not in self._seen:
                self.folder(f"/{parent}")
        if path in self._seen:
            raise ValueError(f"/{path} is in the archive already")
        self._seen.add(path)
        self._bytes += _entry(
            str(path), mode, data, owner=owner, number=len(self._seen), device=device
        )


def _entry(
    name: str,
    mode: int,
    data: bytes,
    *,
    owner: int = 0,
    number: int = 0,
    device: tuple[int, int] = (0, 0),
) -> bytes:
    links = 2 if stat.S_ISDIR(mode) else 1
    coded = name.encode() + b"\0"
    fields = (number, mode, owner, owner, links, 0, len(data), 0, 0, *device, len(coded), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + coded
    return _padded(head) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
