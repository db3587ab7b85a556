"""The grounds on which each contract holds: a real host for each kind of login."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.fake_ground import fake_ground
from tests.contract.ground import Ground
from tests.contract.lab_ground import lab_ground
from tests.lab.conftest import shared_lab
from tests.lab.reach import EVERY_LOGIN, operator

__all__ = ["shared_lab"]

GROUNDS = ["fake", *(pytest.param(name, marks=pytest.mark.lab) for name in EVERY_LOGIN)]
"""Each ground by its name; one that is no host of the lab has a branch in `ground` too."""


@pytest.fixture(scope="package", params=GROUNDS)
def ground(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    """A host, or what stands for one."""
    folder: Path = tmp_path_factory.mktemp("operator")
    if request.param == "fake":
        yield fake_ground(folder)
        return
    lab = request.getfixturevalue("shared_lab")
    with operator(lab, folder) as reach, lab_ground(reach, request.param) as made:
        yield made


@pytest.fixture(scope="package")
def guest(ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The uuid of a machine whose guest is up and has an agent; it boots once for all tests."""
    made = ground.guest(tmp_path_factory.mktemp("guest"))
    if made is None:
        pytest.skip("a guest costs seconds, and on one real host it proves enough")
    with made as name:
        yield name


@pytest.fixture
def server(ground: Ground) -> Iterator[str]:
    """The uuid of a server that is to be; what a test made of it is gone afterwards.

    Its volumes and filters have names that begin with the uuid.
    """
    name = str(uuid.uuid4())
    yield name
    on = ground.hypervisor
    on.ensure_undefined(name)
    for volume in on.volumes(ground.pool):
        if volume.startswith(name):
            on.remove_volume(ground.pool, volume)
    on.remove_filter(name)


@pytest.fixture
def mac(ground: Ground) -> Iterator[str]:
    """The MAC of a card; nothing is promised to it afterwards."""
    made = "52:54:00:" + ":".join(f"{byte:02x}" for byte in uuid.uuid4().bytes[:3])
    yield made
    for network in (ground.network, ground.bare_network):
        ground.hypervisor.remove_reservation(network, made)
