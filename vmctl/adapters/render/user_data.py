"""What a guest is told to do: the operator's user data as it is, and ours beside it.

The host name and the public key are no part of it: they stand in the seed's own metadata. So
most user data reaches the guest untouched, of whatever kind it is.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import TYPE_CHECKING

import yaml

from vmctl.adapters.render.domain import disk_serial
from vmctl.domain.guest_words import as_part, part
from vmctl.domain.hardware import hardware_of
from vmctl.errors import UsageError

if TYPE_CHECKING:
    from vmctl.domain.build import Build
    from vmctl.domain.spec import Secrets, ServerSpec

NOTHING = b"#cloud-config\n{}\n"
"""What is said where nothing is to be said: the seed must have the file."""

_BOTH = 2
"""The parts of a message that has the operator's words and ours."""

_BY_ID = {
    "virtio": "virtio-{}",
    "scsi": "scsi-0QEMU_QEMU_HARDDISK_{}",
    "sata": "ata-QEMU_HARDDISK_{}",
    "ide": "ata-QEMU_HARDDISK_{}",
    "usb": "usb-QEMU_QEMU_HARDDISK_{}-0:0",
}
"""How a disk of each bus is called below /dev/disk/by-id, by its serial."""

_MERGE_HOW = [
    {"name": "list", "settings": ["append"]},
    {"name": "dict", "settings": ["no_replace", "recurse_list"]},
    {"name": "str", "settings": []},
]
"""Ours comes last: lists grow, and what the operator has said stays as it is."""


def user_data(spec: ServerSpec, build: Build, secrets: Secrets) -> bytes:
    """Give what the guest is told: the operator's words, ours, or both as a MIME message."""
    theirs = _decoded(secrets.user_data, "the user data") if secrets.user_data else b""
    ours = _ours(spec, build, secrets)
    if not ours:
        return theirs or NOTHING
    if not theirs.strip():
        return b"#cloud-config\n" + as_yaml(ours)
    config = b"#cloud-config\n" + as_yaml({**ours, "merge_how": _MERGE_HOW})
    return _multipart([as_part(theirs), part("text/cloud-config", config)])


def theirs_in(told: bytes) -> bytes:
    """Give the operator's words of what a guest was told by `user_data`."""
    head, _, rest = told.partition(b"\n\n")
    found = re.fullmatch(rb'[^"]*boundary="([0-9a-f]{40})"\n[^\n]*', head)
    if found is None:
        return told
    line = b"--" + found[1]
    parts = [one.removesuffix(b"\n") for one in rest.split(line + b"\n")[1:]]
    if len(parts) != _BOTH:
        return told
    parts[-1] = parts[-1].removesuffix(b"\n" + line + b"--")
    if _multipart(parts) != told:
        return told
    return _content(parts[0])


def _content(told: bytes) -> bytes:
    """Give what was made a part of a message; a message that was one already stays so."""
    head, _, body = told.partition(b"\n\n")
    kind = head.partition(b"\n")[0].removeprefix(b"Content-Type: ").decode("ascii", "replace")
    try:
        content = base64.b64decode(body)
    except binascii.Error:
        return told
    return content if part(kind, content) == told else told


def as_yaml(value: object) -> bytes:
    """Write a value as YAML that is ASCII: every other sign is escaped, and none can get out."""
    text: str = yaml.safe_dump(value, sort_keys=False, allow_unicode=False, width=2**31)
    return text.encode("ascii")


def _ours(spec: ServerSpec, build: Build, secrets: Secrets) -> dict[str, object]:
    said: dict[str, object] = {}
    if secrets.password_hash:
        # It is the image's default user whose password it is.
        said["password"] = secrets.password_hash
        said["chpasswd"] = {"expire": False}
        said["ssh_pwauth"] = True
    if secrets.files:
        said["write_files"] = [
            {
                "path": path,
                "encoding": "b64",
                "content": base64.b64encode(_decoded(content, f"the file {path}")).decode(),
            }
            for path, content in secrets.files.items()
        ]
    file_systems, mounts = _disks(spec, build)
    if mounts:
        said["fs_setup"], said["mounts"] = file_systems, mounts
    return said


def _disks(spec: ServerSpec, build: Build) -> tuple[list[dict[str, object]], list[list[str]]]:
    """Say how the disks beside the root's are made ready: the first ephemeral one at /mnt."""
    bus = hardware_of(spec.image.properties, spec.flavor.extra_specs).disk_bus
    file_systems: list[dict[str, object]] = []
    mounts: list[list[str]] = []
    for role in ("ephemeral", "swap"):
        for number, _ in enumerate(build.of_role(role)):
            device = "/dev/disk/by-id/" + _BY_ID[bus].format(disk_serial(role, number))
            kind = "swap" if role == "swap" else "ext4"
            file_systems.append(
                {
                    "device": device,
                    "filesystem": kind,
                    "label": f"{role}{number}",
                    "partition": "auto",
                    "overwrite": False,
                }
            )
            if role == "swap":
                mounts.append([device, "none", "swap", "sw,nofail", "0", "0"])
            else:
                where = "/mnt" if number == 0 else f"/mnt{number}"
                mounts.append([device, where, "auto", "defaults,nofail", "0", "2"])
    return file_systems, mounts


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise UsageError(f"{what} is not on record as base64: {error}") from error


def _multipart(parts: list[bytes]) -> bytes:
    boundary = ""
    while not boundary or any(boundary.encode() in part for part in parts):
        boundary = hashlib.sha256(b"\0".join((boundary.encode(), *parts))).hexdigest()[:40]
    line = f"--{boundary}".encode()
    head = f'Content-Type: multipart/mixed; boundary="{boundary}"\nMIME-Version: 1.0\n\n'.encode()
    return head + b"".join(line + b"\n" + part + b"\n" for part in parts) + line + b"--\n"
