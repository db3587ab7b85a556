from __future__ import annotations

from tests.lab import stock
from tests.lab.vmctl import Vmctl


def test_the_catalog_has_the_small_guest_and_the_key(stocked: Vmctl) -> None:
    key = stocked.lab.plan.key.with_suffix(".pub")

    stock.put(stocked.ok, key)  # a second time: nothing to do

    (image,) = stocked("image", "list", "--long", "-f", "json").json
    assert (image["Name"], image["Status"], image["Disk Format"]) == ("mini", "active", "qcow2")
    assert stocked.ok("keypair", "show", "lab", "--public-key") == key.read_text()
