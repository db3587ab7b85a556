"""What every cache of base images promises, on a fake host and on real ones alike."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.contract.ground import Ground, domain_xml
from vmctl.domain.build import READY_SUFFIX, Volume
from vmctl.domain.cached import Cached
from vmctl.domain.sample import BASE_IMAGE_PREFIX


@pytest.fixture
def digest(ground: Ground) -> Iterator[str]:
    """The digest of an image whose base is whole in the pool; it is gone afterwards."""
    made = secrets.token_hex(32)
    name = f"{BASE_IMAGE_PREFIX}{made}"
    for one in (name, name + READY_SUFFIX):
        ground.hypervisor.ensure_volume(ground.pool, Volume(name=one, role="base", size=4096))
    yield made
    for one in (name + READY_SUFFIX, name):
        ground.hypervisor.remove_volume(ground.pool, one)


def look(ground: Ground, digest: str) -> Cached:
    (found,) = (one for one in ground.cache.look(ground.host) if one.digest == digest)
    return found


def test_a_base_is_whole_with_its_marker_and_used_by_nothing(ground: Ground, digest: str) -> None:
    found = look(ground, digest)

    assert (found.pool, found.whole, found.used) == (ground.pool, True, False)
    assert abs(found.since - ground.now) < 600
    marker = f"{BASE_IMAGE_PREFIX}{digest}{READY_SUFFIX}"
    ground.hypervisor.remove_volume(ground.pool, marker)
    assert not look(ground, digest).whole


def test_one_that_a_domain_names_is_used(ground: Ground, digest: str, server: str) -> None:
    xml = domain_xml(server, f"contract-{server[:8]}").replace("a &lt; b", digest)

    ground.hypervisor.ensure_defined(server, xml)

    assert look(ground, digest).used
    gone = ground.cache.prune(ground.host, spare=lambda one: one.digest != digest)
    assert (gone, look(ground, digest).whole) == ((), True)


def test_what_is_not_spared_goes(ground: Ground, digest: str) -> None:
    assert ground.cache.prune(ground.host, spare=lambda _: True) == ()
    found = look(ground, digest)

    assert ground.cache.prune(ground.host, spare=lambda one: one.digest != digest) == (found,)

    assert digest not in {one.digest for one in ground.cache.look(ground.host)}
