"""An operator who brings images to the lab's hosts, and what is found in their pools."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.lab.outside import Lab
from tests.lab.plan import CHECKOUT, network
from tests.lab.reach import Reach, operator
from vmctl.adapters.base_images import HostBaseImages
from vmctl.adapters.base_prune import BasePruner
from vmctl.adapters.kept_images import KeptImages
from vmctl.adapters.pipes import HostPipes
from vmctl.adapters.turns import Turns
from vmctl.domain.spec import ImageUse

POOL = "default"
SMALL = random.Random(7).randbytes(700_001)
SOON = 20.0


@dataclass(frozen=True, kw_only=True)
class Bases:
    """Base images as one operator sees them."""

    reach: Reach
    images: HostBaseImages
    pruner: BasePruner
    kept: KeptImages
    said: list[str]

    def ensure(self, name: str, image: ImageUse, *peers: str) -> str:
        reach = self.reach
        others = tuple(reach.host(peer) for peer in peers)
        return self.images.ensure(
            reach.host(name), POOL, image, peers=others, tell=self.said.append
        )


@contextmanager
def bases(lab: Lab, folder: Path) -> Iterator[Bases]:
    """An operator with a home of their own."""
    folder.mkdir(parents=True, exist_ok=True)
    with operator(lab, folder) as reach:
        kept = KeptImages(str(folder / "images"))
        yield Bases(
            reach=reach,
            images=HostBaseImages(
                reach.shells,
                reach.libvirt,
                HostPipes(reach.shells, str(folder)),
                kept,
                Turns(str(folder / "turns"), places=2),
            ),
            pruner=BasePruner(reach.shells, reach.libvirt, reach.leases),
            kept=kept,
            said=[],
        )


def an_image(content: bytes, **changes: Any) -> ImageUse:
    """A raw image of these bytes, as a record has it."""
    given: dict[str, Any] = {
        "id": "i",
        "name": "thing",
        "digest": hashlib.sha256(content).hexdigest(),
        "format": "raw",
        "size": len(content),
        "virtual_size": -(-len(content) // 512) * 512,
    }
    return ImageUse(**{**given, **changes})


_OURS = """
cd /var/lib/libvirt/images && ls | grep '^vmctl-base-' | sort
echo --
virsh -q -c qemu:///system vol-list default | sed -n 's/^ *\\(vmctl-base-[^ ]*\\).*/\\1/p' | sort
"""
_CLEAR = """
names=$(virsh -q -c qemu:///system vol-list default |
    sed -n "s/^ *\\(vmctl-base-[^ ]*\\).*/vol-delete --pool default '\\1';/p")
[ -z "$names" ] || virsh -q -c qemu:///system "$names"
"""


def ours(lab: Lab, name: str) -> set[str]:
    """What lies in a host's pool that begins as base images do: in its folder, as in libvirt.

    Those are two looks; between them one may come or go, but not for ever.
    """
    for _ in range(20):
        files, _, known = lab.do("inside", name, "sh", "-c", _OURS).partition("--\n")
        if files == known:
            break
        time.sleep(0.1)
    assert files == known
    return set(files.split())


def clear(lab: Lab) -> None:
    """Take everything of ours out of the pools."""
    lab.each(_CLEAR)


def here(lab: Lab) -> str:
    """The address at which hosts reach this machine."""
    return f"{network(lab.plan.lab, 'mgmt')}.1"


_CHILD = """
import json, sys
from pathlib import Path
from tests.lab.bases import bases
from tests.lab.outside import Lab
from vmctl.domain.spec import ImageUse
lab, folder, host, image, peers = sys.argv[1:]
with bases(Lab(root=Path(lab)), Path(folder)) as mine:
    print("begin", flush=True)
    print(mine.ensure(host, ImageUse(**json.loads(image)), *json.loads(peers)), flush=True)
"""


def start(lab: Lab, folder: Path, host: str, image: ImageUse, *peers: str) -> subprocess.Popen[str]:
    """Let another operator, in a process of their own, have an image on a host."""
    words = [str(lab.root), str(folder), host, json.dumps(asdict(image)), json.dumps(peers)]
    return subprocess.Popen(
        [sys.executable, "-c", _CHILD, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
    )


def keep(mine: Bases, content: bytes, folder: Path) -> ImageUse:
    """Keep these bytes beside an operator's state."""
    file = folder / "content"
    file.write_bytes(content)
    with mine.kept.draft(str(file)) as draft:
        draft.keep()
    return an_image(content)


def both(image: ImageUse) -> set[str]:
    """What lies in a pool that has an image whole."""
    return {f"vmctl-base-{image.digest}", f"vmctl-base-{image.digest}.ok"}


def ended(child: subprocess.Popen[str]) -> str:
    """Wait for another operator, who must succeed."""
    out, err = child.communicate(timeout=120)
    assert child.returncode == 0, err
    return out


def wait_for(what: Callable[[], object], seconds: float = SOON) -> float:
    """Wait until something is so, and say how long that took."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < seconds, f"not within {seconds:g} s"
        time.sleep(0.1)
    return time.monotonic() - began
