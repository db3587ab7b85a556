"""The commands about hosts, from the record alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.product import a_fleet

if TYPE_CHECKING:
    from pathlib import Path


def test_host_list_keeps_to_a_zone_and_refuses_one_that_no_host_is_in(tmp_path: Path) -> None:
    vmctl = a_fleet(tmp_path)

    ran = vmctl.run("host", "list", "--zone", "nope")

    assert vmctl.ok("host", "list", "--zone", "a", "-f", "name").split() == ["kvm1", "kvm2"]
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == "no host is in zone nope\nhint: vmctl availability zone list\n"
