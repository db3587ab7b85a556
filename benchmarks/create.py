"""What making servers costs on real hosts, against a script that makes the same calls in a line.

One create to ACTIVE, from the shell's word to the prompt, against one run of the script; 24 of
them over three hosts, against 24 runs of it, one after the other. The base image is on the hosts
already. A cold image is brought to a host by `image cache push`, against scp of the same file.

The guests of the 24 have an empty disk, from which nothing boots: to boot a system without KVM
costs a processor many times what it costs to make its server, and both sides would wait for that.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Figure
from tests.lab import stock
from tests.lab.outside import Lab, plain
from tests.lab.plan import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS, MANY, COLD = 7, 24, 1024 * 1024 * 1024
ONE_LIMIT, MANY_LIMIT, COLD_LIMIT = 1.6, 0.5, 1.2
FLAVOR = "m1.nano"
VMCTL = [sys.executable, "-m", "vmctl"]
HOSTS = ("kvm1", "kvm2", "kvm3")


class Bench:
    """A lab with the image on all its hosts, and the words that make servers there."""

    def __init__(self, lab: Lab, folder: str) -> None:
        self.lab = lab
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": folder,
            "VMCTL_INVENTORY": str(roomy(lab)),
            "VMCTL_DB": f"{folder}/state.db",
        }
        stock.fill(lab.plan, self.env)
        self.vmctl("flavor", "create", "--ram", "128", "--disk", "0", FLAVOR)
        stock.put_empty(self.vmctl, Path(folder))
        self.images = {name: self._spread(name) for name in (stock.IMAGE, stock.EMPTY)}

    def vmctl(self, *words: str) -> str:
        return self._run([*VMCTL, *words])

    def _spread(self, image: str) -> list[str]:
        """Have an image on every host, and say what the script must know of it."""
        self.vmctl("image", "cache", "push", image, *(w for h in HOSTS for w in ("--host", h)))
        shown = json.loads(self.vmctl("image", "show", image, "-f", "json"))
        return [shown["checksum"], shown["disk_format"], str(shown["virtual_size"])]

    def script(self, host: str, name: str, last: int, image: str = "mini") -> float:
        began = time.monotonic()
        words = [host, name, *self.images[image], str(last)]
        self._run([sys.executable, "-m", "benchmarks.straight", *words])
        return time.monotonic() - began

    def create(self, name: str, *words: str, image: str = "mini") -> float:
        began = time.monotonic()
        self.vmctl("server", "create", "--flavor", FLAVOR, "--image", image, *words, name)
        return time.monotonic() - began

    def phases(self, began: float, ended: float) -> dict[str, float]:
        """Say how long each part of the last create took, by its journal."""
        with sqlite3.connect(self.env["VMCTL_DB"]) as db:
            rows = db.execute(
                "SELECT step, mark, at FROM journal WHERE operation = (SELECT id FROM operations"
                " WHERE saga = 'server-create' ORDER BY started DESC LIMIT 1) ORDER BY seq"
            ).fetchall()
        times = {(step.partition("/")[2], mark): at for step, mark, at in rows}
        steps = list(dict.fromkeys(step for step, _ in times))
        first, last = times[steps[0], "started"], times[steps[-1], "done"]
        spent = {"to the first step": first - began}
        spent |= {step: times[step, "done"] - times[step, "started"] for step in steps}
        return {**spent, "after the last": ended - last}

    def clear(self) -> None:
        """Have nothing left of either, so that each round begins alike."""
        for host in HOSTS:
            for name in self.lab.virsh_ok(host, "list", "--all", "--name").split():
                if not name.startswith("straight"):
                    continue
                self.lab.virsh(host, "destroy", name)
                self.lab.virsh(host, "undefine", name, "--nvram", "--remove-all-storage")
            for line in self.lab.virsh_ok(host, "nwfilter-list").splitlines():
                if "vmctl-" in line:
                    self.lab.virsh(host, "nwfilter-undefine", line.split()[-1])

    def _run(self, words: list[str]) -> str:
        done = subprocess.run(
            words, env=self.env, cwd=CHECKOUT, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{words}: {done.stderr}")
        return done.stdout


def roomy(lab: Lab) -> Path:
    """Write the lab's inventory with room for all of them on each host."""
    text = (lab.root / "inventory.yaml").read_text()
    room = "capacity: {vcpus: 8, memory: 6GiB, disk: 40GiB}\n    allocation_ratios: {cpu: 16.0}"
    found = lab.root / "roomy.yaml"
    found.write_text(re.sub(r"capacity: .*", room, text))
    return found


def run() -> Iterator[Figure]:
    """Measure on a lab of its own, and tell each figure as soon as it is known."""
    (CHECKOUT / ".lab").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CHECKOUT / ".lab") as folder:
        lab = Lab(root=Path(folder) / "lab")
        try:
            plain(*lab.command("up", "--hosts", str(len(HOSTS))), seconds=300)
            bench = Bench(lab, folder)
            yield from one(bench)
            yield from many(bench)
            yield from cold(bench, Path(folder))
        finally:
            plain(*lab.command("down"), seconds=120)


def one(bench: Bench) -> list[Figure]:
    """One server each, in turns on one host."""
    ratios, ours, theirs = [], [], []
    phases: dict[str, list[float]] = {}
    for turn in range(ROUNDS + 1):
        straight = bench.script("kvm1", f"straight-{turn}", 200 + turn)
        bench.clear()
        began = time.time()
        created = bench.create("one", "--host", "kvm1")
        spent = bench.phases(began, time.time())
        bench.vmctl("server", "delete", "one")
        if turn:  # the first round warms what both have caches for
            for phase, seconds in spent.items():
                phases.setdefault(phase, []).append(seconds)
            theirs.append(straight)
            ours.append(created)
            ratios.append(created / straight)
    return [
        Figure(name="one server by the script", value=statistics.median(theirs), unit="s"),
        Figure(name="server create, to ACTIVE", value=statistics.median(ours), unit="s"),
        *(
            Figure(name=f"  of which {phase}", value=statistics.median(spent), unit="s")
            for phase, spent in phases.items()
        ),
        Figure(
            name="server create against the script",
            value=statistics.median(ratios),
            unit="x",
            at_most=ONE_LIMIT,
        ),
    ]


def many(bench: Bench) -> list[Figure]:
    """24 over three hosts at once, and 24 runs of the script."""
    straight = 0.0
    for index in range(MANY):
        straight += bench.script(HOSTS[index % 3], f"straight-m{index}", 150 + index, stock.EMPTY)
    bench.clear()
    created = bench.create("many", "--min", str(MANY), image=stock.EMPTY)
    names = [f"many-{index + 1}" for index in range(MANY)]
    bench.vmctl("server", "delete", *names)
    return [
        Figure(name=f"{MANY} servers by the script, one by one", value=straight, unit="s"),
        Figure(name=f"server create --min {MANY}", value=created, unit="s"),
        Figure(
            name="server create of many against the script",
            value=created / straight,
            unit="x",
            at_most=MANY_LIMIT,
        ),
    ]


def cold(bench: Bench, folder: Path) -> list[Figure]:
    """A fresh image to a host, and scp of the same file there."""
    file = folder / "cold.raw"
    ratios, ours, theirs = [], [], []
    host = bench.lab.host("kvm1")
    for turn in range(3):
        with file.open("wb") as out:
            for _ in range(COLD // (1 << 20)):
                out.write(os.urandom(1 << 20))
        bench.vmctl("image", "create", f"cold-{turn}", "--file", str(file))
        began = time.monotonic()
        scp = ["scp", "-q", "-F", str(bench.lab.plan.ssh_config), str(file)]
        subprocess.run([*scp, f"{host.name}:/var/lib/libvirt/images/scp.raw"], check=True)
        copied = time.monotonic() - began
        plain(
            *bench.lab.command("inside", "kvm1", "rm", "/var/lib/libvirt/images/scp.raw"),
            seconds=60,
        )
        began = time.monotonic()
        bench.vmctl("image", "cache", "push", f"cold-{turn}", "--host", "kvm1")
        pushed = time.monotonic() - began
        bench.vmctl("image", "delete", f"cold-{turn}")
        bench.vmctl("image", "cache", "prune", "--host", "kvm1")
        theirs.append(copied)
        ours.append(pushed)
        ratios.append(pushed / copied)
    shutil.rmtree(folder / "cold", ignore_errors=True)
    return [
        Figure(name="1 GiB by scp", value=statistics.median(theirs), unit="s"),
        Figure(
            name="the same by image cache push, verified", value=statistics.median(ours), unit="s"
        ),
        Figure(
            name="a cold image against scp",
            value=statistics.median(ratios),
            unit="x",
            at_most=COLD_LIMIT,
        ),
    ]
