"""Writing an image's bytes into a file: whole and verified, or not at all."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from vmctl.adapters.image_url import stream
from vmctl.adapters.kept_images import CHUNK
from vmctl.errors import NotFound, VmctlError

if TYPE_CHECKING:
    from collections.abc import Callable
    from io import BufferedRandom

    from vmctl.adapters.base_images import HostBaseImages
    from vmctl.adapters.kept_images import KeptImages, Progress
    from vmctl.domain.catalog import Image
    from vmctl.domain.host import Host


def save(
    image: Image,
    file: Path,
    *,
    kept: KeptImages,
    bases: HostBaseImages,
    hosts: Callable[[], tuple[Host, ...]],
    progress: Progress,
) -> None:
    """Write the bytes: those kept here, or a host's, or what is behind the URL."""
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise VmctlError(f"{file}: {error.strerror}") from error
    draft = Path(name)
    try:
        with os.fdopen(handle, "w+b") as out:
            _fill(image, out, kept=kept, bases=bases, hosts=hosts, progress=progress)
            out.flush()
            found = _digest(out)
            mask = os.umask(0o077)
            os.umask(mask)
            os.fchmod(out.fileno(), 0o666 & ~mask)
        if found != image.checksum:
            raise VmctlError(
                f"{file} was not written: the checksum is wrong: wanted sha256 {image.checksum},"
                f" found {found}"
            )
        draft.replace(file)
    except OSError as error:
        raise VmctlError(f"{file}: {error.strerror}") from error
    finally:
        draft.unlink(missing_ok=True)


def _fill(
    image: Image,
    out: BufferedRandom,
    *,
    kept: KeptImages,
    bases: HostBaseImages,
    hosts: Callable[[], tuple[Host, ...]],
    progress: Progress,
) -> None:
    digest, size = image.checksum or "", image.size
    if kept.has(digest):
        done = 0
        with kept.path(digest).open("rb") as source:
            while more := source.read(CHUNK):
                out.write(more)
                done += len(more)
                progress(done, size)
        return
    if bases.download(digest, hosts(), out.fileno(), lambda done: progress(done, size)):
        return
    if image.url is None:
        raise NotFound(
            f"nobody has the bytes of the image {image.name}: they are not kept here, and no host"
            " that answers has them"
        )
    for more in stream(image.url, progress):
        out.write(more)


def _digest(out: BufferedRandom) -> str:
    out.seek(0)
    return hashlib.file_digest(out, "sha256").hexdigest()
