"""What happens to a create when a host, a pool, an image or the operator's own disk fails it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.lab.bases import clear
from tests.lab.outside import Lab, image
from tests.lab.servers import (
    FLAVOR,
    Running,
    assert_clean,
    create,
    create_words,
    left,
    owed,
    servers,
    show,
)
from tests.lab.vmctl import Vmctl
from tests.support.web import Web

BAD = "kvm2"  # it has the most room, so that it is chosen first
NET = ("--network", "default")


@pytest.fixture(autouse=True)
def _in_the_torture(*, torture: bool) -> None:
    if not torture:
        pytest.skip("hosts, pools and disks are broken in `make torture`")


@pytest.fixture
def fresh(maker: Vmctl) -> Vmctl:
    """The maker, who has just looked at all hosts: they are well, and none has an image."""
    clear(maker.lab)
    maker.ok("host", "list", "--refresh")
    return maker


@pytest.mark.parametrize("fault", ["hang-ssh", "hang-libvirt"])
def test_a_server_goes_elsewhere_and_what_its_host_keeps_is_owed(
    shared_lab: Lab, fresh: Vmctl, fault: str
) -> None:
    shared_lab.do(fault, BAD)

    ended = create(fresh, "web", *NET)

    assert ended.code == 0, ended.err
    (said,) = (line for line in ended.told if line.startswith("web: kvm2 failed (kvm2"))
    assert said.endswith(("; trying kvm1", "; trying kvm3"))
    shown = show(fresh, "web")
    assert shown["OS-EXT-SRV-ATTR:host"] in ("kvm1", "kvm3")
    assert [one["host"] for one in shown["vmctl:attempts"]] == [BAD, shown["vmctl:host"]]
    (debt,) = owed(fresh)
    assert (debt["Server"], debt["State"]) == ("web", "owed")

    shared_lab.do("up", "--hosts", str(shared_lab.plan.count))
    paid = create(fresh, "next", *NET, on=BAD)

    assert paid.code == 0, paid.err
    assert "cleaning kvm2 of attempt 1 at server web" in paid.told
    assert owed(fresh) == []
    assert fresh("server", "delete", "web", "next").code == 0
    assert_clean(shared_lab)


def test_power_lost_in_the_middle_costs_only_the_attempt(shared_lab: Lab, fresh: Vmctl) -> None:
    started = Running(fresh, *create_words("web", *NET))
    started.says("web: image on kvm2")
    shared_lab.do("power-off", BAD)
    ended = started.end()

    assert ended.code == 0, ended.err
    assert servers(fresh)["web"]["Host"] != BAD
    shared_lab.do("power-on", BAD)
    # A host that returns has what the attempt left there, and does not start it.
    assert left(shared_lab, BAD).domains == {"web"}
    assert "web" not in shared_lab.virsh_ok(BAD, "list", "--name").split()
    assert fresh("server", "delete", "web").code == 0
    assert owed(fresh) != []
    assert create(fresh, "next", *NET, on=BAD).code == 0
    assert fresh("server", "delete", "next").code == 0
    assert owed(fresh) == []
    assert_clean(shared_lab)


def test_a_start_that_was_begun_is_never_tried_elsewhere(shared_lab: Lab, fresh: Vmctl) -> None:
    started = Running(fresh, *create_words("web", *NET))
    started.says("web: start on kvm2")
    shared_lab.do("cut-off", BAD)
    ended = started.end()

    row = servers(fresh)["web"]
    if ended.code != 0:
        # It was cut off before it was seen running: nobody knows, so nobody goes elsewhere.
        assert ended.code == 11, ended.err
        assert (row["Status"], len(show(fresh, "web")["vmctl:attempts"])) == ("ERROR", 1)
        assert [one["State"] for one in owed(fresh)] == ["owed"]
    assert not left(shared_lab, "kvm1")
    assert not left(shared_lab, "kvm3")

    shared_lab.do("heal", BAD)
    assert fresh("server", "delete", "web").code == 0
    assert create(fresh, "next", *NET, on=BAD).code == 0
    assert fresh("server", "delete", "next").code == 0
    assert owed(fresh) == []
    assert_clean(shared_lab)


def test_a_libvirtd_that_is_restarted_costs_an_attempt_at_most(
    shared_lab: Lab, fresh: Vmctl
) -> None:
    started = Running(fresh, *create_words("web", *NET))
    started.says("web: image on kvm2")
    shared_lab.do("restart-libvirt", BAD)
    ended = started.end()

    assert ended.code == 0, ended.err
    assert servers(fresh)["web"]["Status"] == "ACTIVE"
    assert fresh("server", "delete", "web").code == 0
    if owed(fresh):
        assert create(fresh, "next", *NET, on=BAD).code == 0
        assert fresh("server", "delete", "next").code == 0
    assert owed(fresh) == []
    assert_clean(shared_lab)


def test_a_full_pool_is_said_and_left_as_it_was(shared_lab: Lab, fresh: Vmctl) -> None:
    shared_lab.do("pool-full", BAD)

    forced = create(fresh, "web", *NET, on=BAD)

    assert forced.code == 11
    assert "is full" in forced.err
    assert servers(fresh)["web"]["Status"] == "ERROR"
    assert owed(fresh) == []
    assert not left(shared_lab, BAD)
    # The name is free, and another host has room.
    assert create(fresh, "web", *NET).code == 0
    assert servers(fresh)["web"]["Host"] != BAD
    assert fresh("server", "delete", "web").code == 0
    assert_clean(shared_lab)


def test_bytes_that_are_not_those_of_the_image_get_nowhere(
    shared_lab: Lab, fresh: Vmctl, site: Web
) -> None:
    content = image("small").read_bytes()
    # A kind of its own, so that no host has it yet; what follows a qcow2's end is of no matter.
    url = site.put("disk", content + b"x" * 512)
    fresh.ok("image", "create", "remote", "--url", url)
    site.put("disk", content + b"y" * 512)
    words = ["server", "create", "web", "--flavor", FLAVOR, "--image", "remote", *NET]

    ended = fresh(*words, "--availability-zone", f"az2:{BAD}", seconds=240)

    assert ended.code == 11
    assert "wanted sha256" in ended.err
    assert "has what is behind the URL changed?" in ended.err
    assert servers(fresh)["web"]["Status"] == "ERROR"
    assert "wanted sha256" in show(fresh, "web")["fault"]["message"]
    assert owed(fresh) == []
    assert_clean(shared_lab)


def test_an_arbiter_that_is_down_refuses_addresses_and_nothing_else(
    shared_lab: Lab, fresh: Vmctl
) -> None:
    shared_lab.do("hang-ssh", "kvm1")  # kvm3 is reached through it as well

    on_lan = create(fresh, "web", "--network", "lan", on=BAD)
    off_lan = create(fresh, "web", *NET, on=BAD)

    assert on_lan.code == 11
    assert "addresses on lan are given away under the lease of kvm1, its arbiter" in on_lan.err
    assert off_lan.code == 0
    assert owed(fresh) == []
    assert fresh("server", "delete", "web").code == 0
    assert_clean(shared_lab, BAD)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 3 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0700", "tmpfs", str(folder)]
    subprocess.run(mount, check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_of_the_operators_stops_it_and_loses_nothing(
    shared_lab: Lab, fresh: Vmctl, small_disk: Path
) -> None:
    db = small_disk / "state.db"
    (small_disk / "images").symlink_to(fresh.db.parent / "images")
    fresh.ok("db", "backup", str(db))
    small = partial(fresh, VMCTL_DB=str(db))

    started = Running(fresh, *create_words("web", *NET, on=BAD), VMCTL_DB=str(db))
    started.says("web: define on kvm2")
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    ended = started.end()

    assert ended.code == 13, ended.err
    assert "disk" in ended.err
    filler.unlink()
    (orphan,) = small("operation", "list", "-f", "json").json
    assert orphan["Server"] == "web"
    assert small("server", "delete", "web").code == 0
    assert small("operation", "list", "-f", "json").json == []
    assert_clean(shared_lab)
