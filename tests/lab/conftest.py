"""The lab for the tests: brought up once, healed between tests, checked for damage at the end."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import lab as labs
from tests.lab import servers, stock
from tests.lab.bases import Bases, bases, clear, here
from tests.lab.outside import Lab
from tests.lab.plan import default_root
from tests.lab.reach import Reach, operator
from tests.lab.vmctl import Vmctl
from tests.support.children import end_all
from tests.support.web import Web, web


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.lab)


@pytest.fixture(scope="session")
def shared_lab() -> Iterator[Lab]:
    """Three real hosts; taken down afterwards unless they were up before."""
    lab = Lab(root=default_root())
    was_up = labs.is_up(lab.root)
    lab.do("up", "--hosts", str(max(3, lab.plan.count if was_up else 3)))
    yield lab
    lab.do("up", "--hosts", str(lab.plan.count))
    try:
        lab.do("check-foreign")
    finally:
        if not was_up:
            lab.do("down")


@pytest.fixture(autouse=True)
def _children() -> Iterator[None]:
    """Let nothing that a test began and left run on beside the next."""
    yield
    end_all()


@pytest.fixture
def lab(shared_lab: Lab) -> Iterator[Lab]:
    """The lab for one test; whatever the test broke is mended after it."""
    yield shared_lab
    if not labs.is_up(shared_lab.root):
        shared_lab.do("up", "--hosts", str(shared_lab.plan.count))
    shared_lab.do("heal")


@pytest.fixture
def vmctl(shared_lab: Lab, tmp_path: Path) -> Vmctl:
    """vmctl with the lab's inventory, in a home where it never ran before.

    A test that breaks a host asks for the lab too, which heals it.
    """
    home = tmp_path / "home"
    home.mkdir()
    return Vmctl(lab=shared_lab, home=home, inventory=shared_lab.root / "inventory.yaml")


@pytest.fixture
def stocked(vmctl: Vmctl) -> Vmctl:
    """The same with the small guest in its catalog as `mini`, and the operator's key as `lab`."""
    stock.put(vmctl.ok, vmctl.lab.plan.key.with_suffix(".pub"))
    return vmctl


@pytest.fixture(scope="session")
def model(shared_lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of an operator who has all that servers are made of, and made none yet."""
    home = tmp_path_factory.mktemp("model") / "home"
    servers.operator(shared_lab, home)
    return home


@pytest.fixture
def maker(shared_lab: Lab, model: Path, tmp_path: Path) -> Iterator[Vmctl]:
    """An operator like that, on a lab that is healed and without servers of ours afterwards."""
    yield servers.operator(shared_lab, tmp_path / "home", model)
    end_all()
    shared_lab.do("up", "--hosts", str(shared_lab.plan.count))
    servers.wipe(shared_lab)


@pytest.fixture
def stocker(stocked: Vmctl) -> Iterator[Vmctl]:
    """The same for a test that makes servers: what is left of them goes, and their images."""
    yield stocked
    left = stocked.ok("server", "list", "-f", "value", "-c", "ID").split()
    if left:
        stocked.ok("server", "delete", *left)
    clear(stocked.lab)


@pytest.fixture
def own_lab(tmp_path: Path) -> Iterator[Lab]:
    """A lab of this test's own, not yet up, gone afterwards."""
    lab = Lab(root=tmp_path / "lab")
    yield lab
    lab.do("down")


@pytest.fixture
def protected_regular() -> Iterator[None]:
    """The kernel's strictest rule for files in sticky folders, as hardened hosts have it."""
    rule = Path("/proc/sys/fs/protected_regular")
    if not os.access(rule, os.W_OK):
        pytest.skip("fs.protected_regular cannot be set here: not root, or the kernel has none")
    with rule.open() as one:
        # It is the whole machine's, and another run of these tests may be about to set it back.
        fcntl.flock(one, fcntl.LOCK_EX)
        before = rule.read_text()
        rule.write_text("2")
        yield
        rule.write_text(before)


@pytest.fixture
def reach(shared_lab: Lab, tmp_path: Path) -> Iterator[Reach]:
    """An operator's connections to the lab; a test that breaks something uses `lab` as well."""
    with operator(shared_lab, tmp_path) as mine:
        yield mine


@pytest.fixture
def mine(shared_lab: Lab, tmp_path: Path) -> Iterator[Bases]:
    """Base images as one operator sees them; the hosts have none before, and none afterwards."""
    clear(shared_lab)
    with bases(shared_lab, tmp_path / "mine") as one:
        yield one
    clear(shared_lab)


@pytest.fixture
def site(shared_lab: Lab) -> Iterator[Web]:
    """A web server that hosts reach at this machine's address."""
    with web(here(shared_lab)) as served:
        yield served
