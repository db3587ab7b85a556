"""What stands in an ISO image, read back by its Rock Ridge names."""

from __future__ import annotations

import io

import pycdlib


def files_in(image: bytes) -> dict[str, bytes]:
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(image))
    found: dict[str, bytes] = {}
    for folder, _, names in iso.walk(rr_path="/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            content = io.BytesIO()
            iso.get_file_from_iso_fp(content, rr_path=path)
            joliet = io.BytesIO()
            iso.get_file_from_iso_fp(joliet, joliet_path=path)
            assert joliet.getvalue() == content.getvalue()
            found[path.lstrip("/")] = content.getvalue()
    iso.close()
    return found


def label_of(image: bytes) -> str:
    return image[16 * 2048 + 40 : 16 * 2048 + 72].decode("ascii").rstrip()
