from __future__ import annotations

from pathlib import Path

import pytest

from vmctl.adapters.location import PostgresUrl, SqliteFile, parse_location
from vmctl.adapters.mounts import filesystem_of, mountinfo, refuse_network
from vmctl.errors import StateError, UsageError

MOUNTS = r"""
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /home rw shared:2 - nfs4 filer:/home rw,vers=4.2
31 30 0:41 / /home/alice/local rw - xfs /dev/vdb rw
32 22 0:42 / /mnt/with\040space rw - fuse.sshfs alice@far:/ rw
33 22 0:43 / /mnt/auto rw - autofs systemd-1 rw
34 33 0:44 / /mnt/auto rw - cifs //far/share rw
35 22 0:45 / /mnt/ntfs rw shared:9 master:3 - fuseblk /dev/vdc rw
not a line of the table
"""


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/var/lib/state.db", ("ext4", "/")),
        ("/home/bob/state.db", ("nfs4", "/home")),
        ("/homework/state.db", ("ext4", "/")),
        ("/home/alice/local/state.db", ("xfs", "/home/alice/local")),
        ("/mnt/with space/state.db", ("fuse.sshfs", "/mnt/with space")),
        ("/mnt/auto/state.db", ("cifs", "/mnt/auto")),
        ("/mnt/ntfs/state.db", ("fuseblk", "/mnt/ntfs")),
    ],
)
def test_the_innermost_and_latest_mount_holds_a_path(path: str, found: tuple[str, str]) -> None:
    assert filesystem_of(Path(path), MOUNTS) == found


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "fuse.sshfs"])
def test_a_network_file_system_is_refused_with_the_reason(kind: str) -> None:
    mounts = f"30 22 0:40 / /shared rw - {kind} far:/ rw"

    with pytest.raises(StateError, match=rf"network file system \({kind} at /shared\)") as caught:
        refuse_network(Path("/shared/vmctl/state.db"), mounts)

    assert "postgresql://" in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuseblk"])
def test_a_local_file_system_is_taken(kind: str) -> None:
    refuse_network(Path("/shared/state.db"), f"30 22 0:40 / /shared rw - {kind} /dev/x rw")


def test_this_machines_own_table_can_be_read() -> None:
    assert filesystem_of(Path("/proc/self"), mountinfo()) == ("proc", "/proc")


def test_one_file_under_two_names_is_one_database(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "state.db")

    assert parse_location(f"{tmp_path}/a/../link") == SqliteFile(tmp_path / "state.db")


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("sqlite:////srv/state%20x.db", SqliteFile(Path("/srv/state x.db"))),
        ("postgresql://db/vmctl", PostgresUrl("postgresql+psycopg://db/vmctl")),
        ("postgres://a@db:5432/v", PostgresUrl("postgresql+psycopg://a@db:5432/v")),
        ("postgresql+psycopg://?service=x", PostgresUrl("postgresql+psycopg://?service=x")),
        (
            "postgresql://[2001:db8::1]:5432/v?passfile=/x",
            PostgresUrl("postgresql+psycopg://[2001:db8::1]:5432/v?passfile=/x"),
        ),
    ],
)
def test_a_url_is_read(text: str, location: object) -> None:
    assert parse_location(text) == location


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://alice:SECRET@db/vmctl",
        "postgresql+psycopg://alice:SECRET@db/vmctl",
        "postgres://:SECRET@db/vmctl",
        "postgresql://alice:SEC/RET@db/vmctl",
        "postgresql://alice:SEC?RET@db/vmctl",
        "postgresql://alice@db/vmctl?password=SECRET",
        "postgresql://alice@db/vmctl?sslmode=require&PASSWORD=SECRET",
        "postgresql://alice@db/vmctl?pass%77ord=SECRET",
        "postgresql://alice@db/vmctl?sslpassword=SECRET",
    ],
)
def test_a_password_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_location(text)

    said = f"{caught.value} {caught.value.hint}"
    assert "SEC" not in said
    assert all(word in said for word in ("~/.pgpass", "PGPASSFILE", "pg_service"))


@pytest.mark.parametrize(
    "text", [":memory:", " ", "sqlite://", "sqlite://host/x", "mysql://a@b/c", "oracle://x", "a\0b"]
)
def test_what_is_no_database_of_ours_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_location(text)

    assert caught.value.hint
