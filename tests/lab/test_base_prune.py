"""Pruning takes what nobody on a host needs, whoever the others are, and nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.lab.bases import SMALL, Bases, an_image, both, keep, ours, start, wait_for
from tests.lab.outside import Lab
from tests.lab.reach import EVERY_LOGIN
from tests.lab.vmctl import Vmctl
from tests.support.web import Web
from vmctl.domain.spec import ImageUse
from vmctl.errors import RemoteFailed, TimedOut

DOMAIN = """
<domain type='qemu'><name>other</name><memory unit='MiB'>64</memory><os><type>hvm</type></os>
{}</domain>
"""
DISK = "<devices><disk type='file'><source file='{}'/><target dev='vda'/></disk></devices>"
OVERLAY = """
<volume><name>other.qcow2</name><capacity>1048576</capacity><target><format type='qcow2'/></target>
<backingStore><path>{}</path><format type='raw'/></backingStore></volume>
"""


@contextmanager
def defined(lab: Lab, name: str, inner: str) -> Iterator[None]:
    """A domain of somebody else's."""
    script = f"cat > /run/other.xml <<'END'\n{DOMAIN.format(inner)}\nEND\n"
    virsh = "virsh -q -c qemu:///system"
    lab.do("inside", name, "sh", "-c", f"{script}{virsh} define /run/other.xml")
    try:
        yield
    finally:
        lab.do("inside", name, "sh", "-c", f"{virsh} undefine other; rm /run/other.xml")


def here(lab: Lab, name: str, script: str) -> str:
    return lab.do("inside", name, "sh", "-c", script)


@pytest.fixture
def image(mine: Bases, tmp_path: Path) -> ImageUse:
    return keep(mine, SMALL, tmp_path)


@pytest.mark.parametrize("name", EVERY_LOGIN)
def test_what_nobody_uses_goes(shared_lab: Lab, mine: Bases, image: ImageUse, name: str) -> None:
    mine.ensure(name, image)
    host = mine.reach.host(name)
    (seen,) = mine.pruner.look(host)
    assert (seen.digest, seen.whole, seen.used) == (image.digest, True, False)

    (gone,) = mine.pruner.prune(host)

    assert gone.digest == image.digest
    assert ours(shared_lab, name) == set()
    assert mine.pruner.prune(host) == ()
    mine.ensure(name, image)
    assert ours(shared_lab, name) == both(image)


@pytest.mark.parametrize("name", ["kvm2", "kvm3"])
def test_what_a_record_names_stays(
    shared_lab: Lab, mine: Bases, image: ImageUse, name: str
) -> None:
    mine.ensure(name, image)
    record = (
        "<metadata><v:server xmlns:v='urn:vmctl:server:1'>"
        f'{{"spec": {{"image": {{"digest": "{image.digest}"}}}}}}</v:server></metadata>'
    )
    with defined(shared_lab, name, record):
        assert mine.pruner.prune(mine.reach.host(name)) == ()
        assert ours(shared_lab, name) == both(image)
    assert len(mine.pruner.prune(mine.reach.host(name))) == 1


@pytest.mark.parametrize("name", ["kvm2", "kvm3"])
def test_what_anybodys_overlay_lies_upon_stays(
    shared_lab: Lab, mine: Bases, image: ImageUse, name: str
) -> None:
    """One that libvirt was told of, and one that somebody put into the folder."""
    path = mine.ensure(name, image)
    host = mine.reach.host(name)
    folder = "/var/lib/libvirt/images"
    xml = OVERLAY.format(path)
    virsh = "virsh -q -c qemu:///system"
    told = (
        f"cat >/run/v.xml <<'END'\n{xml}\nEND\n{virsh} vol-create default /run/v.xml; rm /run/v.xml"
    )
    quiet = f"cd {folder}; qemu-img create -q -f qcow2 -b {path} -F raw other.qcow2"
    for script in (told, quiet):
        here(shared_lab, name, script)
        assert mine.pruner.prune(host) == ()
        assert ours(shared_lab, name) == both(image)
        here(shared_lab, name, f"rm {folder}/other.qcow2; {virsh} pool-refresh default")
    assert len(mine.pruner.prune(host)) == 1


def test_what_a_disk_outside_of_the_pools_lies_upon_stays(
    shared_lab: Lab, mine: Bases, image: ImageUse
) -> None:
    path = mine.ensure("kvm3", image)
    host = mine.reach.host("kvm3")
    here(
        shared_lab,
        "kvm3",
        f"mkdir /mnt/d; cd /mnt/d; qemu-img create -q -f qcow2 -b {path} -F raw 'a b.qcow2';"
        " qemu-img create -q -f qcow2 -b '/mnt/d/a b.qcow2' -F qcow2 top.qcow2",
    )
    try:
        with defined(shared_lab, "kvm3", DISK.format("/mnt/d/top.qcow2")):
            assert mine.pruner.prune(host) == ()
        assert ours(shared_lab, "kvm3") == both(image)
        with defined(shared_lab, "kvm3", DISK.format("/mnt/d/never-there.qcow2")):
            assert len(mine.pruner.prune(host)) == 1
    finally:
        here(shared_lab, "kvm3", "rm -r /mnt/d")


def test_where_a_disk_cannot_be_judged_nothing_goes(
    shared_lab: Lab, mine: Bases, image: ImageUse
) -> None:
    mine.ensure("kvm2", image)
    here(shared_lab, "kvm2", "qemu-img create -q -f qcow2 /root/hidden.qcow2 1M")
    with (
        defined(shared_lab, "kvm2", DISK.format("/root/hidden.qcow2")),
        pytest.raises(RemoteFailed, match=r"kvm2: .*/root/hidden\.qcow2"),
    ):
        mine.pruner.prune(mine.reach.host("kvm2"))
    here(shared_lab, "kvm2", "rm /root/hidden.qcow2")
    assert ours(shared_lab, "kvm2") == both(image)


def test_a_half_image_goes_when_nobody_fetches_and_stays_while_somebody_does(
    shared_lab: Lab, mine: Bases, site: Web, tmp_path: Path
) -> None:
    image = an_image(SMALL, url=site.put("disk", SMALL))
    dead = f"vmctl-base-{'d' * 64}"
    shared_lab.virsh_ok("kvm2", "vol-create-as", "default", dead, "12345")
    host = mine.reach.host("kvm2")
    site.hold.clear()
    with start(shared_lab, tmp_path / "other", "kvm2", image) as child:
        wait_for(lambda: site.asked)
        assert mine.pruner.prune(host) == ()
        site.hold.set()
        child.communicate()
    assert child.returncode == 0
    assert ours(shared_lab, "kvm2") == both(image) | {dead}

    assert {one.digest for one in mine.pruner.prune(host)} == {"d" * 64, image.digest}
    assert ours(shared_lab, "kvm2") == set()


def test_nothing_goes_while_somebody_else_has_the_lease(
    shared_lab: Lab, mine: Bases, image: ImageUse
) -> None:
    mine.ensure("kvm1", image)
    host = mine.reach.host("kvm1")
    ended: list[object] = []

    def prune() -> None:
        try:
            ended.append(mine.pruner.prune(host))
        except TimedOut as error:
            ended.append(error)

    with mine.reach.leases.hold(host):
        thread = threading.Thread(target=prune)
        thread.start()
        time.sleep(2)
        assert ours(shared_lab, "kvm1") == both(image)
        assert not ended
    thread.join()
    assert len(ended) == 1
    assert ours(shared_lab, "kvm1") == set()


def test_an_operator_lists_pushes_and_prunes(
    lab: Lab, mine: Bases, vmctl: Vmctl, tmp_path: Path
) -> None:
    del mine
    file = tmp_path / "disk"
    file.write_bytes(SMALL)
    digest = an_image(SMALL).digest
    vmctl.ok("image", "create", "mini", "--file", str(file))

    vmctl.ok("image", "cache", "push", "mini", "--host", "kvm1", "--host", "kvm2")
    rows = vmctl("image", "cache", "list", "-f", "json").json
    assert [(r["Host Name"], r["Image"], r["Status"], r["In Use"]) for r in rows] == [
        ("kvm1", "mini", "ready", False),
        ("kvm2", "mini", "ready", False),
    ]
    assert vmctl.ok("image", "cache", "prune", "--dry-run") == "kvm1: mini\nkvm2: mini\n"
    assert ours(lab, "kvm1") == both(an_image(SMALL))

    lab.do("cut-off", "kvm2")
    ran = vmctl("image", "cache", "prune")
    assert (ran.code, ran.out) == (14, "kvm1: mini\n")
    assert "kvm2" in ran.err
    assert ours(lab, "kvm1") == set()
    lab.do("heal", "kvm2")
    vmctl.ok("image", "delete", "mini")
    assert vmctl.ok("image", "cache", "prune") == f"kvm2: {digest}\n"
