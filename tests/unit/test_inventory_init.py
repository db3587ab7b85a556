"""The first inventory: it is one, and it never takes the place of another."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.support.inventories import an_inventory
from vmctl.adapters.inventory import check_inventory
from vmctl.adapters.inventory_init import first_inventory, init_inventory
from vmctl.errors import Conflict, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("hostname", "name"),
    [("kvm7.example.net", "kvm7"), ("no", "no"), ("-x", "this-host"), ("", "this-host")],
)
def test_a_machine_with_libvirt_is_in_its_first_inventory(hostname: str, name: str) -> None:
    inventory = an_inventory(first_inventory(hostname, kvm=False))

    [host] = inventory.hosts.values()
    assert (host.name, host.connection, host.virt_type) == (name, "local", "qemu")
    assert host.networks == ("default",)
    assert inventory.default_network is inventory.network("default")


def test_a_machine_without_libvirt_gets_an_example_that_works_once_uncommented() -> None:
    text = first_inventory(None, kvm=True)

    assert an_inventory(text).hosts == {}
    uncommented = an_inventory(re.sub(r"^#(?! \S)", "", text, flags=re.MULTILINE))
    assert list(uncommented.hosts) == ["kvm01", "kvm02", "kvm03", "kvm04", "big1"]
    assert uncommented.host("kvm02").address == "10.0.0.2"


def test_it_is_written_where_nothing_is(tmp_path: Path) -> None:
    path = tmp_path / "config/vmctl/inventory.yaml"

    text = init_inventory(str(path))

    assert path.read_text() == text
    assert check_inventory(str(path)).path == str(path)


def test_it_overwrites_nothing(tmp_path: Path) -> None:
    path = tmp_path / "inventory.yaml"
    path.write_text("hosts: [mine]\n")
    link = tmp_path / "link.yaml"
    link.symlink_to("nowhere.yaml")

    for taken in (path, link):
        with pytest.raises(Conflict, match="is there already"):
            init_inventory(str(taken))
    assert path.read_text() == "hosts: [mine]\n"
    assert not (tmp_path / "nowhere.yaml").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(UsageError, match="cannot be written"):
        init_inventory(str(tmp_path / "file/inventory.yaml"))
