"""Base images on real hosts: from everywhere, once, whole and verified, or not there."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.lab.bases import (
    SMALL,
    SOON,
    Bases,
    an_image,
    bases,
    both,
    ended,
    keep,
    ours,
    start,
    wait_for,
)
from tests.lab.outside import Lab
from tests.lab.reach import EVERY_LOGIN
from tests.support.web import Web


@pytest.mark.parametrize("name", EVERY_LOGIN)
def test_kept_bytes_land_whole_and_once(
    shared_lab: Lab, mine: Bases, tmp_path: Path, name: str
) -> None:
    image = keep(mine, SMALL, tmp_path)

    path = mine.ensure(name, image)

    assert ours(shared_lab, name) == both(image)
    assert image.digest in shared_lab.do("inside", name, "sha256sum", path)
    assert shared_lab.do("inside", name, "stat", "-c", "%s", f"{path}.ok").strip() == "0"
    before = shared_lab.do("inside", name, "stat", "-c", "%Z", path)
    assert mine.ensure(name, image) == path
    assert shared_lab.do("inside", name, "stat", "-c", "%Z", path) == before
    assert mine.images.ready(mine.reach.host(name), "default") == (image.digest,)


@pytest.mark.parametrize(("peer", "name"), [("kvm1", "kvm2"), ("kvm2", "kvm3"), ("kvm3", "kvm1")])
def test_a_host_that_has_it_is_a_source_for_a_colleague(
    shared_lab: Lab, mine: Bases, tmp_path: Path, peer: str, name: str
) -> None:
    image = keep(mine, SMALL, tmp_path)
    mine.ensure(peer, image)

    with bases(shared_lab, tmp_path / "colleague") as other:
        other.ensure(name, image, name, peer)

    assert other.said[0] == f"{name}: thing comes from {peer}"
    assert ours(shared_lab, name) == both(image)


@pytest.mark.parametrize("name", ["kvm1", "kvm2"])
def test_a_host_fetches_by_itself_what_is_behind_a_url(
    shared_lab: Lab, mine: Bases, site: Web, name: str
) -> None:
    # Nothing in it means anything to a shell, to curl's own files or to its patterns.
    path = "a'b\"c$(reboot)`reboot`;{1,2}[1-3]\\%41"
    image = an_image(SMALL, url=site.put(path, SMALL))

    mine.ensure(name, image)

    assert ours(shared_lab, name) == both(image)
    assert site.asked == [(f"/{path}", None)]


@pytest.mark.usefixtures("mine")
def test_a_url_is_in_no_list_of_processes(shared_lab: Lab, site: Web, tmp_path: Path) -> None:
    image = an_image(SMALL, url=site.put("disk?token=geheim", SMALL))
    site.hold.clear()
    with start(shared_lab, tmp_path / "other", "kvm1", image) as child:
        try:
            wait_for(lambda: site.asked)
            seen = shared_lab.do("inside", "kvm1", "ps", "-eo", "args")
        finally:
            site.hold.set()
        ended(child)

    assert "curl" in seen
    assert "geheim" not in seen


@pytest.mark.usefixtures("mine")
def test_ten_operators_at_once_fetch_once(shared_lab: Lab, site: Web, tmp_path: Path) -> None:
    image = an_image(SMALL, url=site.put("disk", SMALL))
    site.hold.clear()
    with contextlib.ExitStack() as stack:
        children = [
            stack.enter_context(start(shared_lab, tmp_path / str(n), "kvm2", image))
            for n in range(10)
        ]
        wait_for(lambda: site.asked, 90)
        time.sleep(3)  # by now the others know that someone is at it
        site.hold.set()
        paths = {ended(child).split()[-1] for child in children}

    assert len(paths) == 1
    assert site.asked == [("/disk", None)]
    assert ours(shared_lab, "kvm2") == both(image)


def test_hosts_that_want_it_together_spare_the_server(
    shared_lab: Lab, mine: Bases, site: Web
) -> None:
    image = an_image(SMALL, url=site.put("disk", SMALL))
    failed: list[Exception] = []

    def work(name: str) -> None:
        try:
            mine.ensure(name, image, *EVERY_LOGIN)
        except Exception as error:  # noqa: BLE001 - it is looked at below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(name,)) for name in EVERY_LOGIN * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not failed
    assert 1 <= len(site.asked) <= 2
    for name in EVERY_LOGIN:
        assert ours(shared_lab, name) == both(image)


@pytest.mark.parametrize("name", ["kvm1", "kvm2"])
def test_what_a_killed_fetcher_left_is_taken_away_and_begun_anew(
    shared_lab: Lab, mine: Bases, site: Web, tmp_path: Path, name: str
) -> None:
    image = an_image(SMALL, url=site.put("disk", SMALL))
    site.hold.clear()
    with start(shared_lab, tmp_path / "killed", name, image) as child:
        wait_for(lambda: site.asked)
        assert ours(shared_lab, name) == {f"vmctl-base-{image.digest}"}
        child.send_signal(signal.SIGKILL)
    wait_for(lambda: ours(shared_lab, name) == set())
    site.hold.set()

    began = time.monotonic()
    mine.ensure(name, image)

    assert time.monotonic() - began < SOON
    assert ours(shared_lab, name) == both(image)


@pytest.mark.usefixtures("mine")
@pytest.mark.parametrize("name", EVERY_LOGIN)
def test_an_upload_whose_sender_was_killed_leaves_nothing_half(
    shared_lab: Lab, tmp_path: Path, name: str
) -> None:
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(1 << 30)
    folder = tmp_path / "killed"
    with bases(shared_lab, folder) as other, other.kept.draft(str(large)) as draft:
        draft.keep()
        image = an_image(
            b"",
            digest=draft.bytes.digest,
            size=draft.bytes.size,
            virtual_size=draft.bytes.detected.virtual_size,
        )
    path = f"/var/lib/libvirt/images/vmctl-base-{image.digest}"
    with start(shared_lab, folder, name, image) as child:
        begun = ("sh", "-c", f"stat -c %s {path} 2>/dev/null || echo 0")
        wait_for(lambda: int(shared_lab.do("inside", name, *begun)) > 0)
        time.sleep(0.3)
        child.send_signal(signal.SIGKILL)

    wait_for(lambda: ours(shared_lab, name) == set())


@pytest.mark.parametrize("name", EVERY_LOGIN)
def test_a_half_volume_that_nobody_works_on_is_known_at_once(
    shared_lab: Lab, mine: Bases, tmp_path: Path, name: str
) -> None:
    image = keep(mine, SMALL, tmp_path)
    base = f"vmctl-base-{image.digest}"
    shared_lab.virsh_ok(name, "vol-create-as", "default", base, "12345")

    began = time.monotonic()
    mine.ensure(name, image)

    assert time.monotonic() - began < SOON
    assert ours(shared_lab, name) == both(image)


def test_a_marker_without_its_volume_says_nothing(
    shared_lab: Lab, mine: Bases, tmp_path: Path
) -> None:
    image = keep(mine, SMALL, tmp_path)
    marker = f"vmctl-base-{image.digest}.ok"
    shared_lab.virsh_ok("kvm2", "vol-create-as", "default", marker, "0")
    assert mine.images.ready(mine.reach.host("kvm2"), "default") == ()

    mine.ensure("kvm2", image)

    assert ours(shared_lab, "kvm2") == both(image)


def test_a_living_fetch_of_something_else_is_no_hindrance(
    shared_lab: Lab, mine: Bases, site: Web, tmp_path: Path
) -> None:
    slow = an_image(SMALL, url=site.put("slow", SMALL))
    quick = keep(mine, SMALL[::-1], tmp_path)
    site.hold.clear()
    with start(shared_lab, tmp_path / "other", "kvm2", slow) as child:
        wait_for(lambda: site.asked)

        mine.ensure("kvm2", quick)

        assert f"vmctl-base-{slow.digest}" in ours(shared_lab, "kvm2")
        site.hold.set()
        ended(child)
    assert ours(shared_lab, "kvm2") == both(slow) | both(quick)


def test_all_three_kinds_of_login_share_one_lock(
    shared_lab: Lab, mine: Bases, site: Web, tmp_path: Path
) -> None:
    """A fetch by root and one by a plain user are one to each other."""
    image = an_image(SMALL, url=site.put("disk", SMALL))
    site.hold.clear()
    with start(shared_lab, tmp_path / "plain", "kvm2", image) as child:
        wait_for(lambda: site.asked)
        as_root = mine.reach.host("kvm2", name="root@kvm2", user="root")
        script = "exec 9</run/libvirt; flock -n -x 9 && echo free || echo held"
        assert mine.reach.shells.shell(as_root).run(script).text == "held\n"
        site.hold.set()
        ended(child)
    assert mine.reach.shells.shell(as_root).run(script).text == "free\n"


def test_the_image_is_the_one_that_qemu_reads(shared_lab: Lab, mine: Bases, tmp_path: Path) -> None:
    file = tmp_path / "disk"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(file), "8M"], check=True)
    with mine.kept.draft(str(file)) as draft:
        draft.keep()
    image = an_image(
        file.read_bytes(), format="qcow2", virtual_size=draft.bytes.detected.virtual_size
    )

    path = mine.ensure("kvm3", image)

    said = shared_lab.do("inside", "kvm3", "qemu-img", "info", path)
    assert "file format: qcow2" in said
    assert "8 MiB" in said
