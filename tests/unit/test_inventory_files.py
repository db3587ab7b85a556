"""Where an inventory is found, how its files are read, and what is kept of a reading."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vmctl.adapters import inventory_cache
from vmctl.adapters.inventory import (
    check_inventory,
    known_names,
    load_inventory,
    read_files,
)
from vmctl.domain.host import Host, Limits, Pool, Ratios
from vmctl.domain.inventory import Aggregate
from vmctl.domain.network import AddressRange, Network, Source
from vmctl.domain.resources import Resources
from vmctl.errors import InventoryError, UsageError

CACHE = "cache/vmctl"

TEXT = """\
defaults: {user: ops, reserved: {memory: 1GiB}, pools: [a, {name: b, shared: filer}]}
groups: {r1: {hosts: "kvm[1:2]", labels: {rack: r1}}}
hosts:
  kvm[1:3]: {address: "10.0.0.{n}"}
  big: {capacity: {disk: 1TiB}, host_key: SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU}
networks:
  lan:
    source: {bridge: {default: br0, groups: {r1: br1}, hosts: {big: br2}}}
    cidrs: [10.1.0.0/24, "fd00::/64"]
    exclude: 10.1.0.7
    security_group: none
aggregates: {ssd: {hosts: big, metadata: {ssd: true}}}
scheduler: {weighers: {RAMWeigher: 2}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def kept(home: Path) -> list[Path]:
    return sorted((home / CACHE).glob("*"))


def imported(home: Path, call: str) -> set[str]:
    """The modules that a fresh python needs for a call."""
    code = (
        "import sys; from vmctl.adapters.inventory import known_names, load_inventory;"
        f"{call}; print(*sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=home,
        env={"HOME": str(home / "home"), "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    return set(run.stdout.split())


def test_a_folder_is_read_in_order_of_name(home: Path) -> None:
    for name in ("b.yaml", "a.yml", "c.yaml~", ".d.yaml", "e.txt"):
        (home / name).write_text("hosts: {}\n")
    (home / "f.d").mkdir()

    assert [Path(name).name for name, _ in read_files(str(home))] == ["a.yml", "b.yaml"]


@pytest.mark.parametrize("path", ["missing.yaml", "empty", "folder", "a\0b", "loop.yaml"])
def test_what_cannot_be_read_is_a_usage_error_that_names_it(home: Path, path: str) -> None:
    (home / "empty").mkdir()
    (home / "folder/x.yaml").mkdir(parents=True)
    (home / "loop.yaml").symlink_to("loop.yaml")

    with pytest.raises(UsageError) as caught:
        load_inventory(path, CACHE)
    assert repr(path).strip("'") in caught.value.message
    assert not isinstance(caught.value, InventoryError)


def test_a_file_without_an_end_is_refused() -> None:
    with pytest.raises(UsageError, match="larger than 64 MiB"):
        read_files("/dev/zero")


def test_a_kept_reading_gives_the_very_same_inventory(home: Path) -> None:
    Path("inventory.yaml").write_text(TEXT)

    first = load_inventory("inventory.yaml", CACHE)
    second = load_inventory("inventory.yaml", CACHE)

    assert len(kept(home)) == 1
    assert second == first
    assert first == check_inventory("inventory.yaml")
    assert [type(one) for one in second.hosts["big"].host_key] == [str]


def test_a_kept_reading_needs_no_yaml(home: Path) -> None:
    Path("inventory.yaml").write_text(TEXT)

    call = f"load_inventory({str(home / 'inventory.yaml')!r}, {CACHE!r})"
    assert "yaml" in imported(home, call)

    assert imported(home, call).isdisjoint({"yaml", "ipaddress", "pathlib", "difflib"})


def test_a_kept_reading_is_ones_own_and_nobody_elses(home: Path) -> None:
    Path("inventory.yaml").write_text(TEXT)

    load_inventory("inventory.yaml", CACHE)

    [record] = kept(home)
    assert record.stat().st_mode & 0o777 == 0o600
    assert record.parent.stat().st_mode & 0o777 == 0o700


def test_a_change_of_any_byte_is_seen(home: Path) -> None:
    inventory = home / "inventory.yaml"
    inventory.write_text("hosts: {kvm1: {port: 22}}\n")
    load_inventory("inventory.yaml", CACHE)
    status = inventory.stat()
    inventory.write_text("hosts: {kvm1: {port: 23}}\n")
    os.utime(inventory, ns=(status.st_atime_ns, status.st_mtime_ns))

    assert load_inventory("inventory.yaml", CACHE).host("kvm1").port == 23
    assert len(kept(home)) == 1


def test_a_file_that_joins_the_folder_is_seen(home: Path) -> None:
    (home / "inv").mkdir()
    (home / "inv/a.yaml").write_text("hosts: [kvm1]\n")
    load_inventory("inv", CACHE)
    (home / "inv/b.yaml").write_text("hosts: [kvm2]\n")

    assert list(load_inventory("inv", CACHE).hosts) == ["kvm1", "kvm2"]


@pytest.mark.usefixtures("home")
def test_another_home_is_another_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("inventory.yaml").write_text("hosts: {kvm1: {identity_file: ~/id}}\n")
    load_inventory("inventory.yaml", CACHE)
    monkeypatch.setenv("HOME", "/home/else")

    assert load_inventory("inventory.yaml", CACHE).host("kvm1").identity_file == "/home/else/id"


def test_the_format_of_a_record_rises_with_the_fields_it_fills() -> None:
    """Red here: give FORMAT its next number, and write the new fields' digest beside it."""
    filled = (Host, Pool, Ratios, Limits, Resources, Network, Source, AddressRange, Aggregate)
    fields = ";".join(f"{one.__name__}:{','.join(one.__slots__)}" for one in filled)

    digest = hashlib.sha256(fields.encode()).hexdigest()[:12]

    assert (inventory_cache.FORMAT, digest) == (4, "0a8b3c9cab52")


def test_names_alone_need_no_values(home: Path) -> None:
    Path("inventory.yaml").write_text(TEXT)
    assert known_names("inventory.yaml", CACHE, "hosts") == ["kvm1", "kvm2", "kvm3", "big"]
    assert len(kept(home)) == 1

    assert known_names("inventory.yaml", CACHE, "hosts") == ["kvm1", "kvm2", "kvm3", "big"]
    assert known_names("inventory.yaml", CACHE, "networks") == ["lan"]
    assert known_names("inventory.yaml", CACHE, "aggregates") == ["ssd"]
    call = f"known_names({str(home / 'inventory.yaml')!r}, {CACHE!r}, 'hosts')"
    assert imported(home, call).isdisjoint({"yaml", "dataclasses", "ipaddress", "pathlib"})


def test_a_reading_of_another_format_is_read_anew(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("inventory.yaml").write_text("hosts: [kvm1]\n")
    load_inventory("inventory.yaml", CACHE)
    [record] = kept(home)
    record.write_text(record.read_text().replace("kvm1", "kvm2"))
    assert list(load_inventory("inventory.yaml", CACHE).hosts) == ["kvm2"], (
        "it is the record we read"
    )

    monkeypatch.setattr(inventory_cache, "FORMAT", inventory_cache.FORMAT + 1)

    assert list(load_inventory("inventory.yaml", CACHE).hosts) == ["kvm1"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda record: record.write_bytes(b""),
        lambda record: record.write_bytes(b"\xff\x00"),
        lambda record: record.write_bytes(b"[" * 100_000),
        lambda record: record.write_bytes(record.read_bytes()[:-9]),
        lambda record: record.write_text("[]"),
        lambda record: record.write_text(
            json.dumps({"digest": json.loads(record.read_text())["digest"], "hosts": [1]})
        ),
        lambda record: record.write_text(record.read_text().replace('"address"', '"adress"')),
        lambda record: (record.unlink(), record.mkdir()),
        lambda record: (record.rename(record.with_name("x")), record.symlink_to("x")),
        lambda record: record.chmod(0o666),
    ],
    ids=[
        "empty",
        "binary",
        "deep",
        "cut",
        "a-list",
        "no-hosts",
        "another-field",
        "a-folder",
        "a-link",
        "writable-by-all",
    ],
)
def test_a_record_that_cannot_be_trusted_counts_as_nothing(home: Path, spoil: object) -> None:
    Path("inventory.yaml").write_text(TEXT)
    expected = load_inventory("inventory.yaml", CACHE)
    [record] = kept(home)
    record.write_text(record.read_text().replace("10.0.0.", "10.6.6."))
    assert load_inventory("inventory.yaml", CACHE) != expected, "a good record would be believed"

    assert callable(spoil)
    spoil(record)

    assert load_inventory("inventory.yaml", CACHE) == expected


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_record_of_another_account_counts_as_nothing(home: Path) -> None:
    Path("inventory.yaml").write_text(TEXT)
    expected = load_inventory("inventory.yaml", CACHE)
    [record] = kept(home)
    record.write_text(record.read_text().replace("10.0.0.", "10.6.6."))

    os.chown(record, 12345, -1)

    assert load_inventory("inventory.yaml", CACHE) == expected


def test_an_inventory_with_errors_is_not_kept(home: Path) -> None:
    Path("inventory.yaml").write_text("hosts: {kvm1: {port: 0}}\n")

    for _ in range(2):
        with pytest.raises(InventoryError):
            load_inventory("inventory.yaml", CACHE)
    assert kept(home) == []


@pytest.mark.parametrize("obstacle", ["file", "dangling"])
def test_a_home_that_takes_no_record_fails_no_command(home: Path, obstacle: str) -> None:
    Path("inventory.yaml").write_text(TEXT)
    if obstacle == "file":
        (home / "cache").touch()
    else:
        (home / "cache").symlink_to("/nowhere/at/all")

    assert len(load_inventory("inventory.yaml", CACHE).hosts) == 4


@pytest.mark.usefixtures("home")
def test_a_policy_is_asked_whatever_was_kept() -> None:
    Path("inventory.yaml").write_text(TEXT)
    load_inventory("inventory.yaml", CACHE)

    with pytest.raises(InventoryError, match=r"yaml:13: scheduler.weighers.RAM: no such"):
        check_inventory("inventory.yaml", lambda _: ["scheduler.weighers.RAM: no such weigher"])
