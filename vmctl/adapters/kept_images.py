"""The bytes of images, kept beside the state: one file for each digest, whole or not there."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from vmctl.domain.image_format import HEAD, Detected, detect
from vmctl.errors import UsageError, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Progress = Callable[[int, int | None], None]
    """Told from time to time: so many bytes are done, of so many, if that is known."""

CHUNK = 1 << 20
_DRAFT = ".draft-"
_TAIL = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytes:
    """What a number of bytes turned out to be."""

    digest: str  # sha256
    size: int
    detected: Detected


def no_progress(_done: int, _of: int | None) -> None:
    """Tell nobody."""


class KeptImages:
    """A folder of images by digest."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def path(self, digest: str) -> Path:
        """Say where the bytes of a digest are, if they are kept."""
        return self._folder / f"sha256-{digest}"

    def has(self, digest: str | None) -> bool:
        """Whether the bytes of a digest are kept here."""
        return digest is not None and self.path(digest).exists()

    @contextlib.contextmanager
    def draft(self, file: str, progress: Progress = no_progress) -> Iterator[Draft]:
        """Copy a file in here and tell what it is; gone at the end unless it was kept.

        What is judged is the copy: the file may change meanwhile.
        """
        with _reading(file) as source, self._drafted() as (draft, name):
            try:
                found = _copy(source, draft, _size(source), file, progress)
                os.fsync(draft.fileno())
            except OSError as error:
                raise VmctlError(
                    f"{file}: its bytes cannot be kept in {self._folder}: {error.strerror}",
                    hint=f"make room there ({self._folder} holds the bytes of images)",
                ) from error
            yield Draft(bytes=found, name=name, target=self.path(found.digest))

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Let nobody else keep or drop bytes, while the record is made to agree with them."""
        self._make()
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def drop(self, digest: str) -> None:
        """Forget the bytes of a digest, if they are kept."""
        self.path(digest).unlink(missing_ok=True)

    def _make(self) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise VmctlError(f"{self._folder}: {error.strerror}") from error

    @contextlib.contextmanager
    def _drafted(self) -> Iterator[tuple[FileIO, Path]]:
        # Nobody may sweep it away between its making and its lock.
        with self.changing():
            self._sweep()
            try:
                handle, name = tempfile.mkstemp(dir=self._folder, prefix=_DRAFT)
            except OSError as error:
                raise VmctlError(f"{self._folder}: {error.strerror}") from error
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            with FileIO(handle, "r+") as draft:
                yield draft, Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Remove what those who were killed have left: a draft that nobody holds."""
        for left in self._folder.glob(f"{_DRAFT}*"):
            with contextlib.suppress(OSError), left.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Bytes that were copied and judged, and are not kept yet."""

    bytes: Bytes
    name: Path
    target: Path

    def keep(self) -> None:
        """Put them in their place, in that of an older copy too: they are the same."""
        self.name.replace(self.target)
        handle = os.open(self.target.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextlib.contextmanager
def _reading(file: str) -> Iterator[BinaryIO]:
    try:
        source = Path(file).open("rb")  # noqa: SIM115 - closed below
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from error
    with source:
        yield source


def _size(source: BinaryIO) -> int | None:
    return os.fstat(source.fileno()).st_size or None


def _copy(
    source: BinaryIO, draft: FileIO, size: int | None, what: str, progress: Progress
) -> Bytes:
    digest, head, tail, done = hashlib.sha256(), b"", b"", 0
    while more := source.read(CHUNK):
        if len(head) < HEAD:
            head += more[: HEAD - len(head)]
            if len(head) == HEAD:
                # What is no image at all need not be copied to its end.
                detect(head, size or 1 << 62, what)
        digest.update(more)
        rest = memoryview(more)
        while rest:
            rest = rest[draft.write(rest) :]
        tail = (tail + more)[-_TAIL:]
        done += len(more)
        progress(done, size)
    return Bytes(digest=digest.hexdigest(), size=done, detected=detect(head, done, what, tail=tail))
