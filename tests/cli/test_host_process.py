"""The commands about hosts where there is no host: no inventory, and a database out of reach."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path.cwd()
# Nothing listens there: it refuses at once, and nothing leaves this machine.
ONE_HOST = "hosts:\n  kvm1: {address: 127.0.0.1, port: 1}\n"


def vmctl(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(HERE), **more}
    return subprocess.run(
        [sys.executable, "-m", "vmctl", *words],
        capture_output=True,
        text=True,
        check=False,
        env=environ,
        cwd=home,
        stdin=subprocess.DEVNULL,
        timeout=30,
    )


@pytest.mark.parametrize(
    "words",
    [
        "host list",
        "host show kvm1",
        "host check",
        "host trust kvm1",
        "host ssh kvm1",
        "host enable kvm1",
        "host disable kvm1 --reason x",
        "hypervisor list",
        "hypervisor show kvm1",
        "hypervisor stats show",
        "availability zone list",
        "aggregate list",
        "aggregate show fast",
        "inventory validate",
        "inventory show",
    ],
)
def test_without_an_inventory_a_command_that_needs_one_names_init(
    tmp_path: Path, words: str
) -> None:
    ended = vmctl(tmp_path, *words.split())

    assert ended.returncode == 2
    assert "no inventory" in ended.stderr
    assert "vmctl init" in ended.stderr
    assert ended.stdout == ""


def test_init_writes_an_inventory_that_holds_and_never_over_another(tmp_path: Path) -> None:
    first = vmctl(tmp_path, "init")
    path = tmp_path / ".config/vmctl/inventory.yaml"
    text = path.read_text()
    again = vmctl(tmp_path, "init")

    assert first.returncode == 0
    assert first.stderr == f"wrote {path}\n"
    assert first.stdout == text
    assert again.returncode != 0
    assert str(path) in again.stderr
    assert path.read_text() == text
    # Found again from anywhere, and read as far as it says something.
    assert f"{path}" in vmctl(tmp_path, "inventory", "validate").stdout


def test_an_inventory_is_shown_as_it_holds_for_one_host(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text("defaults: {user: ops}\n" + ONE_HOST)

    valid = vmctl(tmp_path, "inventory", "validate")
    shown = vmctl(tmp_path, "inventory", "show", "--host", "kvm1")
    missing = vmctl(tmp_path, "inventory", "show", "--host", "kvm2")

    assert valid.stdout.endswith("is good: 1 host, 0 networks, 0 aggregates\n")
    assert "    user: ops\n" in shown.stdout
    assert "port: 1\n" in shown.stdout
    assert missing.returncode == 1
    assert "kvm2" in missing.stderr


def test_a_host_that_refuses_is_listed_as_down_and_told_once(tmp_path: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(ONE_HOST)

    first = vmctl(tmp_path, "host", "list", "-f", "value", "-c", "State")
    second = vmctl(tmp_path, "host", "list", "-f", "value", "-c", "State")

    assert (first.returncode, first.stdout) == (0, "down\n")
    assert "was refused" in first.stderr
    assert (second.returncode, second.stdout, second.stderr) == (0, "down\n", "")


def mounted(folder: Path, options: str) -> Iterator[Path]:
    """A small file system of its own, as root alone may have one."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting takes root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    yield from mounted(tmp_path / "disk", "size=1m,ro")


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    for folder in mounted(tmp_path / "disk", "size=32k"):
        with (folder / "filler").open("wb") as file:
            file.write(b"x" * 28 * 1024)
        yield folder


def test_a_database_where_nothing_can_be_written_is_told(tmp_path: Path, read_only: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(ONE_HOST)

    ended = vmctl(tmp_path, "host", "list", VMCTL_DB=str(read_only / "state.db"))

    assert ended.returncode == 13, ended.stderr
    assert str(read_only) in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "has a bug" not in ended.stderr


def test_a_full_disk_under_the_database_is_told(tmp_path: Path, full: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(ONE_HOST)

    ended = vmctl(tmp_path, "host", "list", VMCTL_DB=str(full / "state.db"))

    assert ended.returncode == 13, ended.stderr
    assert "full" in ended.stderr
    assert "has a bug" not in ended.stderr


def test_a_database_that_fills_up_later_keeps_what_it_had(tmp_path: Path, full: Path) -> None:
    (full / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=8m", str(full)], check=True)
    (tmp_path / "inventory.yaml").write_text(ONE_HOST)
    db = {"VMCTL_DB": str(full / "state.db")}
    assert vmctl(tmp_path, "host", "disable", "kvm1", "--reason", "kept", **db).returncode == 0
    with contextlib.suppress(OSError), (full / "filler").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)

    written = vmctl(tmp_path, "host", "enable", "kvm1", **db)
    read = vmctl(tmp_path, "host", "list", "-f", "value", "-c", "Status", **db)

    assert written.returncode == 13, written.stderr
    assert "full" in written.stderr
    assert read.stdout in ("disabled\n", ""), read.stderr
    assert read.returncode in (0, 13), read.stderr
    (full / "filler").unlink()
    assert (
        vmctl(tmp_path, "host", "list", "-f", "value", "-c", "Status", **db).stdout == "disabled\n"
    )


def test_a_log_that_cannot_be_written_stops_no_command(tmp_path: Path, read_only: Path) -> None:
    (tmp_path / "inventory.yaml").write_text(ONE_HOST)
    environ = {"VMCTL_DB": str(tmp_path / "state.db"), "XDG_STATE_HOME": str(read_only)}

    ended = vmctl(tmp_path, "host", "list", "-f", "value", "-c", "State", **environ)

    assert (ended.returncode, ended.stdout) == (0, "down\n")
