"""What kind of file system a path is on: a database with a log of its own needs a local one."""

from __future__ import annotations

import re
from pathlib import Path

from vmctl.errors import StateError

NETWORK = frozenset(
    {
        "9p",
        "acfs",
        "afp",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "gfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "moosefs",
        "ncp",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "panfs",
        "prl_fs",
        "pvfs2",
        "quobyte",
        "smb3",
        "smbfs",
        "vboxsf",
        "virtiofs",
        "vmhgfs",
        "wekafs",
    }
)
"""File systems that other machines may write to as well."""

_NETWORK_FUSE = re.compile(
    r"fuse\.(sshfs|ceph|glusterfs|s3fs|rclone|davfs2?|gcsfuse|goofys|juicefs|moosefs|mfs.*|"
    r"lizardfs|seaweedfs|vmhgfs.*|beegfs|smbnetfs|curlftpfs|gvfsd-fuse|mount-s3|blobfuse2?)"
)
_ESCAPE = re.compile(r"\\([0-7]{3})")


def filesystem_of(path: Path, mountinfo: str) -> tuple[str, str] | None:
    """Say the kind and the mount point of the file system that holds an absolute path."""
    best: tuple[str, str] | None = None
    for line in mountinfo.splitlines():
        before, dash, after = line.partition(" - ")
        fields = before.split(" ")
        if not dash or len(fields) < 5:
            continue
        point = _ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[4])
        # A later mount on the same point hides the earlier one.
        if path.is_relative_to(point) and (best is None or len(point) >= len(best[1])):
            best = (after.split(" ")[0], point)
    return best


def refuse_network(path: Path, mountinfo: str) -> None:
    """Raise StateError if another machine could write to the path behind SQLite's back."""
    found = filesystem_of(path, mountinfo)
    if found is None:
        return
    kind, point = found
    if kind in NETWORK or _NETWORK_FUSE.fullmatch(kind):
        raise StateError(
            f"{path} is on a network file system ({kind} at {point}), where SQLite's log in shared "
            "memory and its locks do not hold between machines",
            hint="keep the state on a local disk (--db PATH, or XDG_STATE_HOME), or share it "
            "through PostgreSQL: --db postgresql://USER@HOST/DATABASE",
        )


def mountinfo() -> str:
    """Read this process's table of mounts; empty where the system has none."""
    try:
        return Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
    except OSError:
        return ""
