from __future__ import annotations

import hashlib
import os
import resource
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.plan import CHECKOUT
from tests.support.children import started
from tests.support.images import a_qcow2
from tests.support.product import Product
from tests.support.web import Web, web

QCOW2 = a_qcow2(size=5 << 20)
DIGEST = hashlib.sha256(QCOW2).hexdigest()
RAW = b"\xeb\x63\x90".ljust(100_001, b"\x07")


@pytest.fixture
def vmctl(tmp_path: Path) -> Product:
    return Product(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"  # the name lies
    path.write_bytes(QCOW2)
    return path


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as served:
        yield served


def kept(vmctl: Product) -> list[str]:
    folder = vmctl.folder / "images"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_an_image_of_a_file_is_what_its_bytes_are(vmctl: Product, file: Path) -> None:
    made = vmctl.data("image", "create", "mini", "--file", str(file), "--property", "os=x")

    assert made["checksum"] == DIGEST
    assert (made["disk_format"], made["size"], made["virtual_size"]) == (
        "qcow2",
        len(QCOW2),
        5 << 20,
    )
    assert (made["status"], made["vmctl:kept"], made["properties"]) == ("active", True, {"os": "x"})
    (name,) = kept(vmctl)
    assert name == f"sha256-{DIGEST}"
    there = vmctl.folder / "images" / name
    assert there.read_bytes() == QCOW2
    assert there.stat().st_mode & 0o777 == 0o600
    assert there.parent.stat().st_mode & 0o777 == 0o700


def test_sizes_can_be_read_by_people(vmctl: Product, file: Path) -> None:
    vmctl.ok("image", "create", "mini", "--file", str(file))

    shown = vmctl.data("image", "show", "mini", "--human-readable")

    assert (shown["size"], shown["virtual_size"]) == ("256.0 KiB", "5.0 MiB")


def test_what_is_no_image_leaves_nothing(vmctl: Product, file: Path) -> None:
    for content in (a_qcow2(backing=512), b"\x1f\x8b" * 4096, b"", b"<html>" * 200):
        file.write_bytes(content)

        assert vmctl.run("image", "create", "x", "--file", str(file)).code == 2
        assert kept(vmctl) == []
        assert vmctl.data("image", "list") == []


@pytest.mark.parametrize("where", ["/nonexistent/x", "/etc"])
def test_a_file_that_is_none_is_a_mistake(vmctl: Product, where: str) -> None:
    ran = vmctl.run("image", "create", "x", "--file", where)

    assert ran.code == 2
    assert where in ran.err


def test_a_format_that_was_claimed_must_be_true(vmctl: Product, file: Path) -> None:
    wrong = vmctl.run("image", "create", "x", "--file", str(file), "--disk-format", "raw")
    assert wrong.code == 2
    assert "is qcow2 by its bytes, and --disk-format says raw" in wrong.err
    assert kept(vmctl) == []

    noise = ("--container-format", "bare", "--public", "--disk-format", "qcow2", "--progress")
    vmctl.ok("image", "create", "x", "--file", str(file), *noise)


def test_a_checksum_of_a_file_is_compared(vmctl: Product, file: Path) -> None:
    asked = ("image", "create", "x", "--file", str(file), "--checksum")

    wrong = vmctl.run(*asked, f"sha256:{'0' * 64}")
    assert wrong.code == 1
    assert f"wanted sha256 {'0' * 64}, found {DIGEST}" in wrong.err
    assert kept(vmctl) == []
    vmctl.ok(*asked, f"sha256:{DIGEST.upper()}")


def test_a_name_that_is_taken_keeps_no_bytes(vmctl: Product, file: Path) -> None:
    vmctl.ok("image", "create", "x")

    ran = vmctl.run("image", "create", "x", "--file", str(file))

    assert (ran.code, kept(vmctl)) == (1, [])
    assert "an image of this name is there already" in ran.err


def test_an_id_that_is_taken_keeps_no_bytes_but_those_of_others(vmctl: Product, file: Path) -> None:
    vmctl.ok("image", "create", "one", "--id", "i")
    assert vmctl.run("image", "create", "x", "--file", str(file), "--id", "i").code == 1
    assert kept(vmctl) == []

    vmctl.ok("image", "create", "two", "--file", str(file))
    assert vmctl.run("image", "create", "x", "--file", str(file), "--id", "i").code == 1
    assert len(kept(vmctl)) == 1


def test_bytes_go_with_the_last_image_that_has_them(vmctl: Product, file: Path) -> None:
    vmctl.ok("image", "create", "one", "--file", str(file))
    vmctl.ok("image", "create", "two", "--file", str(file))

    vmctl.ok("image", "delete", "one")
    assert len(kept(vmctl)) == 1
    vmctl.ok("image", "delete", "two")
    assert kept(vmctl) == []


def test_a_protected_image_stays(vmctl: Product, file: Path) -> None:
    vmctl.ok("image", "create", "x", "--file", str(file), "--protected")

    ran = vmctl.run("image", "delete", "x")

    assert ran.code == 15
    assert "vmctl image set --unprotected x" in ran.err
    assert len(kept(vmctl)) == 1
    vmctl.ok("image", "set", "x", "--unprotected")
    vmctl.ok("image", "delete", "x")


def test_images_are_chosen_by_name_status_and_property(vmctl: Product, file: Path) -> None:
    vmctl.ok("image", "create", "one", "--file", str(file), "--property", "os=a")
    vmctl.ok("image", "create", "two", "--property", "os=a", "--property", "v=2")

    def names(*words: str) -> list[str]:
        return vmctl.ok("image", "list", *words, "-f", "value", "-c", "Name").split()

    assert names() == ["one", "two"]
    assert names("--name", "two") == ["two"]
    assert names("--status", "ACTIVE") == ["one"]
    assert names("--property", "os=a") == ["one", "two"]
    assert names("--property", "os=a", "--property", "v=2") == ["two"]


def test_an_image_is_saved_whole_or_not_at_all(vmctl: Product, file: Path) -> None:
    vmctl.ok("image", "create", "x", "--file", str(file))
    target = vmctl.folder / "out" / "x.qcow2"
    target.parent.mkdir()
    target.write_bytes(b"older")

    vmctl.ok("image", "save", "x", "--file", str(target))
    assert target.read_bytes() == QCOW2

    (vmctl.folder / "images" / f"sha256-{DIGEST}").write_bytes(b"spoiled")
    target.write_bytes(b"older")
    ran = vmctl.run("image", "save", "x", "--file", str(target))
    assert ran.code == 1
    assert "the checksum is wrong" in ran.err
    assert target.read_bytes() == b"older"
    assert list(target.parent.iterdir()) == [target]


def test_a_full_disk_leaves_nothing(vmctl: Product, file: Path) -> None:
    room = vmctl.folder / "images"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    vmctl.ok("image", "list")  # the database is there
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        ran = vmctl.run("image", "create", "x", "--file", str(file))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)

    assert ran.code == 1
    assert f"cannot be kept in {room}" in ran.err
    assert kept(vmctl) == []


def test_what_a_killed_create_left_is_swept_away_by_the_next(vmctl: Product, file: Path) -> None:
    pipe = vmctl.folder / "pipe"
    os.mkfifo(pipe)
    environ = {**os.environ, "VMCTL_DB": str(vmctl.db), "HOME": str(vmctl.folder)}
    words = [sys.executable, "-m", "vmctl", "image", "create", "x", "--file", str(pipe)]
    with started(words, env=environ, cwd=CHECKOUT) as process, pipe.open("wb") as feed:
        feed.write(QCOW2[:100_000])
        feed.flush()
        while not kept(vmctl):
            time.sleep(0.02)
        vmctl.ok("image", "create", "other", "--file", str(file))
        assert len(kept(vmctl)) == 2  # one that is being written is left alone
        process.kill()
        process.wait()
    assert len(kept(vmctl)) == 2

    vmctl.ok("image", "create", "third", "--file", str(file))

    assert kept(vmctl) == [f"sha256-{DIGEST}"]


def test_a_url_without_a_checksum_is_read_once(vmctl: Product, site: Web) -> None:
    url = site.put("disk", QCOW2)

    ran = vmctl.run("image", "create", "x", "--url", url, "-f", "json")

    assert ran.code == 0
    assert f"reading {url} once, for its sha256" in ran.err
    shown = vmctl.data("image", "show", "x")
    assert (shown["checksum"], shown["vmctl:url"], shown["vmctl:kept"]) == (DIGEST, url, False)
    assert site.asked == [("/disk", None)]
    assert kept(vmctl) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_of_a_url_with_a_checksum_only_the_beginning_is_read(
    vmctl: Product, site: Web, ranges: bool
) -> None:
    site.ranges = ranges
    url = site.put("disk", QCOW2)

    made = vmctl.data("image", "create", "x", "--url", url, "--checksum", "0" * 64)

    # Whether the bytes are those is found out where they land.
    assert (made["checksum"], made["size"], made["disk_format"]) == ("0" * 64, len(QCOW2), "qcow2")
    assert site.asked == [("/disk", "bytes=0-65535")]


def test_a_server_that_tells_no_size_has_all_of_it_read(vmctl: Product, site: Web) -> None:
    site.tells_size = site.ranges = False
    url = site.put("disk", RAW)
    digest = hashlib.sha256(RAW).hexdigest()

    ran = vmctl.run("image", "create", "x", "--url", url, "--checksum", f"sha256:{'0' * 64}")
    assert ran.code == 1
    assert f"wanted sha256 {'0' * 64}, found {digest}" in ran.err

    made = vmctl.data("image", "create", "x", "--url", url, "--checksum", digest)
    assert (made["size"], made["virtual_size"], made["disk_format"]) == (100_001, 100_352, "raw")


@pytest.mark.parametrize("checksum", [(), ("--checksum", "0" * 64)])
def test_a_url_that_leads_nowhere_or_to_no_disk_is_said(
    vmctl: Product, site: Web, checksum: tuple[str, ...]
) -> None:
    site.put("page", b"<!DOCTYPE html>" + b" " * 600)
    site.redirects["/away"] = "file:///etc/passwd"
    site.redirects["/on"] = site.put("disk", QCOW2)

    def create(path: str, name: str = "x") -> tuple[int, str]:
        ran = vmctl.run("image", "create", name, "--url", site.url(path), *checksum)
        return ran.code, ran.err

    assert create("none")[0] == 1
    assert "the server answered 404" in create("none")[1]
    assert "is a web page" in create("page")[1]
    assert create("away")[0] == 1
    assert create("on")[0] == 0
    down = vmctl.run("image", "create", "y", "--url", "http://127.0.0.1:1/x", *checksum)
    assert (down.code, "cannot be read" in down.err) == (1, True)


def test_an_image_without_bytes_here_is_saved_from_its_url(vmctl: Product, site: Web) -> None:
    url = site.put("disk", QCOW2)
    vmctl.ok("image", "create", "x", "--url", url)
    (vmctl.folder / "inventory.yaml").write_text("hosts: {}\n")

    vmctl.ok("image", "save", "x", "--file", str(vmctl.folder / "out"))
    assert (vmctl.folder / "out").read_bytes() == QCOW2

    site.put("disk", RAW)
    ran = vmctl.run("image", "save", "x", "--file", str(vmctl.folder / "other"))
    assert (ran.code, (vmctl.folder / "other").exists()) == (1, False)
