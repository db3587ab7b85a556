"""What can be wrong with a base image's source or pool: said, and nothing half left."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from tests.lab.bases import SMALL, Bases, an_image, bases, both, keep, ours, wait_for
from tests.lab.outside import Lab
from tests.lab.reach import EVERY_LOGIN
from tests.support.images import a_qcow2
from tests.support.web import Web
from vmctl.domain.spec import ImageUse
from vmctl.errors import RemoteFailed, RemoteTimedOut


def refused(lab: Lab, mine: Bases, name: str, image: ImageUse, *peers: str) -> RemoteFailed:
    with pytest.raises(RemoteFailed) as raised:
        mine.ensure(name, image, *peers)
    assert not {one for one in ours(lab, name) if image.digest in one}
    assert raised.value.message.startswith(f"{name}: ")
    return raised.value


@pytest.mark.parametrize("name", ["kvm1", "kvm2"])
def test_wrong_bytes_are_found_where_they_land(
    shared_lab: Lab, mine: Bases, site: Web, name: str
) -> None:
    image = an_image(SMALL[::-1], url=site.put("disk", SMALL))

    error = refused(shared_lab, mine, name, image)

    assert f"wanted sha256 {image.digest}, found {an_image(SMALL).digest}" in error.message
    assert error.reason == "checksum"
    assert "thing" in error.message


@pytest.mark.parametrize(
    ("served", "said"),
    [(None, "404"), (SMALL[:-1], "the checksum is wrong"), (SMALL + b"x", "more bytes than")],
    ids=["nowhere", "less", "more"],
)
def test_a_url_that_gives_something_else_leaves_nothing(
    shared_lab: Lab, mine: Bases, site: Web, served: bytes | None, said: str
) -> None:
    image = an_image(SMALL, url=site.url("disk"))
    if served is not None:
        site.put("disk", served)

    error = refused(shared_lab, mine, "kvm2", image)

    assert said in error.message
    assert site.url("disk") in error.message


def test_what_would_lead_a_guest_to_files_of_the_host_is_refused_there(
    shared_lab: Lab, mine: Bases, site: Web
) -> None:
    content = a_qcow2(backing=512)
    url = site.put("disk", content)
    image = an_image(content, url=url, format="qcow2", virtual_size=1 << 20)

    error = refused(shared_lab, mine, "kvm2", image)

    assert "on top of another file" in error.message


def test_a_record_that_is_not_true_of_the_bytes_is_refused(
    shared_lab: Lab, mine: Bases, site: Web
) -> None:
    image = an_image(SMALL, url=site.put("disk", SMALL), format="qcow2")

    assert "on record it is qcow2" in refused(shared_lab, mine, "kvm1", image).message


@pytest.mark.parametrize("name", EVERY_LOGIN)
def test_a_full_pool_is_said_and_nothing_stays_there(
    lab: Lab, mine: Bases, tmp_path: Path, name: str
) -> None:
    image = keep(mine, SMALL, tmp_path)
    lab.do("pool-full", name)

    error = refused(lab, mine, name, image)

    assert "the pool default is full" in error.message
    assert "image cache prune" in (error.hint or "")


# Of the few bytes of the second one libvirt says that all were written.
@pytest.mark.parametrize("content", [SMALL, SMALL[:60_000]], ids=len)
def test_a_full_pool_is_said_of_a_url_too(lab: Lab, mine: Bases, site: Web, content: bytes) -> None:
    image = an_image(content, url=site.put("disk", content))
    lab.do("pool-full", "kvm2")

    assert "the pool default is full" in refused(lab, mine, "kvm2", image).message


def test_without_any_source_it_is_said_what_to_do(shared_lab: Lab, mine: Bases) -> None:
    error = refused(shared_lab, mine, "kvm2", an_image(SMALL), "kvm1", "kvm2")

    assert "nobody has the bytes" in error.message
    assert "--file" in (error.hint or "")


def test_peers_that_are_down_or_wrong_are_passed_over(
    lab: Lab, mine: Bases, site: Web, tmp_path: Path
) -> None:
    image = keep(mine, SMALL, tmp_path)
    mine.ensure("kvm2", image)
    path = f"/var/lib/libvirt/images/vmctl-base-{image.digest}"
    lab.do("inside", "kvm2", "sh", "-c", f"printf spoiled | dd of={path} conv=notrunc 2>&1")
    lab.do("cut-off", "kvm3")
    fetched = an_image(SMALL, url=site.put("disk", SMALL))

    with bases(lab, tmp_path / "colleague") as other:
        other.ensure("kvm1", fetched, "kvm3", "kvm2")

    assert ours(lab, "kvm1") == both(image)
    assert [line.rpartition(" ")[2] for line in other.said if " comes from " in line] == [
        "kvm2",
        fetched.url,
    ]


def test_a_pool_that_is_not_there_is_named(mine: Bases) -> None:
    with pytest.raises(RemoteFailed, match="kvm2: there is no pool nope"):
        mine.images.ensure(mine.reach.host("kvm2"), "nope", an_image(SMALL))


@pytest.mark.parametrize("name", ["kvm1", "kvm2"])
def test_a_libvirt_that_hangs_is_told_soon_and_nothing_stays(
    lab: Lab, mine: Bases, tmp_path: Path, name: str
) -> None:
    image = keep(mine, SMALL, tmp_path)
    lab.do("hang-libvirt", name)

    began = time.monotonic()
    with pytest.raises(RemoteTimedOut) as raised:
        mine.ensure(name, image)

    assert time.monotonic() - began < 15
    assert (raised.value.host, raised.value.reason) == (name, "libvirt-hangs")
    lab.do("hang-libvirt-undo", name)
    wait_for(lambda: ours(lab, name) == set())
    mine.ensure(name, image)
    assert ours(lab, name) == both(image)


def test_a_libvirt_that_is_slow_to_answer_is_waited_for(
    lab: Lab, mine: Bases, tmp_path: Path
) -> None:
    image = keep(mine, SMALL, tmp_path)
    lab.do("hang-libvirt", "kvm2")
    resume = threading.Timer(7, lab.do, ("hang-libvirt-undo", "kvm2"))
    resume.start()

    began = time.monotonic()
    mine.ensure("kvm2", image)

    assert time.monotonic() - began > 5
    resume.join()
    assert ours(lab, "kvm2") == both(image)
